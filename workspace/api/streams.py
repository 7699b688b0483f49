"""Rows as a stream: JSON Lines, or Arrow's streaming format, in constant memory.

Rows are read a page at a time while they are sent; between pages the database is not asked for anything.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
from django.http import StreamingHttpResponse

from learning.interface.json_lines import json_line

ROWS_PER_BLOCK = 500
CONTENT_TYPES = {"ndjson": "application/x-ndjson", "arrow": "application/vnd.apache.arrow.stream"}


def stream_rows(
    rows: Iterable[Mapping[str, Any]], schema: pa.Schema, kind: str, file_name: str, *, end: bool = False
) -> StreamingHttpResponse:
    """The rows as `kind` (of CONTENT_TYPES), columns as the schema has them. `end`: lines are followed by one with
    their number, {"end": 3}, whatever a proxy makes of a connection that was cut.

    The first row is read before the answer begins: what is wrong from the start is still a problem with its status.
    """
    iterator = iter(rows)
    first = list(itertools.islice(iterator, 1))
    following = itertools.chain(first, iterator)
    blocks = _json_lines(following, schema, end) if kind == "ndjson" else _arrow(following, schema)
    return StreamingHttpResponse(
        blocks,
        content_type=CONTENT_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{file_name}.{kind}"'},
    )


def _blocks(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    while block := list(itertools.islice(rows, ROWS_PER_BLOCK)):
        yield block


def _json_lines(rows: Iterator[Mapping[str, Any]], schema: pa.Schema, end: bool) -> Iterator[bytes]:
    count = 0
    for block in _blocks(rows):
        yield b"".join(json_line({name: row.get(name) for name in schema.names}) for row in block)
        count += len(block)
    if end:
        yield json_line({"end": count})


class _Sink:
    """Takes what Arrow writes and hands it out."""

    def __init__(self) -> None:
        self._written: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        taken = b"".join(self._written)
        self._written.clear()
        return taken


def _arrow(rows: Iterator[Mapping[str, Any]], schema: pa.Schema) -> Iterator[bytes]:
    """Ends with Arrow's mark of the end: a stream that was cut is known from a whole one."""
    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
        yield sink.take()
        for block in _blocks(rows):
            writer.write_table(pa.Table.from_pylist([dict(row) for row in block], schema=schema))
            yield sink.take()
    yield sink.take()
