"""Rows that cross the border between the site and training: schemas, a strict reader, a deterministic writer.

Parquet and JSON Lines carry the same columns; timestamps are ISO 8601 UTC text; ids are text. Every row is
checked on the way out and on the way in; an error names the file, the row (the line, in JSON Lines) and the
column. What this module does not do: map foreign columns or repair rows. Importers do that first.
"""

import gzip
import io
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from learning.options import UserError
from learning.record_checks import ExtraColumns, checked_row

ROWS_PER_CHUNK = 10_000  # one Parquet row group; bounds the memory of a writer and of a reader


class Message(TypedDict):
    role: str
    content: str


class Sampling(TypedDict):
    temperature: float | None
    top_p: float | None
    top_k: int | None
    max_tokens: int | None
    repetition_penalty: float | None
    seed: int | None


class PromptRow(TypedDict):
    prompt_id: str
    messages: list[Message]
    kind: str
    split: str
    author: str | None
    tags: list[str]


class DemonstrationRow(TypedDict):
    prompt_id: str
    prompt: list[Message]
    response: str
    author: str | None
    split: str


class ResponseRow(TypedDict):
    response_id: str
    prompt_id: str
    prompt: list[Message]
    text: str
    source: str
    policy: str | None
    sampling: Sampling | None
    created_at: str


class SampledResponseRow(ResponseRow):
    token_ids: list[int]
    logprobs: list[float]


class ComparisonRow(TypedDict):
    group_id: str
    criterion: str
    prompt: list[Message]
    responses: list[str]
    response_ids: list[str]
    ranks: list[int] | None
    grade: list[list[float | None]]
    soft_preference: list[list[float | None]]
    weight: float
    n_annotators: int
    agreement: float | None
    annotator_kind: str
    round: int | None
    split: str


class JudgedResponse(TypedDict):
    response_id: str
    text: str
    source: str
    policy: str | None
    sampling: Sampling | None
    marks: dict[str, float]


class JudgmentRow(TypedDict):
    judgment_id: str
    supersedes: str | None
    is_current: bool
    withdrawn: bool
    surplus: bool
    project: str
    batch: str
    round: int | None
    criterion: str
    purpose: str
    task_id: str
    prompt_id: str
    prompt: list[Message]
    responses: list[JudgedResponse]
    order_shown: list[str]
    tiers: list[list[str]]
    strengths: list[int]
    annotator: str
    annotator_kind: str
    rationale: str | None
    flags: list[str]
    seconds: float
    guideline_version: int | None
    settings_version: int
    split: str
    created_at: str


class ScoreRow(TypedDict):
    response_id: str
    prompt_id: str
    reward: float


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _list_of(kind: pa.DataType, *, nullable: bool = False) -> pa.ListType:
    return pa.list_(pa.field("element", kind, nullable=nullable))


_TEXT = pa.string()
_MESSAGES = _list_of(pa.struct([_required("role", _TEXT), _required("content", _TEXT)]))
_SAMPLING = pa.struct(
    [
        pa.field("temperature", pa.float64()),
        pa.field("top_p", pa.float64()),
        pa.field("top_k", pa.int64()),
        pa.field("max_tokens", pa.int64()),
        pa.field("repetition_penalty", pa.float64()),
        pa.field("seed", pa.int64()),
    ]
)
_PAIR_TABLE = _list_of(_list_of(pa.float64(), nullable=True))  # K x K, null where never compared

PROMPTS = pa.schema(
    [
        _required("prompt_id", _TEXT),
        _required("messages", _MESSAGES),
        _required("kind", _TEXT),
        _required("split", _TEXT),
        pa.field("author", _TEXT),
        _required("tags", _list_of(_TEXT)),
    ]
)
DEMONSTRATIONS = pa.schema(
    [
        _required("prompt_id", _TEXT),
        _required("prompt", _MESSAGES),
        _required("response", _TEXT),
        pa.field("author", _TEXT),
        _required("split", _TEXT),
    ]
)
RESPONSES = pa.schema(
    [
        _required("response_id", _TEXT),
        _required("prompt_id", _TEXT),
        _required("prompt", _MESSAGES),
        _required("text", _TEXT),
        _required("source", _TEXT),
        pa.field("policy", _TEXT),
        pa.field("sampling", _SAMPLING),
        _required("created_at", _TEXT),
    ]
)
# What our own sampler writes: the tokens drawn, and their log-probabilities (nats) at its temperature.
SAMPLED_RESPONSES = pa.schema(
    [
        *RESPONSES,
        _required("token_ids", _list_of(pa.int32())),
        _required("logprobs", _list_of(pa.float64())),
    ]
)
COMPARISONS = pa.schema(
    [
        _required("group_id", _TEXT),
        _required("criterion", _TEXT),
        _required("prompt", _MESSAGES),
        _required("responses", _list_of(_TEXT)),
        _required("response_ids", _list_of(_TEXT)),
        pa.field("ranks", _list_of(pa.int64())),
        _required("grade", _PAIR_TABLE),
        _required("soft_preference", _PAIR_TABLE),
        _required("weight", pa.float64()),
        _required("n_annotators", pa.int64()),
        pa.field("agreement", pa.float64()),
        _required("annotator_kind", _TEXT),
        pa.field("round", pa.int64()),
        _required("split", _TEXT),
    ]
)
JUDGMENTS = pa.schema(
    [
        _required("judgment_id", _TEXT),
        pa.field("supersedes", _TEXT),
        _required("is_current", pa.bool_()),
        _required("withdrawn", pa.bool_()),
        _required("surplus", pa.bool_()),
        _required("project", _TEXT),
        _required("batch", _TEXT),
        pa.field("round", pa.int64()),
        _required("criterion", _TEXT),
        _required("purpose", _TEXT),
        _required("task_id", _TEXT),
        _required("prompt_id", _TEXT),
        _required("prompt", _MESSAGES),
        _required(
            "responses",
            _list_of(
                pa.struct(
                    [
                        _required("response_id", _TEXT),
                        _required("text", _TEXT),
                        _required("source", _TEXT),
                        pa.field("policy", _TEXT),
                        pa.field("sampling", _SAMPLING),
                        _required("marks", pa.map_(_TEXT, pa.field("value", pa.float64(), nullable=False))),
                    ]
                )
            ),
        ),
        _required("order_shown", _list_of(_TEXT)),
        _required("tiers", _list_of(_list_of(_TEXT))),
        _required("strengths", _list_of(pa.int64())),
        _required("annotator", _TEXT),
        _required("annotator_kind", _TEXT),
        pa.field("rationale", _TEXT),
        _required("flags", _list_of(_TEXT)),
        _required("seconds", pa.float64()),
        pa.field("guideline_version", pa.int64()),
        _required("settings_version", pa.int64()),
        _required("split", _TEXT),
        _required("created_at", _TEXT),
    ]
)
SCORES = pa.schema(
    [_required("response_id", _TEXT), _required("prompt_id", _TEXT), _required("reward", pa.float64())]
)


def iso_utc(moment: datetime) -> str:
    """The one spelling of a time in records: `2026-01-31T09:30:00.000000Z`. Naive times are refused."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def check_row(row: Mapping[str, Any], schema: pa.Schema, where: str) -> dict[str, Any]:
    """The row with the schema's columns in order and absent nullable columns as None.

    Raises UserError naming `where`, the column and the value; unknown columns are an error.
    """
    return checked_row(row, schema, lambda: where, "refuse")


def write_records(path: str | Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write the rows to `.parquet`, `.jsonl` or `.jsonl.gz`; returns how many.

    Equal rows give equal bytes. The file appears whole or not at all (temporary name, fsync, rename).
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    checked = (
        checked_row(row, schema, lambda n=number: f"{path.name}: row {n}", "refuse")  # type: ignore[misc]
        for number, row in enumerate(rows, start=1)
    )
    try:
        with open(temporary, "wb") as file:
            count = _writer(path)(file, checked, schema)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def read_records(
    path: str | Path, schema: pa.Schema, *, extra_columns: ExtraColumns = "refuse"
) -> list[dict[str, Any]]:
    """All rows of a file, checked; see `iterate_records`."""
    return list(iterate_records(path, schema, extra_columns=extra_columns))


def iterate_records(
    path: str | Path, schema: pa.Schema, *, extra_columns: ExtraColumns = "refuse"
) -> Iterator[dict[str, Any]]:
    """The rows of a file, checked one by one with bounded memory.

    Raises UserError for a missing or unreadable file, a row that is not as the schema says, and a column the
    schema does not have (unless `extra_columns` is "ignore").
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
        yield checked_row(row, schema, lambda n=number: f"{path}: {unit} {n}", extra_columns)  # type: ignore[misc]


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
        line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        file.write(line.encode() + b"\n")
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
                    yield number, _parsed(line, f"{path}: line {number}")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text after line {number} ({error.reason})") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise UserError(f"{path}: damaged gzip file after line {number} ({error})") from error


def _parsed(line: str, where: str) -> Any:
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
