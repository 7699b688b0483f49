"""Rows of the table of who may call what of the API."""

from dataclasses import dataclass
from typing import Any

MANAGERS = {"manager", "manager's token", "manager's reading token"}
REVIEWERS = MANAGERS | {"reviewer"}
MEMBERS = REVIEWERS | {"annotator", "manager's annotating token"}
SCORERS = MANAGERS | {"manager's scoring token"}
LOGGED_IN = MEMBERS | {
    "manager's scoring token",
    "outsider",
    "manager of another project",
    "token of another project",
}
# Whatever else somebody may, with a token that only reads they change nothing.
READING = {"manager's reading token"}


@dataclass(frozen=True)
class Row:
    """An operation below /api/v1/; {names} of its address and body are those of `api_world`."""

    method: str
    address: str
    allowed: frozenset[str]
    body: Any
    status: int


def row(method, address, allowed, body=None, status=None):
    allowed = set(allowed) if method == "GET" else set(allowed) - READING
    return Row(method, address, frozenset(allowed), body, status or (201 if method == "POST" else 200))


P = "projects/{slug}"
