"""Rows to numbered files of one folder, bounded in memory, equal rows giving equal bytes.

The names carry how many shards there are (`train-00000-of-00003.parquet`), which is known at the end only:
files are written under a temporary name and renamed by `close`.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from learning.interface.atomic_files import sync_path
from learning.interface.json_lines import json_line

ROWS_PER_SHARD = 100_000
BYTES_PER_SHARD = 256 * 1024**2
# One row group: what a writer holds in memory, and a reader too.
ROWS_PER_GROUP = 1_000
FILE_KINDS = ("parquet", "jsonl")


class ShardWriter:
    def __init__(self, folder: Path, stem: str, schema: pa.Schema, kind: str) -> None:
        self._folder, self._stem, self._schema, self._kind = folder, stem, schema, kind
        self._buffer: list[Mapping[str, Any]] = []
        self._parts: list[tuple[Path, int]] = []
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self._rows_in_part = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self._buffer.append(row)
        if len(self._buffer) >= ROWS_PER_GROUP:
            self._write()

    def _write(self) -> None:
        if not self._buffer:
            return
        file = self._file or self._open()
        if self._writer is not None:
            table = pa.Table.from_pylist(self._buffer, schema=self._schema)
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        else:
            for row in self._buffer:
                ordered = {name: row.get(name) for name in self._schema.names}
                file.write(json_line(ordered))
        self._rows_in_part += len(self._buffer)
        self._buffer = []
        if self._rows_in_part >= ROWS_PER_SHARD or file.tell() >= BYTES_PER_SHARD:
            self._close_part()

    def _open(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{self._stem}-{len(self._parts):05d}.partial"
        self._parts.append((path, 0))
        self._file = path.open("wb")
        if self._kind == "parquet":
            self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        return self._file

    def _close_part(self) -> None:
        if self._file is None:
            return
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._file.close()
        path, _ = self._parts[-1]
        sync_path(path)
        self._parts[-1] = (path, self._rows_in_part)
        self._file, self._rows_in_part = None, 0

    def close(self) -> list[tuple[Path, int]]:
        """(file, rows) of every shard, under its final name; no file when there were no rows."""
        self._write()
        self._close_part()
        final = []
        for number, (path, rows) in enumerate(self._parts):
            name = f"{self._stem}-{number:05d}-of-{len(self._parts):05d}.{self._kind}"
            final.append((path.rename(self._folder / name), rows))
        return final


def describe_file(path: Path, rows: int, below: Path) -> dict[str, Any]:
    """A file's line in a manifest."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "name": path.relative_to(below).as_posix(),
        "rows": rows,
        "bytes": path.stat().st_size,
        "sha256": digest,
    }


def write_and_sync(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    sync_path(path)


def manifest_text(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
