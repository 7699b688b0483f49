"""What goes wrong when a site is called."""

import email.utils
import time
from collections.abc import Mapping
from typing import Any

import httpx


class RoundtableError(Exception):
    """Any of this module's."""


class ConnectionLost(RoundtableError):
    """No answer came, after all attempts. Whether the site did what was asked is not known, unless it was to read."""


class StreamCut(RoundtableError):
    """A stream of rows or a file ended before its end; what came of it must not be taken for the whole."""


class WaitedTooLong(RoundtableError):
    """What was waited for has not come in the time given. It goes on at the site."""


class WorkFailed(RoundtableError):
    """A run or a round that was waited for ended without success; `state` and `reason` are its own."""

    def __init__(self, what: str, state: str, reason: str) -> None:
        super().__init__(f"{what} ended as “{state}”{f': {reason}' if reason else ''}.")
        self.state, self.reason = state, reason


class ApiError(RoundtableError):
    """The site refused. `code` is for programs and the same as on its pages, `message` is the sentence for people,
    `fields` has a sentence for each value that does not fit, by its place (`rows.3.messages`).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        fields: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{message} ({status} {code})")
        self.status, self.code, self.message = status, code, message
        self.fields = dict(fields or {})
        self.retry_after = retry_after  # seconds


class InvalidRequest(ApiError):
    """400, 413, 415, 422: what was sent does not fit; sent again it would not fit either."""


class NotAuthenticated(ApiError):
    """401: no token, or one that is unknown, revoked or has expired."""


class NotAllowed(ApiError):
    """403: the token only reads, or the project is not its project."""


class NotFound(ApiError):
    """404: it is not there, or not for this token."""


class Conflict(ApiError):
    """409: the state of things refuses it."""


class StaleVersion(Conflict):
    """412, or 409 with the code `stale_version`: somebody changed it after it was read. Nothing was changed now;
    read it again, and decide anew.
    """


class TooManyRequests(ApiError):
    """429: too often; `retry_after` seconds have to pass."""


class ServerFault(ApiError):
    """5xx: the site, or what stands before it, could not answer."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: NotAuthenticated,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: StaleVersion,
    429: TooManyRequests,
}


def error_of(response: httpx.Response) -> ApiError:
    """The error that an answer with a status of 300 or more is. Its body must have been read."""
    status = response.status_code
    kind = _BY_STATUS.get(status, ServerFault if status >= 500 else InvalidRequest)
    details: Any = None
    if response.headers.get("content-type", "").partition(";")[0] == "application/problem+json":
        try:
            details = response.json()
        except ValueError:
            details = None
    if isinstance(details, dict):
        if kind is Conflict and details.get("code") == "stale_version":
            kind = StaleVersion
        return kind(
            status,
            str(details.get("code", "")),
            str(details.get("message") or details.get("detail") or response.reason_phrase),
            details.get("fields") if isinstance(details.get("fields"), dict) else None,
            retry_after(response),
        )
    message = response.reason_phrase or "The site refused"
    if 300 <= status < 400:
        message = f"The site is elsewhere: call {response.headers.get('location', 'its own address')}"
    # Of a proxy, or of no Roundtable at all.
    return kind(status, f"http_{status}", message, None, retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that an answer asks to wait; RFC 9110 section 10.2.3 has them as a number or a date."""
    text = response.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None
