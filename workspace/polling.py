"""Parts of a page that ask again every few seconds for what has changed (hx-trigger="every ...").

Such a part carries the version it shows in its own address, `?version=...`.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

NOTHING_NEW = 204  # htmx leaves the page as it is
STOP_POLLING = 286  # htmx shows the answer and asks no more


def content_fingerprint(*parts: object) -> str:
    """A short hash of what a page shows: equal means there is nothing new to send."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]


def poll_response(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, version: str, is_final: bool = False
) -> HttpResponse:
    """The part anew, with its `version`; an empty answer when the page shows that version already."""
    if request.GET.get("version") == version:
        return HttpResponse(status=NOTHING_NEW)
    status = STOP_POLLING if is_final else 200
    return render(request, template, {**context, "version": version}, status=status)
