"""Parquet and Arrow files as rows, in bounded memory.

A few hundred bytes of such a file can stand for gigabytes: a text that a thousand rows refer to is stored once. Texts
are read as references (dictionaries), what each row comes to is computed from their lengths, and only rows within
the limits become Python objects, a few at a time.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from annotation.importing.file_forms import MAX_DECOMPRESSED_BYTES, MAX_DECOMPRESSION_RATIO
from annotation.importing.report import ImportRefused
from annotation.importing.rows import MAX_ROW_BYTES, WHOLE_ROW, NumberedRow, RowError, UnreadableValue
from annotation.text import safe_excerpt

ROWS_PER_BATCH = 256
BYTES_AT_ONCE = 32 * 1024 * 1024  # of Python objects made in one go
BYTES_PER_VALUE = 8  # of a number, or a place in a list: in Python it takes more


def parquet_rows(path: Path) -> Iterator[NumberedRow]:
    number = 0
    budget = _Budget(path)
    try:
        with pq.ParquetFile(path) as opened:
            budget.require_plausible(opened.metadata)
            texts = [
                column.path
                for column in map(opened.schema.column, range(len(opened.schema)))
                if column.physical_type == "BYTE_ARRAY"
            ]
        with pq.ParquetFile(path, read_dictionary=texts) as file:
            # A row group has dictionaries of its own, and Arrow makes no nested column of two: one group at a time.
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size=ROWS_PER_BATCH, row_groups=[group]):
                    for row in _rows_of_batch(batch, budget):
                        number += 1
                        yield number, row
    # ValueError: names of columns that are not UTF-8.
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, "Parquet", number) from error


def arrow_rows(path: Path) -> Iterator[NumberedRow]:
    """The Arrow stream that `datasets` saves to disk."""
    number = 0
    budget = _Budget(path)
    try:
        with pa.memory_map(str(path)) as source, pa.ipc.open_stream(source) as stream:
            for batch in stream:
                for start in range(0, batch.num_rows, ROWS_PER_BATCH):
                    for row in _rows_of_batch(batch.slice(start, ROWS_PER_BATCH), budget):
                        number += 1
                        yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(path, "Arrow", number) from error


def _damaged(path: Path, form: str, number: int) -> ImportRefused:
    return ImportRefused(
        f"{safe_excerpt(str(path))} is a damaged {form} file (after row {number}): get the file again.",
        code="damaged",
    )


class _Budget:
    """How much a file may unpack to; the same as for gzip."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._left = max(MAX_DECOMPRESSED_BYTES, MAX_DECOMPRESSION_RATIO * path.stat().st_size)

    def require_plausible(self, metadata: pq.FileMetaData) -> None:
        """What the file says of itself, before a page is unpacked: nulls and repeated values take no room in it."""
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        columns = [group.column(number) for group in groups for number in range(group.num_columns)]
        unpacked = sum(max(0, column.total_uncompressed_size) for column in columns)
        values = sum(max(0, column.num_values) for column in columns)
        if max(unpacked, values * 2) > self._left:
            raise self._bomb()

    def take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise self._bomb()

    def _bomb(self) -> ImportRefused:
        return ImportRefused(
            f"{safe_excerpt(str(self._path))} unpacks to more than {MAX_DECOMPRESSION_RATIO} times its size: make a "
            "file of the rows that are needed.",
            code="decompression_bomb",
        )


def _rows_of_batch(batch: pa.RecordBatch, budget: _Budget) -> Iterator[dict[str, Any] | RowError]:
    sizes = sum((_row_bytes(column) for column in batch.columns), np.zeros(batch.num_rows, dtype=np.int64))
    start = 0
    while start < batch.num_rows:
        if sizes[start] > MAX_ROW_BYTES:
            budget.take(int(sizes[start]))
            yield RowError(WHOLE_ROW, f"is longer than {MAX_ROW_BYTES // 1024**2} MB")
            start += 1
            continue
        end, total = start + 1, int(sizes[start])
        while end < batch.num_rows and total + sizes[end] <= BYTES_AT_ONCE:
            total += int(sizes[end])
            end += 1
        budget.take(total)
        yield from _python_rows(batch.slice(start, end - start))
        start = end


def _row_bytes(column: pa.Array) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """About how many bytes each value comes to, what it refers to included: of shape (len(column),)."""
    kind = column.type
    if isinstance(column, pa.ExtensionArray):
        return _row_bytes(column.storage)
    if isinstance(column, pa.DictionaryArray):
        of_value = _row_bytes(column.dictionary)
        places = column.indices.fill_null(0).to_numpy(zero_copy_only=False)
        if not len(of_value):
            return np.zeros(len(column), dtype=np.int64)
        return of_value[places] * column.indices.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return _lengths(column)
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return _lengths(column)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        offsets = column.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
        values = pa.StructArray.from_arrays([column.keys, column.items], names=["k", "v"]) if (
            pa.types.is_map(kind)
        ) else column.values  # fmt: skip
        before = np.concatenate(([0], np.cumsum(_row_bytes(values) + BYTES_PER_VALUE)))
        return before[offsets[1:]] - before[offsets[:-1]]
    if pa.types.is_fixed_size_list(kind):
        return np.full(len(column), kind.list_size * BYTES_PER_VALUE, dtype=np.int64)
    if pa.types.is_struct(kind):
        parts = (_row_bytes(part) for part in column.flatten())
        return sum(parts, np.full(len(column), BYTES_PER_VALUE, dtype=np.int64))
    return np.full(len(column), BYTES_PER_VALUE, dtype=np.int64)


def _lengths(column: pa.Array) -> "np.ndarray[Any, np.dtype[np.int64]]":
    lengths = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    return lengths.astype(np.int64) + BYTES_PER_VALUE


def _python_rows(batch: pa.RecordBatch) -> list[dict[str, Any]]:
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
