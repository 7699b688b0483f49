"""The schema as an answer and as a page, which needs no other server."""

from typing import Any

from django.conf import settings
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import View
from drf_spectacular.views import SpectacularJSONAPIView

from workspace.api.base import ApiView


class Schema(ApiView, SpectacularJSONAPIView):
    """OpenAPI 3, for programs that make programs."""

    schema = None  # type: ignore[assignment]  # it does not tell of itself
    renderer_classes = SpectacularJSONAPIView.renderer_classes

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        # No operation: it belongs to no project and to everybody who is logged in.
        super(ApiView, self).initial(request, *args, **kwargs)

    def get(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        return self._get_schema_response(request)


class Documentation(LoginRequiredMixin, View):
    """The schema as a page: scripts and styles come from this site, and none stands in the page itself."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return render(request, "workspace/api_docs.html", {"csrf_cookie": settings.CSRF_COOKIE_NAME})
