"""Rows to numbered files of one folder, bounded in memory, equal rows giving equal bytes.

A file has its name (`train-00000.parquet`) when it is complete. How many there are it does not say: the first may be on
its way to somebody before the last is begun.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
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
CSV = "csv"  # for rows that are flat
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class ShardWriter:
    """`on_file` hears of each file when it is complete, with its number of rows; it may take the file away."""

    def __init__(
        self,
        folder: Path,
        stem: str,
        schema: pa.Schema,
        kind: str,
        on_file: Callable[[tuple[Path, int]], None] = lambda finished: None,
    ) -> None:
        self._folder, self._stem, self._schema, self._kind = folder, stem, schema, kind
        self._on_file = on_file
        # What waits for a whole row group: encoded, and before that what came row by row.
        self._tables: list[pa.Table] = []
        self._lines: list[bytes] = []
        self._rows: list[Mapping[str, Any]] = []
        self._waiting = 0
        self._parts: list[tuple[Path, int]] = []
        self._file: IO[bytes] | None = None
        self._writer: pq.ParquetWriter | None = None
        self._rows_in_part = 0

    def add(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self._waiting += 1
        if self._waiting >= ROWS_PER_GROUP:
            self._write_groups()

    def add_many(self, rows: pa.Table | Sequence[bytes]) -> None:
        """Rows in their order: a table for Parquet, lines for JSON Lines."""
        self._encode_rows()
        if self._kind == "parquet":
            self._tables.append(rows)
        else:
            self._lines += rows
        self._waiting += len(rows)
        if self._waiting >= ROWS_PER_GROUP:
            self._write_groups()

    def _encode_rows(self) -> None:
        if self._rows and self._kind == "parquet":
            self._tables.append(pa.Table.from_pylist(self._rows, schema=self._schema))
        elif self._rows and self._kind == CSV:
            self._lines += [csv_line([row.get(name) for name in self._schema.names]) for row in self._rows]
        elif self._rows:
            names = self._schema.names
            self._lines += [json_line({name: row.get(name) for name in names}) for row in self._rows]
        self._rows = []

    def _write_groups(self, *, all_rows: bool = False) -> None:
        """Whole row groups; with `all_rows` what is left too. A file ends with a group, whatever its rows came in."""
        self._encode_rows()
        # One chunk: where chunks end would show in the pages of the file.
        table = pa.concat_tables(self._tables).combine_chunks() if self._tables else None
        end = self._waiting if all_rows else self._waiting - self._waiting % ROWS_PER_GROUP
        for start in range(0, end, ROWS_PER_GROUP):
            number = min(ROWS_PER_GROUP, end - start)
            file = self._file or self._open()
            if self._writer is not None and table is not None:
                self._writer.write_table(table.slice(start, number), row_group_size=ROWS_PER_GROUP)
            else:
                file.write(b"".join(self._lines[start : start + number]))
            self._rows_in_part += number
            if self._rows_in_part >= ROWS_PER_SHARD or file.tell() >= BYTES_PER_SHARD:
                self._close_part()
        self._tables = [table.slice(end)] if table is not None and end < table.num_rows else []
        self._lines = self._lines[end:]
        self._waiting -= end

    def _open(self) -> IO[bytes]:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path = self._folder / f"{self._stem}-{len(self._parts):05d}.{self._kind}"
        self._file = self._path.with_suffix(".partial").open("wb")
        if self._kind == "parquet":
            self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        elif self._kind == CSV:
            self._file.write(csv_line(self._schema.names))
        return self._file

    def _close_part(self) -> None:
        if self._file is None:
            return
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._file.close()
        partial = self._path.with_suffix(".partial")
        sync_path(partial)
        self._parts.append((partial.rename(self._path), self._rows_in_part))
        self._file, self._rows_in_part = None, 0
        self._on_file(self._parts[-1])

    def close(self) -> list[tuple[Path, int]]:
        """(file, rows) of every file, in their order; none when there were no rows."""
        self._write_groups(all_rows=True)
        self._close_part()
        return self._parts


def csv_line(cells: Sequence[Any]) -> bytes:
    """RFC 4180, UTF-8. A spreadsheet runs a cell that begins like a formula: such a text gets a ' before it."""
    out = io.StringIO(newline="")
    csv.writer(out).writerow(
        [f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell for cell in cells]
    )
    return out.getvalue().encode()


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
