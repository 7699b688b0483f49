"""Serves a WSGI application through granian's RSGI: a request is handed to a thread when all of it has come.

Under WSGI a thread reads the body, so that as many visitors as there are threads, each of whom sends half a form and
waits, stop the site; and granian has no time limit for bodies. Here a body that is still coming costs no thread, has
to come within a time and a size, and an answer that is read slowly costs none either.
RSGI: https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md; WSGI: PEP 3333.
"""

import asyncio
import io
import os
import socket
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from granian._granian import RSGIHTTPProtocol as HTTPProtocol
from granian._granian import RSGIProtocolClosed as ProtocolClosed
from granian.rsgi import Scope

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]
Headers = list[tuple[str, str]]

THREADS_VARIABLE = "ROUNDTABLE_WEB_THREADS"  # of a web worker; `manage.py serve` sets it
WAITING_THREADS = 4  # of a web worker, beside the others
BODY_SECONDS = 20.0  # for the body to come, and a second more for each BYTES_PER_SECOND of it
BYTES_PER_SECOND = 50_000
MAX_BODY_BYTES = 24_000_000  # what any address takes; workspace.request_bodies knows what each takes
MAX_HELD_BYTES = 100_000_000  # of bodies that came, or are coming, at a time in one process
BLOCK_BYTES = 256_000  # of a file, sent at once


@dataclass(eq=False)
class _Coming:
    """A body that is still coming: whose, so far, and what ends its time."""

    client: str
    time: asyncio.Timeout
    body: bytearray
    is_given_up: bool = False


class Refused(Exception):
    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class WholeRequests:
    """The RSGI application; `threads` of the WSGI `application` at a time, the others wait their turn."""

    def __init__(
        self,
        application: Application,
        *,
        threads: int,
        body_seconds: float = BODY_SECONDS,
        waits_for_others: Callable[[str], bool] = lambda path: False,
        client_of: Callable[[Scope], str | None] = lambda scope: _host(scope.client),
        max_held_bytes: int = MAX_HELD_BYTES,
    ) -> None:
        """`waits_for_others`: of a path, whether its answer is another program's. WAITING_THREADS have those, so that
        a slow answer keeps nobody else waiting. `client_of`: who counts as one client where room is short.
        """
        self.application, self.body_seconds = application, body_seconds
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self.waiting_threads = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="waiting")
        self.waits_for_others = waits_for_others
        self.client_of, self.max_held_bytes = client_of, max_held_bytes
        self.held_bytes = 0
        self.coming: list[_Coming] = []  # the oldest first
        self.environ = {
            "SCRIPT_NAME": "",
            "wsgi.version": (1, 0),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }

    async def __rsgi__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        body = bytearray()
        try:
            with suppress(ProtocolClosed):  # the visitor is gone
                try:
                    await self._read(scope, protocol, body)
                except Refused as refused:
                    _refuse(protocol, refused)
                    return
                environ = self._environ(scope, bytes(body))
                loop = asyncio.get_running_loop()
                threads = self.waiting_threads if self.waits_for_others(scope.path) else self.threads
                status, headers, first, rest = await loop.run_in_executor(threads, self._run, environ)
                if rest is None:
                    protocol.response_bytes(status, headers, first)
                    return
                try:
                    transport = protocol.response_stream(status, headers)
                    while first:
                        await transport.send_bytes(first)
                        first = await loop.run_in_executor(self.threads, _block, rest)
                except ProtocolClosed:
                    raise
                except BaseException:
                    cut_connection(scope.client)
                    raise
                finally:
                    await loop.run_in_executor(self.threads, rest.close)  # type: ignore[attr-defined]
        finally:
            self.held_bytes -= len(body)

    async def _read(self, scope: Scope, protocol: HTTPProtocol, body: bytearray) -> None:
        """The body, into `body`. Raises Refused."""
        if "transfer-encoding" not in scope.headers and scope.headers.get("content-length", "0") == "0":
            return
        try:
            length = int(scope.headers.get("content-length", ""))
        except ValueError:
            raise Refused(411, "The request does not say how long it is.") from None
        if length > MAX_BODY_BYTES:
            raise Refused(413, "What was sent is larger than this site takes.")
        coming: _Coming | None = None
        try:
            async with asyncio.timeout(self.body_seconds + length / BYTES_PER_SECOND) as time:
                coming = _Coming(self.client_of(scope) or "", time, body)
                self.coming.append(coming)
                async for chunk in protocol:
                    if coming.is_given_up:
                        break
                    body += chunk
                    self.held_bytes += len(chunk)
                    self._make_room()
        except TimeoutError:
            if coming is None or not coming.is_given_up:
                raise Refused(408, "The request did not come in time.") from None
        finally:
            if coming in self.coming:
                self.coming.remove(coming)
        if coming.is_given_up:
            raise Refused(503, "Too much is being sent at once; try again in a little while.")
        if len(body) < length:
            raise Refused(400, "The request ended before its end.")

    def _make_room(self) -> None:
        """Give up bodies of the client who has most on its way, the oldest first, until the others have room: a few
        who send slowly cannot keep it from everybody. What has come whole is answered.
        """
        while self.held_bytes > self.max_held_bytes and self.coming:
            sums = Counter[str]()
            for coming in self.coming:
                sums[coming.client] += len(coming.body)
            most = max(sums.values())
            given_up = next(coming for coming in self.coming if sums[coming.client] == most)
            self.coming.remove(given_up)
            given_up.is_given_up = True
            self.held_bytes -= len(given_up.body)
            given_up.body.clear()
            given_up.time.reschedule(0)  # its coroutine, which waits for more, goes on at once

    def _environ(self, scope: Scope, body: bytes) -> dict[str, Any]:
        server, _, port = scope.server.rpartition(":")
        environ: dict[str, Any] = {
            **self.environ,
            "REQUEST_METHOD": scope.method,
            # PEP 3333: bytes, as if they were Latin-1.
            "PATH_INFO": scope.path.encode().decode("latin-1"),
            "QUERY_STRING": scope.query_string,
            "SERVER_NAME": server or "localhost",
            "SERVER_PORT": port if port.isdigit() else "80",  # a path of a socket is none
            "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
            "REMOTE_ADDR": _host(scope.client),
            "wsgi.url_scheme": scope.scheme,
            "wsgi.input": io.BytesIO(body),
        }
        if scope.authority:
            environ["HTTP_HOST"] = scope.authority
        for name, value in scope.headers.items():
            # A name with an underscore would pass for another with a hyphen.
            if "_" in name:
                continue
            key = name.upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            if key in environ and key != "HTTP_HOST":
                value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
            environ[key] = value
        return environ

    def _run(self, environ: dict[str, Any]) -> tuple[int, Headers, bytes, Iterator[bytes] | None]:
        """In a thread: status, headers, the first block of the answer, and what gives the rest of a long one."""
        started: list[Any] = []

        def start_response(status: str, headers: Headers, exc_info: Any = None) -> None:
            started[:] = [int(status.split(" ", 1)[0]), headers]

        answer = self.application(environ, start_response)
        status, headers = started
        if isinstance(answer, list):
            return status, headers, b"".join(answer), None
        rest = _Rest(answer)
        try:
            first = _block(rest)
            if len(first) >= BLOCK_BYTES:
                return status, headers, first, rest
        except BaseException:
            rest.close()
            raise
        rest.close()
        return status, headers, first, None


def _host(client: str) -> str:
    """Of address and port."""
    return client.rpartition(":")[0]


def cut_connection(client: str) -> None:
    """Closes the connection of the visitor with this address and port. What comes in parts and breaks off must not end
    as if it were whole, and granian ends an answer that nobody goes on with in just that way. Connections over a Unix
    socket cannot be told apart, and are left alone.
    """
    host, _, port = client.rpartition(":")
    folder = Path("/proc/self/fd")
    if not port.isdigit() or not folder.is_dir():
        return
    for name in os.listdir(folder):
        with suppress(OSError):  # no socket, or closed meanwhile
            if not stat.S_ISSOCK(os.stat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as connection:
                peer = connection.getpeername() if connection.family != socket.AF_UNIX else ()
                if peer[:2] == (host.strip("[]"), int(port)):
                    connection.shutdown(socket.SHUT_RDWR)


class _Rest:
    """An answer that comes in parts."""

    def __init__(self, answer: Iterable[bytes]) -> None:
        self.answer, self.parts = answer, iter(answer)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self.parts)

    def close(self) -> None:
        if hasattr(self.answer, "close"):
            self.answer.close()


def _block(parts: Iterator[bytes]) -> bytes:
    """The next BLOCK_BYTES, or all that is left."""
    block = bytearray()
    for part in parts:
        block += part
        if len(block) >= BLOCK_BYTES:
            break
    return bytes(block)


def _refuse(protocol: HTTPProtocol, refused: Refused) -> None:
    # The rest of the body may still come: nothing else is read from this connection.
    headers = [("content-type", "text/plain; charset=utf-8"), ("connection", "close")]
    if refused.status == 503:
        headers.append(("retry-after", "10"))
    protocol.response_bytes(refused.status, headers, f"{refused}\n".encode())
