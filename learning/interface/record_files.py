"""Record files: a strict reader and a deterministic writer of Parquet and JSON Lines.

Both forms carry the same columns. Every row is validated when it is written and when it is read; an error
names the file, the row (the line, in JSON Lines) and the column. What this module does not do: map foreign
columns or repair rows. Importers do that first.
"""

import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from learning.interface.atomic_files import atomic_file
from learning.interface.json_lines import json_line
from learning.interface.options import UserError
from learning.interface.record_checks import ExtraColumns, validate_row

ROWS_PER_CHUNK = 10_000  # one Parquet row group; bounds the memory of a writer and of a reader


def write_records(path: str | Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write the rows to `.parquet`, `.jsonl` or `.jsonl.gz`; returns how many.

    Equal rows give equal bytes. The file is written atomically.
    """
    path = Path(path)
    write = _writer(path)
    checked = (
        validate_row(row, schema, lambda n=number: f"{path.name}: row {n}")  # type: ignore[misc]
        for number, row in enumerate(rows, start=1)
    )
    with atomic_file(path) as file:
        return write(file, checked, schema)


def read_records(
    path: str | Path, schema: pa.Schema, *, extra_columns: ExtraColumns = "refuse"
) -> list[dict[str, Any]]:
    """All rows of a file, checked; see `iterate_records`."""
    return list(iterate_records(path, schema, extra_columns=extra_columns))


def iterate_records(
    path: str | Path, schema: pa.Schema, *, extra_columns: ExtraColumns = "refuse"
) -> Iterator[dict[str, Any]]:
    """The rows of a file, checked one by one with bounded memory.

    Raises UserError for a missing or unreadable file, a row that is not as the schema says, and a column
    the schema does not have (unless `extra_columns` is "ignore").
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".parquet":
        numbered, unit = _parquet_rows(path, schema, extra_columns), "row"
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        numbered, unit = _json_lines(path), "line"
    else:
        raise UserError(f"{path}: expected a file that ends in .parquet, .jsonl or .jsonl.gz")
    for number, row in numbered:
        yield validate_row(row, schema, lambda n=number: f"{path}: {unit} {n}", extra_columns)  # type: ignore[misc]


def _writer(path: Path) -> Callable[[Any, Iterable[dict[str, Any]], pa.Schema], int]:
    if path.suffix == ".parquet":
        return _write_parquet
    if path.suffix == ".jsonl":
        return _write_json_lines
    if path.name.endswith(".jsonl.gz"):
        return _write_gzip
    raise UserError(f"{path}: records go to a file that ends in .parquet, .jsonl or .jsonl.gz")


def _write_parquet(file: Any, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for chunk in _chunks(rows):
            writer.write_table(pa.Table.from_pylist(chunk, schema=schema), row_group_size=ROWS_PER_CHUNK)
            count += len(chunk)
    return count


def _write_json_lines(file: Any, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    count = 0
    for row in rows:
        file.write(json_line(row))
        count += 1
    return count


def _write_gzip(file: Any, rows: Iterable[dict[str, Any]], schema: pa.Schema) -> int:
    # No name and no time in the header: they would make equal rows give different bytes.
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as compressed:
        return _write_json_lines(compressed, rows, schema)


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS_PER_CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _parquet_rows(
    path: Path, schema: pa.Schema, extra_columns: ExtraColumns
) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({_first_line(error)})") from error
    with file:
        found = file.schema_arrow.names
        for name in found:
            if name not in schema.names and extra_columns == "refuse":
                raise UserError(f"{path}: unknown column {name!r}; expected {', '.join(schema.names)}")
        for field in schema:
            if field.name not in found and not field.nullable:
                raise UserError(f"{path}: the column {field.name!r} is missing; found {', '.join(found)}")
        number = 0
        columns = [name for name in schema.names if name in found]
        try:
            for batch in file.iter_batches(batch_size=ROWS_PER_CHUNK, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{path}: unreadable after row {number} ({_first_line(error)})") from error


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    opened: Any = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")  # noqa: SIM115
    number = 0
    try:
        with opened as binary:
            # newline="\n": a lone carriage return or a Unicode line separator inside a row ends no line.
            for line in io.TextIOWrapper(binary, encoding="utf-8-sig", newline="\n"):
                number += 1
                if line.strip():
                    yield number, _parse_json(line, f"{path}: line {number}")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text after line {number} ({error.reason})") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise UserError(f"{path}: damaged gzip file after line {number} ({error})") from error


def _parse_json(line: str, where: str) -> Any:
    try:
        return json.loads(line, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error.msg} at character {error.pos + 1})") from error
    except RecursionError as error:
        raise UserError(f"{where}: nested too deeply to be a record") from error
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
