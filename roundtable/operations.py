"""An operation of the API, and how one is found in the schema that a site tells of itself (OpenAPI 3)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

PREFIX = "/api/v1"
METHODS = ("get", "post", "put", "patch", "delete")
ROWS = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"

Answer = Literal["json", "page", "rows", "file", "nothing"]


@dataclass(frozen=True)
class Operation:
    """`path`: below /api/v1, with the names of its keys in braces. `keyed`: the site takes an Idempotency-Key for it,
    so that it may be sent twice. `reads`: a POST that changes nothing. `compares`: it takes If-Match.
    """

    id: str
    method: str
    path: str
    answer: Answer = "json"
    keyed: bool = False
    reads: bool = False
    compares: bool = False

    @property
    def may_repeat(self) -> bool:
        """Whether sending it twice does what sending it once does (RFC 9110 section 9.2.2), its key aside."""
        return self.reads or self.method in ("GET", "PUT", "DELETE")


def read_operations(schema: Mapping[str, Any]) -> dict[str, Operation]:
    """By operation id, all that the schema has."""
    return {found.id: found for found, _ in walk(schema)}


def walk(schema: Mapping[str, Any]) -> Iterator[tuple[Operation, Mapping[str, Any]]]:
    """Each operation with what the schema says of it."""
    for path, methods in schema["paths"].items():
        for method, described in methods.items():
            if method not in METHODS or not path.startswith(PREFIX):
                continue
            names = {(each["in"], each["name"].lower()) for each in described.get("parameters", [])}
            operation = Operation(
                described["operationId"],
                method.upper(),
                path.removeprefix(PREFIX),
                _answer(described),
                ("header", "idempotency-key") in names,
                described.get("x-reads", False),
                ("header", "if-match") in names,
            )
            yield operation, described


def _answer(described: Mapping[str, Any]) -> Answer:
    content = success_content(described)
    if not content:
        return "nothing"
    if ROWS in content:
        return "rows"
    if "application/json" not in content:
        return "file"
    properties = content["application/json"].get("schema", {}).get("$ref", "")
    return "page" if properties.endswith("Page") else "json"


def success_content(described: Mapping[str, Any]) -> Mapping[str, Any]:
    """By content type, what a success is answered with."""
    return next(success_contents(described), {})


def success_contents(described: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Of each status of success, the lowest first: work that is done at once (201) or queued (202)."""
    for status, answer in sorted(described["responses"].items()):
        if status.startswith("2"):
            yield answer.get("content", {})
