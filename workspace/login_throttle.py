"""Who has guessed passwords too often: at a name from an address, at many names from an address, at a name from many.

Takes the place of django-axes' own counting, which knows one limit for all of them, over axes' table of failures. A
person who has logged in from an address before is held there by their own failures alone: nobody at the same address,
and no crowd elsewhere, locks them out. A try that is refused unread is not counted: waiting helps.
"""

import logging
import unicodedata
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.models import AccessFailureLog, AccessLog
from axes.signals import user_locked_out
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from workspace.client_address import address_group, client_address

logger = logging.getLogger(__name__)

WINDOW = timedelta(minutes=15)
PAIR_LIMIT = 8  # of a name from one address, in WINDOW
ADDRESS_LIMIT = 60  # from one address, whatever the names, in WINDOW
NAME_WINDOW = timedelta(days=1)
# Of a name in NAME_WINDOW, from all addresses together; one address adds PAIR_LIMIT at most, so that it takes several.
NAME_LIMIT = 64
_LONGEST_NAME = 255  # of axes' column


def fold_username(name: str | None) -> str:
    """Spellings that are one name to a guesser: case, compatibility forms, blanks at the ends."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name or "").casefold())
    return folded.replace("\0", "").strip()[:_LONGEST_NAME]


def folded_username(request: HttpRequest, credentials: dict[str, Any] | None = None) -> str:
    """For AXES_USERNAME_CALLABLE."""
    return fold_username((credentials or {}).get("username") or request.POST.get("username"))


def throttled_address(request: HttpRequest) -> str | None:
    """For AXES_CLIENT_IP_CALLABLE."""
    return address_group(client_address(request))


@dataclass(frozen=True)
class Lock:
    reason: str  # as the log says it


def find_lock(name: str, address: str | None) -> Lock | None:
    """What keeps `name` (folded) from another try from `address` (of throttled_address); None: nothing does."""
    now = timezone.now()
    here = AccessFailureLog.objects.filter(ip_address=address, attempt_time__gte=now - WINDOW)
    if here.filter(username=name).count() >= PAIR_LIMIT:
        return Lock(f"{PAIR_LIMIT} tries at this name from this address")
    if AccessLog.objects.filter(username__iexact=name, ip_address=address).exists():
        return None
    if here.count() >= ADDRESS_LIMIT:
        return Lock(f"{ADDRESS_LIMIT} tries from this address")
    tries = (
        AccessFailureLog.objects.filter(username=name, attempt_time__gte=now - NAME_WINDOW)
        .order_by()
        .values_list("ip_address")
        .annotate(tries=Count("pk"))
    )
    if sum(min(number, PAIR_LIMIT) for _, number in tries[:1000]) >= NAME_LIMIT:
        return Lock(f"{NAME_LIMIT} tries at this name from several addresses")
    return None


def record_failure(request: HttpRequest, name: str) -> Lock | None:
    """One more failed try at `name` (folded); the lock that it brought, if any."""
    address = throttled_address(request)
    AccessFailureLog.objects.create(
        username=name,
        ip_address=address,
        user_agent=request.META.get("HTTP_USER_AGENT", "")[:255].replace("\0", ""),
        http_accept=request.META.get("HTTP_ACCEPT", "")[:1025].replace("\0", ""),
        path_info=request.path[:255].replace("\0", ""),
    )
    lock = find_lock(name, address)
    then = f"; locked: {lock.reason}" if lock else ""
    logger.warning(
        "Wrong password or name: %.150r from %s at %s%s", name, client_address(request), request.path, then
    )
    return lock


def forget_failures(*, name: str | None = None, address: str | None = None) -> int:
    """Unlocks a name, an address, or (with neither) everybody. Returns how many failed tries were forgotten."""
    failures = AccessFailureLog.objects.all()
    if name is not None:
        failures = failures.filter(username=fold_username(name))
    if address is not None:
        failures = failures.filter(ip_address=address_group(address))
    return failures.delete()[0]


def locked_response(
    request: HttpRequest, response: HttpResponse | None = None, credentials: Any = None
) -> HttpResponse:
    """For AXES_LOCKOUT_CALLABLE, and for pages that ask for a password themselves."""
    page = render(request, "workspace/locked_out.html", status=429)
    page["Retry-After"] = str(int(WINDOW.total_seconds()))
    return page


class LoginThrottle(AxesDatabaseHandler):
    """For AXES_HANDLER: axes asks `is_locked` before a password is looked at, and tells what became of it."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        name = folded_username(request, credentials)
        lock = find_lock(name, throttled_address(request))
        if lock:
            logger.warning("Login of %.150r from %s refused: %s", name, client_address(request), lock.reason)
        return lock is not None

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any
    ) -> None:
        if request is None:
            return
        name = folded_username(request, credentials)
        # Refused unread, which is_locked has told.
        if not request.axes_locked_out:  # type: ignore[attr-defined]
            request.axes_locked_out = record_failure(request, name) is not None  # type: ignore[attr-defined]
        if request.axes_locked_out:  # type: ignore[attr-defined]
            request.axes_credentials = credentials  # type: ignore[attr-defined]
            user_locked_out.send(
                "axes", request=request, username=name, ip_address=throttled_address(request)
            )

    def reset_attempts(
        self, *, ip_address: str | None = None, username: str | None = None, ip_or_username: bool = False
    ) -> int:
        if ip_or_username:
            return forget_failures(name=username) + forget_failures(address=ip_address)
        return forget_failures(name=username, address=ip_address)
