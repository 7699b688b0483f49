"""HTTP to a process that serves a model: one request, one answer, bounded in time and size. For site and workers."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_ANSWER_BYTES = 24_000_000
STATUS_SECONDS = 5.0
MARGIN_SECONDS = 5.0  # for the answer to come after the server's own time limit


class ServerUnreachable(Exception):
    """Nobody answers at the address, or not as a server does."""


@dataclass(frozen=True)
class ServerAnswer:
    status: int
    body: dict[str, Any]


def ask_status(address: str, secret: str) -> dict[str, Any]:
    """How the server is. Raises ServerUnreachable."""
    answer = exchange("GET", "/status", address, secret, None, STATUS_SECONDS)
    if answer.status != 200:
        raise ServerUnreachable(f"status {answer.status}")
    return answer.body


def ask_to_drain(address: str, secret: str) -> dict[str, Any]:
    """Have the server take nothing new; how it is. Raises ServerUnreachable."""
    answer = exchange("POST", "/drain", address, secret, {}, STATUS_SECONDS)
    if answer.status != 200:
        raise ServerUnreachable(f"status {answer.status}")
    return answer.body


def exchange(
    method: str, path: str, address: str, secret: str, body: Mapping[str, Any] | None, seconds: float
) -> ServerAnswer:
    """Raises ServerUnreachable, also where the connection breaks off."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=seconds)
    raw = json.dumps(body).encode() if body is not None else None
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json", "Connection": "close"}
    try:
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        content = answer.read(MAX_ANSWER_BYTES + 1)
        found = json.loads(content)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ServerUnreachable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if not isinstance(found, dict) or len(content) > MAX_ANSWER_BYTES:
        raise ServerUnreachable("it answers otherwise than a server does")
    return ServerAnswer(answer.status, found)
