"""Rows and files that come as a stream, with a bar of how much has come; one that is cut is never taken for whole."""

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from tqdm import tqdm

from roundtable.client.errors import StreamCut
from roundtable.client.transport import Transport
from roundtable.operations import ARROW, Operation

# With `end=true` a stream of JSON lines ends with one that says how many rows went before it.
END = "end"
# Arrow's mark of the end of a stream: a continuation and a length of nothing.
# https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format
ARROW_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_BLOCK_BYTES = 1 << 18


def bar(progress: bool | None, what: str, total: int | None, unit: str = "B") -> Any:
    """`progress` None: where somebody sits at a terminal."""
    disable = None if progress is None else not progress
    return tqdm(total=total, desc=what, unit=unit, unit_scale=True, disable=disable, leave=False)


class Rows:
    """Rows as a stream: dictionaries by going through it, or a table of Arrow. Each time it is asked anew.

    Raises StreamCut after the rows that came, where the connection or the site broke off.
    """

    def __init__(
        self, transport: Transport, operation: Operation, keys: Mapping[str, Any], query: Mapping[str, Any]
    ) -> None:
        self._transport, self._operation = transport, operation
        self._keys = dict(keys)
        self._query = {name: value for name, value in query.items() if name not in ("format", END)}
        self._marks_end = operation.path.endswith("/rows")
        self.progress: bool | None = None
        self._schema: pa.Schema | None = None

    def with_progress(self, progress: bool | None = True) -> "Rows":
        """Itself, with a bar of how much has come (None: at a terminal)."""
        self.progress = progress
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        query = self._query | ({"format": "ndjson", END: "true"} if self._marks_end else {})
        count = 0
        with (
            self._transport.stream(self._operation, self._keys, query) as response,
            bar(self.progress, "rows", None, " rows") as shown,
        ):
            try:
                for line in _lines(response):
                    row = json.loads(line)
                    if self._marks_end and row.keys() == {END}:
                        if row[END] != count:
                            raise StreamCut(f"{row[END]:,} rows were sent, and {count:,} came.")
                        return
                    count += 1
                    shown.update(1)
                    yield row
            except (httpx.TransportError, ValueError) as error:
                raise StreamCut(f"The stream broke off after {count:,} rows: {error}") from error
        if self._marks_end:
            raise StreamCut(f"The stream broke off after {count:,} rows: its end is missing.")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as record batches of Arrow, while they come."""
        if not self._marks_end:
            raise TypeError(f"{self._operation.id} has no Arrow stream: go through its rows.")
        count = 0
        with (
            self._transport.stream(
                self._operation, self._keys, self._query | {"format": "arrow"}
            ) as response,
            bar(self.progress, "rows", None, " rows") as shown,
        ):
            if response.headers.get("content-type") != ARROW:
                raise StreamCut(f"The site sent {response.headers.get('content-type')} instead of Arrow.")
            source = _Source(response)
            try:
                with pa.ipc.open_stream(source) as reader:
                    self._schema = reader.schema
                    for batch in reader:
                        count += batch.num_rows
                        shown.update(batch.num_rows)
                        yield batch
                source.drain()
            except (httpx.TransportError, pa.ArrowInvalid, OSError) as error:
                raise StreamCut(f"The stream broke off after {count:,} rows: {error}") from error
            # Arrow's reader takes an end between two batches for the end.
            if source.last_bytes != ARROW_END:
                raise StreamCut(f"The stream broke off after {count:,} rows: its end is missing.")

    def table(self) -> pa.Table:
        """All rows as one table."""
        found = list(self.batches())
        return pa.Table.from_batches(found, schema=self._schema)


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Lines of JSON, whole. httpx's iter_lines would split at characters that JSON allows within a text."""
    rest = b""
    for block in response.iter_bytes():
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        raise ValueError("the last line has no end")


class _Source(io.RawIOBase):
    """An answer as a file that Arrow reads; knows its last bytes."""

    def __init__(self, response: httpx.Response) -> None:
        self._blocks, self._rest, self.last_bytes = response.iter_bytes(), b"", b""

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        size = -1 if size is None else size
        while size < 0 or len(self._rest) < size:
            block = next(self._blocks, None)
            if block is None:
                break
            self._rest += block
        size = len(self._rest) if size < 0 else size
        taken, self._rest = self._rest[:size], self._rest[size:]
        self.last_bytes = (self.last_bytes + taken)[-len(ARROW_END) :]
        return taken

    def drain(self) -> None:
        while self.read(_BLOCK_BYTES):
            pass


class Download:
    """A file. Each time it is asked anew."""

    def __init__(
        self, transport: Transport, operation: Operation, keys: Mapping[str, Any], query: Mapping[str, Any]
    ) -> None:
        self._transport, self._operation = transport, operation
        self._keys, self._query = dict(keys), dict(query)

    def read(self) -> bytes:
        """All of it. Raises StreamCut."""
        return b"".join(self.blocks(progress=False))

    def blocks(self, *, progress: bool | None = None) -> Iterator[bytes]:
        name = str(self._keys.get("name", "file"))
        with self._transport.stream(self._operation, self._keys, self._query) as response:
            length = response.headers.get("content-length", "")
            total = int(length) if length.isdigit() else None
            with bar(progress, name, total) as shown:
                try:
                    for block in response.iter_bytes():
                        shown.update(len(block))
                        yield block
                except httpx.TransportError as error:
                    raise StreamCut(f"{name} broke off: {error}") from error

    def save(self, path: str | Path, *, sha256: str | None = None, progress: bool | None = None) -> Path:
        """Writes it to `path`, which is there when all of it is. Raises StreamCut, also where it has another sha256."""
        path = Path(path)
        part = path.with_name(f"{path.name}.part")
        found = hashlib.sha256()
        with part.open("wb") as file:
            for block in self.blocks(progress=progress):
                found.update(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        if sha256 is not None and found.hexdigest() != sha256:
            part.unlink()
            raise StreamCut(f"{path.name} has another sha256 than the site says: get it again.")
        part.replace(path)
        return path
