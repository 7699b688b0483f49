"""One request to a webhook: to an address that was looked at, bounded in time and in what is read of the answer."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import SplitResult

from events.addresses import AddressRefused, port_of, resolve
from learning.interface.addresses import Address

CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 15.0  # connecting, the handshake of TLS and the answer to its end, all together
MAX_ANSWER_BYTES = 64 * 1024
MAX_REASON = 300
MAX_ADDRESSES = 3  # of a name that are tried


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of an attempt. `status` is None where nobody answered; `reason` is empty where it was delivered."""

    status: int | None
    reason: str
    seconds: float

    @property
    def is_delivered(self) -> bool:
        return not self.reason

    @property
    def is_gone(self) -> bool:
        """The receiver wants nothing any more (410)."""
        return self.status == 410


def send(url: SplitResult, headers: dict[str, str], body: bytes) -> Answer:
    """POST it once. No redirect is followed, no proxy is asked, and the answer's text is thrown away."""
    begun = time.monotonic()
    status = None
    try:
        status = _post(url, resolve(url), headers, body)
        reason = "" if 200 <= status < 300 else _say(status)
    except AddressRefused as error:
        reason = str(error)
    except ssl.SSLCertVerificationError as error:
        reason = f"Its certificate does not hold: {error.verify_message}."
    except TimeoutError:
        reason = f"It did not answer within {ATTEMPT_SECONDS:g} seconds."
    except (OSError, http.client.HTTPException) as error:
        reason = (
            f"There was no answer: {getattr(error, 'strerror', None) or str(error) or type(error).__name__}."
        )
    return Answer(status=status, reason=reason[:MAX_REASON], seconds=time.monotonic() - begun)


def _say(status: int) -> str:
    if 300 <= status < 400:
        return f"It answered {status}: redirects are not followed."
    if status == 410:
        return "It answered 410: it wants nothing any more."
    return f"It answered {status}."


def _post(url: SplitResult, addresses: list[Address], headers: dict[str, str], body: bytes) -> int:
    deadline = time.monotonic() + ATTEMPT_SECONDS
    connection = _Connection(url, _connect(addresses, port_of(url), deadline))
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # A timeout of the socket begins anew with each byte: whoever sends one a second would never be done.
    overdue = threading.Event()
    watch = threading.Timer(deadline - time.monotonic(), connection.cut, [overdue])
    watch.daemon = True
    watch.start()
    try:
        connection.begin(overdue)
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        if overdue.is_set():
            raise TimeoutError  # headers that were cut off look as if they had ended
        left = MAX_ANSWER_BYTES
        while left > 0 and (read := answer.read(min(left, 8192))):
            left -= len(read)
        return answer.status
    except (OSError, http.client.HTTPException) as error:
        if overdue.is_set():
            raise TimeoutError from error
        raise
    finally:
        watch.cancel()
        connection.close()


def _connect(addresses: list[Address], port: int, deadline: float) -> socket.socket:
    failure: OSError = OSError("no address")
    for address in addresses[:MAX_ADDRESSES]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        try:
            return socket.create_connection((str(address), port), timeout=min(CONNECT_SECONDS, left))
        except OSError as error:
            failure = error
    raise failure


class _Connection(http.client.HTTPConnection):
    """Speaks over a socket that is there already, as the host of the address: that name is checked and sent (SNI)."""

    def __init__(self, url: SplitResult, connected: socket.socket) -> None:
        assert url.hostname is not None
        super().__init__(url.hostname, port_of(url))
        if url.scheme == "https":
            self.default_port = http.client.HTTPS_PORT  # or it would stand in the Host header
        self.url, self.sock = url, connected
        self.sock.settimeout(ATTEMPT_SECONDS)

    def begin(self, overdue: threading.Event) -> None:
        if self.url.scheme != "https":
            return
        # The handshake comes after the socket that `cut` reaches has become this one: wrapping takes the old one's
        # descriptor away, and a receiver that sends its half of the handshake in drops would never be cut off.
        self.sock = tls_context().wrap_socket(
            self.sock, server_hostname=self.url.hostname, do_handshake_on_connect=False
        )
        if overdue.is_set():
            raise TimeoutError
        self.sock.do_handshake()

    def cut(self, overdue: threading.Event) -> None:
        overdue.set()
        with suppress(OSError):  # it is closed already
            # The socket's own: TLS would be taken apart under the hands of the thread that reads.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def connect(self) -> None:
        raise http.client.HTTPException("the connection was closed")


@cache
def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()
