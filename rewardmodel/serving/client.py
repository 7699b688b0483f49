"""HTTP to a scorer: one request, one answer, bounded in time and size. For the site and for workers."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_ANSWER_BYTES = 24_000_000
STATUS_SECONDS = 5.0
MARGIN_SECONDS = 5.0  # for the answer to come after the scorer's own time limit


class ScorerUnreachable(Exception):
    """Nobody answers at the address, or not as a scorer does."""


@dataclass(frozen=True)
class ScorerAnswer:
    status: int
    body: dict[str, Any]


def ask_status(address: str, secret: str) -> dict[str, Any]:
    """How the scorer is. Raises ScorerUnreachable."""
    answer = _exchange("GET", "/status", address, secret, None, STATUS_SECONDS)
    if answer.status != 200:
        raise ScorerUnreachable(f"status {answer.status}")
    return answer.body


def ask_rewards(address: str, secret: str, texts: Mapping[str, Any], seconds: float) -> ScorerAnswer:
    """What the scorer says to these texts. Raises ScorerUnreachable, also where the connection breaks off."""
    return _exchange(
        "POST", "/score", address, secret, {**texts, "seconds": seconds}, seconds + MARGIN_SECONDS
    )


def _exchange(
    method: str, path: str, address: str, secret: str, body: Mapping[str, Any] | None, seconds: float
) -> ScorerAnswer:
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
        raise ScorerUnreachable(f"{type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if not isinstance(found, dict) or len(content) > MAX_ANSWER_BYTES:
        raise ScorerUnreachable("it answers otherwise than a scorer does")
    return ScorerAnswer(answer.status, found)
