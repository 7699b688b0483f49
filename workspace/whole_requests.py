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
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
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
    ) -> None:
        """`waits_for_others`: of a path, whether its answer is another program's. WAITING_THREADS have those, so that
        a slow answer keeps nobody else waiting.
        """
        self.application, self.body_seconds = application, body_seconds
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix="web")
        self.waiting_threads = ThreadPoolExecutor(WAITING_THREADS, thread_name_prefix="waiting")
        self.waits_for_others = waits_for_others
        self.held_bytes = 0
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
        try:
            async with asyncio.timeout(self.body_seconds + length / BYTES_PER_SECOND):
                async for chunk in protocol:
                    body += chunk
                    self.held_bytes += len(chunk)
                    if self.held_bytes > MAX_HELD_BYTES:
                        raise Refused(503, "Too much is being sent at once; try again in a little while.")
        except TimeoutError:
            raise Refused(408, "The request did not come in time.") from None
        if len(body) < length:
            raise Refused(400, "The request ended before its end.")

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
            "REMOTE_ADDR": scope.client.rpartition(":")[0],
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
