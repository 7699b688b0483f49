"""Requests to a site: the token, what goes wrong, and what may be sent again.

Sent again is what was never carried out (no connection, 429), what can be repeated by itself (GET, PUT, DELETE), and a
POST with its Idempotency-Key where the site takes one. Nothing else ever: a task claimed twice would be two.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from roundtable.client.errors import ApiError, ConnectionLost, NotFound, error_of
from roundtable.operations import PREFIX, Operation

# No connection was made, so that nothing was sent.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_PASSING = {408, 502, 503, 504}
_LONGEST_PAUSE = 30.0  # seconds, where the site says nothing of how long


@dataclass(frozen=True, kw_only=True)
class Retries:
    """`attempts`: of one request, the first included, not counted those after which the site asked to come back; for
    those there are `patience` seconds together. An answer that asks to wait longer is an error at once.
    """

    attempts: int = 6
    first_pause: float = 0.5
    patience: float = 300.0


class Transport:
    def __init__(
        self,
        address: str,
        token: str,
        *,
        retries: Retries,
        timeout: float,
        http: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.retries, self._sleep = retries, sleep
        self._http = httpx.Client(
            base_url=address.rstrip("/"),
            # Only to this site: redirects are not followed.
            headers={"Authorization": f"Bearer {token}", "User-Agent": "roundtable-client"},
            timeout=httpx.Timeout(timeout, connect=10.0),
            transport=http,
        )

    def close(self) -> None:
        self._http.close()

    def read_schema(self) -> Any:
        request = self._http.build_request("GET", "/api/schema/")
        return self._send(request, may_repeat=True, keyed=False, stream=False).json()

    def perform(
        self,
        operation: Operation,
        keys: Mapping[str, Any],
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        key: str | None = None,
        if_match: str | None = None,
    ) -> httpx.Response:
        """The answer, whole. Raises ApiError, ConnectionLost."""
        request = self._request(operation, keys, query, body, content, key, if_match)
        return self._send(
            request, may_repeat=operation.may_repeat or operation.keyed, keyed=operation.keyed, stream=False
        )

    @contextmanager
    def stream(
        self, operation: Operation, keys: Mapping[str, Any], query: Mapping[str, Any] | None = None
    ) -> Iterator[httpx.Response]:
        """The answer while it comes. A connection that is lost in the middle raises httpx.TransportError."""
        request = self._request(operation, keys, query, None, None, None)
        response = self._send(request, may_repeat=True, keyed=False, stream=True)
        try:
            yield response
        finally:
            response.close()

    def _request(
        self,
        operation: Operation,
        keys: Mapping[str, Any],
        query: Mapping[str, Any] | None,
        body: Any,
        content: bytes | None,
        key: str | None,
        if_match: str | None = None,
    ) -> httpx.Request:
        quoted = {name: quote(str(value), safe="") for name, value in keys.items()}
        headers = {}
        if operation.keyed:
            headers["Idempotency-Key"] = key or str(uuid.uuid4())
        elif key is not None:
            raise ValueError(f"{operation.id} takes no Idempotency-Key.")
        if if_match is not None:
            headers["If-Match"] = if_match
        if content is not None:
            headers["Content-Type"] = "application/octet-stream"
        return self._http.build_request(
            operation.method,
            PREFIX + operation.path.format(**quoted),
            params={name: _as_text(value) for name, value in (query or {}).items() if value is not None},
            json=body,
            content=content,
            headers=headers,
        )

    def _send(self, request: httpx.Request, *, may_repeat: bool, keyed: bool, stream: bool) -> httpx.Response:
        doubtful = False  # whether an earlier attempt may have been carried out
        attempt, patience = 1, self.retries.patience
        while True:
            last = attempt >= self.retries.attempts
            try:
                response = self._http.send(request, stream=stream)
                if response.status_code < 300:
                    return response
                response.read()
            except httpx.TransportError as lost:
                never_sent = isinstance(lost, _NEVER_SENT)
                if last or not (may_repeat or never_sent):
                    raise ConnectionLost(
                        f"{request.method} {request.url.copy_with(query=None)}: {lost or type(lost).__name__}"
                    ) from lost
                doubtful |= not never_sent
                self._pause(attempt)
                attempt += 1
                continue
            refused = error_of(response)
            if doubtful and request.method == "DELETE" and isinstance(refused, NotFound):
                return httpx.Response(204, request=request)  # an attempt before had deleted it
            if not self._is_passing(refused, may_repeat, keyed):
                raise refused
            doubtful |= refused.status != 429
            if refused.retry_after is not None:
                patience -= max(refused.retry_after, 1.0)
                if patience < 0:
                    raise refused
                self._sleep(max(refused.retry_after, 1.0))
                continue
            if last:
                raise refused
            self._pause(attempt)
            attempt += 1

    def _is_passing(self, refused: ApiError, may_repeat: bool, keyed: bool) -> bool:
        if refused.status == 429:
            return True
        if (
            keyed and refused.code == "idempotency_key_in_use"
        ):  # the attempt before is still being carried out
            return True
        return may_repeat and refused.status in _PASSING

    def _pause(self, attempt: int) -> None:
        grown = min(_LONGEST_PAUSE, self.retries.first_pause * 2 ** (attempt - 1))
        # Many programs that were refused at once come back one after the other.
        self._sleep(grown * random.uniform(0.5, 1.0))


def _as_text(value: Any) -> Any:
    """As the API reads parameters."""
    return str(value).lower() if isinstance(value, bool) else value
