"""A browser's part of HTTPS: the certificate is checked, cookies are kept and sent back, nothing is followed."""

import http.client
import socket
import ssl
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from typing import NamedTuple

TIMEOUT_SECONDS = 240


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class HttpsClient:
    """`host`: the name that is asked for, at 127.0.0.1:`port`; `comes_from`: a loopback address of the client."""

    def __init__(self, host: str, port: int, certificate: Path, *, comes_from: str = "127.0.0.1"):
        self.host, self.port, self.comes_from = host, port, comes_from
        self.origin = f"https://{host}:{port}"
        self.trust = ssl.create_default_context(cafile=str(certificate))
        self.cookies: dict[str, Morsel[str]] = {}

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=TIMEOUT_SECONDS)
        plain = socket.create_connection(
            ("127.0.0.1", self.port), TIMEOUT_SECONDS, source_address=(self.comes_from, 0)
        )
        connection.sock = self.trust.wrap_socket(plain, server_hostname=self.host)
        sent = {"Cookie": "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {name: value for name, value in sent.items() if value})
        response = connection.getresponse()
        answer = Answer(response.status, response.headers, response.read())
        connection.close()
        for line in answer.headers.get_all("Set-Cookie", []):
            self.cookies |= SimpleCookie(line)
        return answer

    def cookie(self, name: str) -> Morsel[str]:
        """The cookie of this name, whatever prefix it carries."""
        [found] = [morsel for key, morsel in self.cookies.items() if key.endswith(name)]
        return found
