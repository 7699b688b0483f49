"""What the resources of roundtable.client.resources are made of."""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, cast

from roundtable.client.streams import Download, Rows
from roundtable.client.transport import Transport
from roundtable.operations import Operation

Row = TypeVar("Row")


class Pages(Generic[Row]):
    """The rows of a list, asked for page by page while they are read; each time it is gone through it is asked anew."""

    def __init__(
        self, transport: Transport, operation: Operation, keys: Mapping[str, Any], query: Mapping[str, Any]
    ) -> None:
        self._transport, self._operation = transport, operation
        self._keys, self._query = dict(keys), dict(query)

    def pages(self) -> Iterator[list[Row]]:
        query = dict(self._query)
        while True:
            page = self._transport.perform(self._operation, self._keys, query=query).json()
            yield cast(list[Row], page["results"])
            if page["next_cursor"] is None:
                return
            # By its cursor: the site may know itself by another address than this program does.
            query["cursor"] = page["next_cursor"]

    def __iter__(self) -> Iterator[Row]:
        for page in self.pages():
            yield from page

    def first(self) -> Row | None:
        """The first row; None of an empty list."""
        return next(iter(self), None)


class Answered(dict[str, Any]):
    """What the site answered, and its ETag, by which a change says what it was made from. dict() of it has none."""

    def __init__(self, values: Mapping[str, Any], etag: str) -> None:
        super().__init__(values)
        # A proxy that compresses marks it as weak; the site compares the values that it stands for, not bytes.
        self.etag = etag.removeprefix("W/")


class Resource:
    """Operations of one kind of things; those below a project are of the project with this slug."""

    def __init__(self, transport: Transport, slug: str | None = None) -> None:
        self._transport = transport
        self._fixed = {} if slug is None else {"slug": slug}

    def perform(
        self,
        operation: Operation,
        keys: Mapping[str, Any],
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        key: str | None = None,
        seen: Mapping[str, object] | None = None,
    ) -> Any:
        """`seen`: what `get` or a change before answered, as it came. Raises StaleVersion when it was changed since."""
        if_match = _etag_of(operation, seen)
        keys = self._fixed | dict(keys)
        if operation.answer == "page":
            return Pages[Any](self._transport, operation, keys, query or {})
        if operation.answer == "rows":
            return Rows(self._transport, operation, keys, query or {})
        if operation.answer == "file":
            return Download(self._transport, operation, keys, query or {})
        answer = self._transport.perform(
            operation, keys, query=query, body=body, content=content, key=key, if_match=if_match
        )
        told = answer.json() if answer.content else None
        etag = answer.headers.get("etag")
        return Answered(told, etag) if etag and isinstance(told, dict) else told


def _etag_of(operation: Operation, seen: Mapping[str, object] | None) -> str | None:
    if seen is None:
        return None
    if not operation.compares:
        raise ValueError(f"{operation.id} takes no `seen`: it does not compare versions.")
    if not isinstance(seen, Answered):
        raise ValueError(
            "`seen` is what the site answered, as it came: a copy, or a row of a list, does not know its version."
        )
    return seen.etag
