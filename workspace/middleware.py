"""What a visitor is told whose session has ended, and who asked an address for what it does not do.

A page that goes to the login page by a redirect is well served; a part of a page that polls, a script, and a form that
was just sent are not. It deliberately decides nothing about who may see what: that is access's.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy

from workspace.access import NoLongerMember
from workspace.project_context import read_project_context

# https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Permissions-Policy; copying is used.
UNUSED_FEATURES = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "camera", "display-capture", "geolocation", "gyroscope", "magnetometer", "microphone", "midi",
        "payment", "publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking",
    )
)  # fmt: skip
SESSION_EXPIRED_MESSAGE = gettext_lazy(
    "That was not done, because your session had ended: log in and repeat it."
)


def _path_of(request: HttpRequest, address: str) -> str:
    """The path of an address of this site as the browser named it; the home page for anything else."""
    if not url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure()):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _login(next_path: str) -> str:
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': next_path})}"


def wants_json(request: HttpRequest) -> bool:
    return "application/json" in request.headers.get("Accept", "")


class VisitMiddleware:
    """Who asks for a page of a project, and as what, in one read; `project_view` then decides."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: dict[str, Any]
    ) -> None:
        if hasattr(view, "capability") and settings.SESSION_COOKIE_NAME in request.COOKIES:
            request.project_context = read_project_context(request, kwargs["slug"])  # type: ignore[attr-defined]


class ExpiredSessionMiddleware:
    """Looks at answers that send somebody to the login page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        to_login = urlsplit(response.get("Location", "")).path == resolve_url(settings.LOGIN_URL)
        if response.status_code != 302 or not to_login or request.user.is_authenticated:
            return response
        if request.headers.get("HX-Request"):
            # htmx would follow a redirect and put the login page inside the part that polls.
            page = _path_of(request, request.headers.get("HX-Current-URL", ""))
            return HttpResponse(status=401, headers={"HX-Redirect": _login(page)})
        if wants_json(request):
            return HttpResponse(status=401)
        if request.method not in ("GET", "HEAD"):
            # After the login a browser GETs the address; what takes only forms would refuse it.
            messages.warning(request, SESSION_EXPIRED_MESSAGE)
            return redirect(_login(_path_of(request, request.headers.get("Referer", ""))))
        return response


class NoLongerMemberMiddleware:
    """A page instead of "Not found" for who asks for a project that they were removed from."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, NoLongerMember):
            return None
        return render(request, "404.html", {"reason": exception.message}, status=404)


class MethodNotAllowedMiddleware:
    """Gives a bare 405 a page with a way back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 405 or response.content or wants_json(request):
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response.get("Allow", "")
        return page


class PagePolicyMiddleware:
    """No page is kept by a browser or a proxy, so that nothing of it comes back after a logout on a shared machine;
    and no page asks for what the site does not use.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "no-store" not in response.get("Cache-Control", ""):
            add_never_cache_headers(response)
        response["Permissions-Policy"] = UNUSED_FEATURES
        return response
