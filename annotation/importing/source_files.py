"""A file on disk as numbered rows: JSON lines, gzip-compressed or not, or Parquet (told by content, not by
name).

One row at a time, bounded memory whatever the file: a line longer than MAX_LINE_BYTES is a bad row and is
skipped without being held. What is wrong with the file as a whole is an ImportRefused; what is wrong with one
row is a RowError beside its line number, and reading goes on.
"""

import gzip
import json
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.importing.report import ImportRefused
from annotation.importing.rows import WHOLE_ROW, RowError, UnreadableValue, describe_json_type
from annotation.text import safe_excerpt

MAX_LINE_BYTES = 32 * 1024 * 1024
PARQUET_ROWS_PER_BATCH = 256
# A decompression bomb: more than this in all, and more than this many times the file.
MAX_DECOMPRESSED_BYTES = 2 * 1024**3
MAX_DECOMPRESSION_RATIO = 200
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

NumberedRow = tuple[int, dict[str, Any] | RowError]


def read_rows(path: Path) -> Iterator[NumberedRow]:
    """(line, row) for every row, without blank lines. The line of a Parquet row is its number, from 1."""
    magic = _first_bytes(path)
    if magic[:4] == b"PAR1":
        yield from _parquet_rows(path)
    else:
        yield from _json_lines(path, compressed=magic[:2] == b"\x1f\x8b")


def _first_bytes(path: Path) -> bytes:
    name = safe_excerpt(str(path))
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImportRefused(
                f"{name} is a folder: name one file in it (JSON lines, .jsonl.gz or Parquet).",
                code="is_a_folder",
            )
        if not stat.S_ISREG(mode):
            # It is opened twice, and what a pipe has given it never gives again.
            raise ImportRefused(
                f"{name} is a pipe or a device: save its rows in a file and name that.",
                code="no_regular_file",
            )
        with path.open("rb") as file:
            magic = file.read(4)
    except FileNotFoundError as error:
        raise ImportRefused(f"There is no file {name}: check the name.", code="no_file") from error
    except OSError as error:
        raise _unreadable(path, error) from error
    if not magic:
        raise ImportRefused(f"{name} is empty: nothing to import.", code="no_rows")
    return magic


def _unreadable(path: Path, error: OSError) -> ImportRefused:
    return ImportRefused(
        f"{safe_excerpt(str(path))} cannot be read: {error.strerror or error}.", code="unreadable"
    )


def _json_lines(path: Path, *, compressed: bool) -> Iterator[NumberedRow]:
    read = number = 0
    opener: Any = gzip.open if compressed else open
    try:
        limit = max(MAX_DECOMPRESSED_BYTES, MAX_DECOMPRESSION_RATIO * path.stat().st_size)
        with opener(path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                read += len(line)
                if compressed and read > limit:
                    raise ImportRefused(
                        f"{safe_excerpt(str(path))} unpacks to more than {MAX_DECOMPRESSION_RATIO} times its size: "
                        "unpack it first.",
                        code="decompression_bomb",
                    )
                if len(line) > MAX_LINE_BYTES:
                    read += _skip_line(file)
                    reason = f"is longer than {MAX_LINE_BYTES // 1024**2} MB"
                    yield number, RowError(WHOLE_ROW, reason)
                    continue
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                    _reject_other_file_types(path, line)
                if line.strip():
                    yield number, _parse(line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportRefused(
            f"{safe_excerpt(str(path))} is damaged after line {number} (broken gzip data): get the file again.",
            code="damaged",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _reject_other_file_types(path: Path, first_line: bytes) -> None:
    """A file of another format altogether is named once instead of line by line. Raises ImportRefused."""
    accepted = "JSON Lines (one object a line), the same gzip-compressed, or Parquet"
    name = safe_excerpt(str(path))
    start = first_line.lstrip()[:1]
    if first_line.startswith(b"PAR1"):
        raise ImportRefused(
            f"{name} is a gzip-compressed Parquet file: unpack it first.", code="wrong_kind_of_file"
        )
    if re.match(rb"\s*\[\s*(\{|$)", first_line):
        raise ImportRefused(f"{name} is one JSON array; accepted are {accepted}.", code="wrong_kind_of_file")
    if path.suffix.lower() in (".csv", ".tsv", ".parquet", ".xlsx", ".zip") and start != b"{":
        raise ImportRefused(
            f"{name} is not a file that can be read; accepted are {accepted}.", code="wrong_kind_of_file"
        )


def _skip_line(file: IO[bytes]) -> int:
    skipped = 0
    while part := file.readline(1024 * 1024):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _parse(line: bytes) -> dict[str, Any] | RowError:
    try:
        row = json.loads(line.decode("utf-8"), parse_constant=_parse_constant, parse_int=_parse_bounded_int)
    except UnicodeDecodeError as error:
        return RowError(WHOLE_ROW, f"is not UTF-8 text (byte {error.start + 1})")
    except (ValueError, RecursionError) as error:
        what = (
            f"{error.msg}, character {error.pos + 1}"
            if isinstance(error, json.JSONDecodeError)
            else str(error)
        )
        return RowError(WHOLE_ROW, f"is not JSON ({what})")
    if not isinstance(row, dict):
        return RowError(
            WHOLE_ROW, f"is not a JSON object but {describe_json_type(row)}: one object a line is expected"
        )
    return row


def _parse_constant(name: str) -> UnreadableValue:
    return UnreadableValue(f"{name} is no JSON number")


def _parse_bounded_int(digits: str) -> int | UnreadableValue:
    # Beyond this no column has a meaning, and floats and databases overflow.
    if len(digits) > 18:
        return UnreadableValue(f"the number {digits[:20]}... is too large")
    return int(digits)


def _parquet_rows(path: Path) -> Iterator[NumberedRow]:
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=PARQUET_ROWS_PER_BATCH):
                for row in _rows_from_batch(batch):
                    number += 1
                    yield number, row
    # ValueError: names of columns that are not UTF-8.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ImportRefused(
            f"{safe_excerpt(str(path))} is a damaged Parquet file (after row {number}): get the file again.",
            code="damaged",
        ) from error


def _rows_from_batch(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    try:
        return list(batch.to_pylist())
    except _UNREADABLE_VALUE_ERRORS:
        return [_row_from_slice(batch.slice(index, 1)) for index in range(batch.num_rows)]


# Text that is not UTF-8, a time beyond the calendar, a time zone that nobody knows.
_UNREADABLE_VALUE_ERRORS = (ValueError, OverflowError, KeyError)


def _row_from_slice(batch: pa.RecordBatch) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            row[name] = column[0].as_py()
        except _UNREADABLE_VALUE_ERRORS as error:
            row[name] = UnreadableValue(str(error))
    return row
