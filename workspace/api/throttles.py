"""How often a program may call: so many requests in a minute of one token, or of one person's sessions.

Counted in each web worker by itself: a limit that protects the site needs no exact sum, and no request waits for a
count. A bucket that fills evenly lets a burst through and no more than the rate in the long run.
"""

import threading
import time
from collections import OrderedDict

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from workspace.api.permissions import token_of

_MAX_CALLERS = 10_000


class Buckets:
    """By caller: how many requests are left, and when that was so."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, per_minute: int, now: float) -> float:
        """0 when the request may be carried out; else how many seconds until one may."""
        with self._lock:
            level, before = self._levels.pop(caller, (float(per_minute), now))
            level = min(float(per_minute), level + max(0.0, now - before) * per_minute / 60)
            wait = 0.0 if level >= 1 else (1 - level) * 60 / per_minute
            self._levels[caller] = (level if wait else level - 1, now)
            if len(self._levels) > _MAX_CALLERS:
                self._levels.popitem(last=False)
            return wait


_buckets = Buckets()


class CallerThrottle(BaseThrottle):
    _wait = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        token = token_of(request)
        caller = f"token {token.pk}" if token else f"person {request.user.pk}"
        self._wait = _buckets.take(caller, settings.API_REQUESTS_PER_MINUTE, time.monotonic())
        return not self._wait

    def wait(self) -> float:
        return self._wait
