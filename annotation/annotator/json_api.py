"""What the work page's script and the server say to each other: JSON bodies, errors as code, message and fields.

Private to the browser; a public API is another package.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import Http404, HttpRequest, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.gzip import gzip_page

from annotation.errors import AlreadySubmitted, BadRequest, NotAMember
from workspace.access import NoLongerMember
from workspace.errors import ActionError
from workspace.request_bodies import takes_json

View = Callable[..., HttpResponseBase]

MAX_BODY_BYTES = 400_000


def json_error(code: str, message: str, status: int, fields: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse({"code": code, "message": message, "fields": fields or {}}, status=status)


def json_endpoint(view: View) -> View:
    """Answers 401 in JSON without a session, and an ActionError as its code and sentence.

    Compressed: these answers hold neither a token nor anything that a request of another site could put there (BREACH).
    """

    @takes_json(max_bytes=MAX_BODY_BYTES)
    @wraps(view)
    @gzip_page
    @never_cache
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return json_error(
                "login_required", gettext("Your session has ended. Log in again: your work is kept."), 401
            )
        try:
            return view(request, *args, **kwargs)
        except ActionError as error:
            # Who was removed a moment ago is told what a later request would be told.
            status = {AlreadySubmitted: 409, NotAMember: 404}.get(type(error), 400)
            # A sentence of annotation.preferences is marked, and translated here.
            return json_error(error.code, gettext(error.message), status, error.fields)
        except NoLongerMember as error:
            return json_error("not_a_member", error.message, 404)
        except Http404:
            return json_error("not_found", gettext("There is no such task."), 404)

    return answered


def parse_json_body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object a script sent. Raises BadRequest."""
    try:
        data = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadRequest("The request is not JSON.") from error
    if not isinstance(data, dict):
        raise BadRequest("The request is not a JSON object.")
    return data
