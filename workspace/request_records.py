"""What is kept of each request: a line in the log and counts for /metrics. Neither has a query, a token or a text.

And the addresses that machines ask: they are answered before anything looks at the host name, the session or TLS,
since a load balancer asks by address and without a proxy.
"""

import logging
import time
from collections.abc import Callable
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from prometheus_client import CollectorRegistry, Counter, Histogram

from workspace.client_address import client_address

logger = logging.getLogger("roundtable.requests")
PROBES = ("/healthz", "/readyz", "/metrics")
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})

# With several web workers `serve` names a folder in PROMETHEUS_MULTIPROC_DIR, in which these are kept for all of them.
REQUESTS = CollectorRegistry()
REQUEST_COUNT = Counter(
    "roundtable_http_requests",
    "Answers, by method, name of the page and status.",
    ["method", "route", "status"],
    registry=REQUESTS,
)
REQUEST_SECONDS = Histogram(
    "roundtable_http_request_seconds",
    "Time from the request to its answer within the web worker.",
    ["route"],
    buckets=(0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24),
    registry=REQUESTS,
)


class ProbeMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path in PROBES:
            answer: HttpResponse = resolve(request.path).func(request)
            return answer
        return self.get_response(request)


class RequestRecordMiddleware:
    """The line: method, path, name of the page, status, milliseconds, who (the account's number) and from where."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]):
        if not (settings.ACCESS_LOG or settings.METRICS_TOKEN):
            raise MiddlewareNotUsed
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        begun = time.perf_counter()
        response = self.get_response(request)
        seconds = time.perf_counter() - begun
        match = request.resolver_match
        if match is None and request.path.startswith(settings.STATIC_URL):
            route = "static"
        else:
            route = (match.view_name if match else None) or "none"
        if settings.METRICS_TOKEN:
            method = request.method if request.method in METHODS else "other"
            REQUEST_COUNT.labels(method, route, response.status_code).inc()
            REQUEST_SECONDS.labels(route).observe(seconds)
        if settings.ACCESS_LOG:
            # The user is named where somebody has asked for it, not asked for here.
            user = getattr(request, "_cached_user", None)
            logger.info(
                "%s %s %s %d %.0f ms user=%s from=%s",
                request.method, quote(request.path), route, response.status_code, seconds * 1000,
                user.pk if user is not None and user.pk else "-", client_address(request) or "-",
            )  # fmt: skip
        return response
