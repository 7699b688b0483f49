"""Under which address a request came in, and what an operator is told where that and the settings do not agree.

A proxy passes Host and X-Forwarded-Proto on; where it does not, or ROUNDTABLE_URL is not the address people type, this
says so in one sentence on the page and names the setting in the log.
"""

import logging
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware import security
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext

from workspace.problems import is_for_program, problem_response
from workspace.unavailable import wants_no_page

logger = logging.getLogger(__name__)

DOCUMENT = "docs/deploy.md"


class SecurityMiddleware(security.SecurityMiddleware):
    """Django's redirect to https, unless nobody could follow it: without X-Forwarded-Proto https looks like http, and
    the browser would be sent in a circle.
    """

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:  # type: ignore[override]
        if settings.SECURE_PROXY_SSL_HEADER and settings.SECURE_PROXY_SSL_HEADER[0] not in request.META:
            logger.warning(
                "400 %s %s: the site is behind TLS (ROUNDTABLE_URL or ROUNDTABLE_BEHIND_TLS) and the request has no "
                "X-Forwarded-Proto: the proxy must send it (%s).",
                request.method,
                request.path,
                DOCUMENT,
            )
            return refusal(
                request,
                gettext(
                    "This site is reached over https only. If that is how you came, its proxy does not say so; whoever "
                    "runs the site finds in its log what to set."
                ),
            )
        return super().process_request(request)


def refusal(
    request: HttpRequest,
    sentence: str,
    *,
    status: int = 400,
    has_been_logged: bool = True,
    as_json: bool = False,
) -> HttpResponse:
    """The sentence as a page, or as JSON for a script."""
    response: HttpResponse
    if is_for_program(request):
        response = problem_response(status, "body_too_large" if status == 413 else "refused", sentence)
    elif as_json or wants_no_page(request):
        response = JsonResponse({"code": "refused", "message": sentence, "fields": {}}, status=status)
    else:
        response = render(request, "400.html", {"sentence": sentence}, status=status)
    # Django's own mark: log_response need not write it down.
    response._has_been_logged = has_been_logged  # type: ignore[attr-defined]
    return response


def disallowed_host(request: HttpRequest) -> HttpResponse:
    """What a browser is told that asks under a name that is not the site's."""
    host = request.META.get("HTTP_HOST") or request.META.get("SERVER_NAME", "")
    logger.warning(
        "400 %s %s: the request named the host %r. If people reach the site so, set ROUNDTABLE_URL=https://%s or add "
        "the name to ROUNDTABLE_ALLOWED_HOSTS; if not, let the proxy pass Host on (%s).",
        request.method,
        request.path,
        host,
        host if host.isascii() and host.isprintable() else "...",
        DOCUMENT,
    )
    return refusal(request, gettext("This site does not go by the name in your browser's address bar."))


def form_from_another_address(request: HttpRequest, reason: str) -> str | None:
    """The sentence for a form whose origin is not the address that the site takes for its own; None when Django's
    `reason` is another one. Says in the log what an operator may have to set.
    """
    if not reason.startswith(("Origin checking failed", "Referer checking failed")):
        return None
    came_from = request.headers.get("Origin") or request.headers.get("Referer", "")
    parts = urlsplit(came_from)
    origin = f"{parts.scheme}://{parts.netloc}" if parts.netloc else came_from or "nowhere"
    own = f"{request.scheme}://{request.get_host()}"
    # The browser's own word, or else the same name with another scheme or port: a form of this site.
    site = request.headers.get("Sec-Fetch-Site")
    same_name = parts.hostname == urlsplit(own).hostname
    ours = site == "same-origin" if site else same_name
    remedy = (
        f"set ROUNDTABLE_URL={origin}, and let the proxy pass Host and X-Forwarded-Proto on ({DOCUMENT})"
        if ours
        else f"if that is this site's own address, set ROUNDTABLE_URL to it ({DOCUMENT})"
    )
    logger.warning(
        "403 %s %s: a form came from %s, and the site takes itself for %s: %s.",
        request.method,
        request.path,
        origin.encode("ascii", "backslashreplace").decode(),
        own,
        remedy,
    )
    if ours:
        return (
            f"It came from {origin}, and this site takes itself for {own}. That is no mistake of yours: whoever runs "
            "the site finds in its log what to set."
        )
    return f"It came from another site ({origin}), and forms of this site are the only ones taken."


def site_url(request: HttpRequest, name: str, *arguments: object) -> str:
    """The whole address of a page, to be sent to somebody: under ROUNDTABLE_URL where that is set."""
    path = reverse(name, args=arguments)
    return f"{settings.SITE_URL}{path}" if settings.SITE_URL else request.build_absolute_uri(path)
