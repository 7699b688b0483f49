"""The schema as an answer and as a page, which needs no other server."""

import hashlib
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import override
from django.views import View
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from workspace.api.base import ApiView
from workspace.api.operations import is_known


@cache
def written_schema() -> tuple[bytes, str]:
    """The schema as JSON, and its ETag. It depends on nothing but the code, and programs read the site's own language
    (workspace.languages): a process makes it once, since it takes seconds.
    """
    with override(settings.LANGUAGE_CODE):
        written = OpenApiJsonRenderer().render(SchemaGenerator().get_schema(request=None, public=True))
    return written, f'"{hashlib.sha256(written).hexdigest()[:32]}"'


class Schema(ApiView):
    """OpenAPI 3, for programs that make programs."""

    schema = None  # type: ignore[assignment]  # it does not tell of itself

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        # No operation: it belongs to no project and to everybody who is logged in.
        super(ApiView, self).initial(request, *args, **kwargs)

    def get(self, request: Request) -> HttpResponse | Response:
        written, tag = written_schema()
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        if is_known(request, tag):
            return Response(status=304, headers=headers)
        headers["Content-Disposition"] = 'inline; filename="Roundtable.json"'
        return HttpResponse(written, content_type=OpenApiJsonRenderer.media_type, headers=headers)


class Documentation(LoginRequiredMixin, View):
    """The schema as a page: scripts and styles come from this site, and none stands in the page itself."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "workspace/api_docs.html", {"csrf_cookie": settings.CSRF_COOKIE_NAME})
