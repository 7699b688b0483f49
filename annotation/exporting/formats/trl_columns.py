"""TRL's pairs of a batch of judgments, as columns or as JSON lines.

The pairs of a shape come from `trl.trl_rows` itself, with the places of responses for their texts.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from json.encoder import encode_basestring as json_text
from typing import Any

import numpy as np
import pyarrow as pa

from annotation.exporting.formats.base import ExportOptions
from annotation.exporting.raw_columns import RawComparisons, RowsOfBatch
from learning.interface.json_lines import escape_line_breaks, json_fragment
from learning.interface.record_rows import ComparisonRow

TrlRows = Callable[[ComparisonRow, ExportOptions, Counter[str]], Iterable[Mapping[str, Any]]]
# Of a pair's columns, those that follow from the judgment and not from its shape.
OF_JUDGMENT = {"group_id": "judgment_id", "source_id": "source_id", "metadata": "metadata"}
TEXTS = ("prompt", "chosen", "rejected")


@dataclass(frozen=True, kw_only=True)
class _Pairs:
    """The pairs of every shape, one after the other, and where those of each begin."""

    rows: list[Mapping[str, Any]]
    number_S: np.ndarray
    first_S: np.ndarray


def trl_columns(
    raw: RawComparisons,
    options: ExportOptions,
    counts: Counter[str],
    *,
    schema: pa.Schema,
    rows_of: TrlRows,
    plain_prompt: Callable[[list[dict[str, str]], Counter[str]], str],
) -> RowsOfBatch | None:
    """None for conversations with more than roles and contents. `rows_of`: a comparison's rows; `plain_prompt`: the
    messages of a prompt as the text of --plain.
    """
    if options.with_turns or not raw.has_plain_messages():
        return None
    pairs = _pairs_of_shapes(raw, options, counts, rows_of)
    number_B = pairs.number_S[raw.shape_B]
    judgment_P = np.repeat(np.arange(len(raw)), number_B)
    place_P = np.arange(len(judgment_P)) - np.repeat(np.cumsum(number_B) - number_B, number_B)
    pair_P = pairs.first_S[raw.shape_B][judgment_P] + place_P
    prompts = _prompts(raw)
    if options.plain:
        texts_B = [plain_prompt(messages, counts) for messages in prompts]
    splits = raw.splits()[judgment_P]
    if options.files == "jsonl":
        encoded = map(json_text, texts_B) if options.plain else map(_json_messages, prompts)
        lines = _lines(raw, pairs.rows, judgment_P, pair_P, list(encoded), options.plain, schema.names)
        return RowsOfBatch(splits=splits, lines=list(lines))
    first_P = raw.first_response_B[judgment_P]
    texts_R = raw.response_field("text")

    def column(field: pa.Field) -> pa.Array:
        if field.name in OF_JUDGMENT:
            return raw.columns[OF_JUDGMENT[field.name]].take(pa.array(judgment_P))
        if field.name == "prompt":
            if options.plain:
                return pa.array(texts_B, field.type).take(pa.array(judgment_P))
            return _as_messages(raw.columns["prompt"].take(pa.array(judgment_P)), field.type)
        values = [row[field.name] for row in pairs.rows]
        if field.name not in TEXTS:
            return pa.array(values, field.type).take(pa.array(pair_P))
        places = np.array(values, dtype=np.int64)
        texts_P = texts_R.take(pa.array(first_P + (places[pair_P] if len(places) else 0)))
        return texts_P if options.plain else _as_answers(texts_P, field.type)

    return RowsOfBatch(
        splits=splits, table=pa.Table.from_arrays([column(field) for field in schema], schema=schema)
    )


def _pairs_of_shapes(
    raw: RawComparisons, options: ExportOptions, counts: Counter[str], rows_of: TrlRows
) -> _Pairs:
    rows: list[Mapping[str, Any]] = []
    numbers = []
    judgments_S = np.bincount(raw.shape_B, minlength=len(raw.shapes)).tolist()
    for shape, n_judgments in zip(raw.shapes, judgments_S, strict=True):
        counted: Counter[str] = Counter()
        of_shape = list(rows_of(shape, replace(options, plain=True), counted))
        for what, number in counted.items():
            counts[what] += number * n_judgments
        rows += of_shape
        numbers.append(len(of_shape))
    number_S = np.array(numbers, dtype=np.int64)
    return _Pairs(rows=rows, number_S=number_S, first_S=np.cumsum(number_S) - number_S)


def _prompts(raw: RawComparisons) -> Iterator[list[dict[str, str]]]:
    messages = raw.columns["prompt"].flatten()
    turns = iter(zip(messages.field("role").to_pylist(), messages.field("content").to_pylist(), strict=True))
    for number in raw.columns["prompt"].value_lengths().to_pylist():
        yield [{"role": role, "content": content} for role, content in (next(turns) for _ in range(number))]


def _json_messages(messages: list[dict[str, str]]) -> str:
    turns = [f'{{"role":{json_text(m["role"])},"content":{json_text(m["content"])}}}' for m in messages]
    return f"[{','.join(turns)}]"


def _lines(
    raw: RawComparisons,
    pairs: list[Mapping[str, Any]],
    judgment_P: np.ndarray,
    pair_P: np.ndarray,
    prompts_B: list[str],
    plain: bool,
    names: list[str],
) -> Iterator[bytes]:
    """The same bytes as `json_line` of each row: what follows from the shape is encoded once."""
    texts_R = [json_text(text) for text in raw.response_field("text").to_pylist()]
    own = {
        name: ["null" if text is None else json_text(text) for text in raw.columns[column].to_pylist()]
        for name, column in OF_JUDGMENT.items()
    }
    line_of = [_line_form(pair, plain, names) for pair in pairs]
    places = [(int(pair["chosen"]), int(pair["rejected"])) for pair in pairs]
    first_B = raw.first_response_B.tolist()
    for judgment, pair in zip(judgment_P.tolist(), pair_P.tolist(), strict=True):
        first, (chosen, rejected) = first_B[judgment], places[pair]
        line = line_of[pair] % {
            "prompt": prompts_B[judgment],
            "chosen": texts_R[first + chosen],
            "rejected": texts_R[first + rejected],
            "group_id": own["group_id"][judgment],
            "source_id": own["source_id"][judgment],
            "metadata": own["metadata"][judgment],
        }
        yield escape_line_breaks(line).encode() + b"\n"


def _line_form(pair: Mapping[str, Any], plain: bool, names: list[str]) -> str:
    """The line with a place for each text."""
    answer = "%({})s" if plain else '[{{"role":"assistant","content":%({})s}}]'
    parts = []
    for name in names:
        if name in ("chosen", "rejected"):
            value = answer.format(name)
        elif name == "prompt" or name in OF_JUDGMENT:
            value = f"%({name})s"
        else:
            value = json_fragment(pair[name]).replace("%", "%%")
        parts.append(f"{json_text(name)}:{value}")
    return f"{{{','.join(parts)}}}"


def _as_messages(messages: pa.Array, kind: pa.DataType) -> pa.Array:
    flat = messages.flatten()
    structs = pa.StructArray.from_arrays(
        [flat.field("role"), flat.field("content")], fields=list(kind.value_type)
    )
    offsets = np.append(0, np.cumsum(messages.value_lengths().to_numpy())).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs, type=kind)


def _as_answers(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Each text as the one turn of an assistant."""
    roles = pa.repeat(pa.scalar("assistant"), len(texts))
    structs = pa.StructArray.from_arrays([roles, texts], fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(np.arange(len(texts) + 1, dtype=np.int32)), structs, type=kind)
