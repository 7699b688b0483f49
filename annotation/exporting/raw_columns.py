"""Raw comparisons of a dataset as Arrow columns: no Python object a row.

Of a judgment only its shape is computed: the ranks of its responses and the strengths of its steps. There are few of
them, whatever the number of judgments; each is merged once, by the same function as everywhere
(`preferences.comparisons`), with placeholders for what people wrote. Texts, ids and messages are the dataset's columns.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from annotation.preferences.comparisons import counted_rows, merge_judgments
from annotation.preferences.weak_orders import MAX_STRENGTH, ranks_to_tiers
from learning.interface.record_rows import ComparisonRow
from learning.interface.record_schemas import JUDGMENTS

# What raw comparisons are made of, of JUDGMENTS and of its responses.
_COLUMNS = (
    "judgment_id is_current withdrawn surplus round criterion prompt tiers strengths annotator annotator_kind split "
    "source_id metadata"
).split()
_OF_RESPONSES = {"response_id", "text", "turns", "ended"}
COLUMNS = [*_COLUMNS, *(f"responses.list.element.{name}" for name in sorted(_OF_RESPONSES))]
# What a shape's key has room for; a batch with more of anything is written row by row.
_MAX_RESPONSES = 9
_NO_STRENGTH = MAX_STRENGTH + 1


@dataclass(frozen=True, kw_only=True)
class RowsOfBatch:
    """What a format makes of a batch: the split of each row, and the rows as a table or as JSON lines."""

    splits: np.ndarray
    table: pa.Table | None = None
    lines: Sequence[bytes] | None = None


class RawComparisons:
    """The judgments of a record batch that count, each one comparison. B of them, R responses in all.

    `columns`: those of JUDGMENTS; `shapes`: the distinct COMPARISONS rows, without texts; `shape_B`: which is whose.
    """

    def __init__(
        self,
        columns: pa.RecordBatch,
        first_response_B: np.ndarray,
        shapes: Sequence[ComparisonRow],
        shape_B: np.ndarray,
    ) -> None:
        self.columns = columns
        self.responses_R = columns["responses"].flatten()
        self.first_response_B = first_response_B
        self.shapes = shapes
        self.shape_B = shape_B

    def __len__(self) -> int:
        return int(self.columns.num_rows)

    def response_field(self, name: str) -> pa.Array:
        """(R,)"""
        return self.responses_R.field(name)

    def lists_of_responses(self, values_R: pa.Array, kind: pa.DataType) -> pa.Array:
        """(B,) lists, each of the values of one comparison's responses."""
        offsets = np.append(self.first_response_B, len(values_R)).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values_R, type=kind)

    def of_shapes(self, name: str, kind: pa.DataType) -> pa.Array:
        """(B,) the column of that name, which follows from the shape."""
        values = [shape[name] for shape in self.shapes]  # type: ignore[literal-required]
        return pa.array(values, type=kind).take(pa.array(self.shape_B))

    def splits(self) -> np.ndarray:
        """(B,)"""
        return self.columns["split"].to_numpy(zero_copy_only=False)

    def has_plain_messages(self) -> bool:
        """Whether every prompt is roles and contents, and every response a text."""
        messages = self.columns["prompt"].flatten()
        extras = [messages.field(name) for name in ("tool_calls", "tool_call_id", "name")]
        return all(column.null_count == len(column) for column in (*extras, self.response_field("turns")))


def raw_comparison_columns(batch: pa.RecordBatch, known: dict[int, ComparisonRow]) -> RawComparisons | None:
    """The judgments of the batch that count; None where it has to go row by row (files of an earlier schema, shapes
    that have no key). `known`: the shapes of earlier batches by their keys, added to.
    """
    if not _has_all_columns(batch):
        return None
    counted = counted_rows(batch)
    if counted.false_count:
        batch = batch.filter(counted)
    if not batch.num_rows:
        return RawComparisons(batch, np.zeros(0, dtype=np.int64), [], np.zeros(0, dtype=np.int64))
    size_B = _lengths(batch["responses"])
    first_B = np.cumsum(size_B) - size_B
    ranks_R = _ranks_of_responses(batch, size_B)
    strengths = pc.fill_null(batch["strengths"].flatten(), _NO_STRENGTH).to_numpy()
    steps_B = _lengths(batch["strengths"])
    if ranks_R is None or size_B.max() > _MAX_RESPONSES or steps_B.max() >= _MAX_RESPONSES:
        return None
    if len(strengths) and not 0 <= strengths.min() <= strengths.max() <= _NO_STRENGTH:
        return None
    key_B = _keys(size_B, ranks_R, steps_B, strengths)
    keys, first_with_U, shape_B = np.unique(key_B, return_index=True, return_inverse=True)
    first_step_B = np.cumsum(steps_B) - steps_B
    for key, row in zip(keys.tolist(), first_with_U.tolist(), strict=True):
        if key not in known:
            ranks = ranks_R[first_B[row] : first_B[row] + size_B[row]].tolist()
            steps = strengths[first_step_B[row] : first_step_B[row] + steps_B[row]].tolist()
            known[key] = _merged(ranks, [None if s == _NO_STRENGTH else s for s in steps])
    return RawComparisons(batch, first_B, [known[key] for key in keys.tolist()], shape_B)


def _has_all_columns(batch: pa.RecordBatch) -> bool:
    found = {field.name: field.type for field in batch.schema}
    of_responses = {field.name for field in found["responses"].value_type}
    return of_responses >= _OF_RESPONSES and all(
        found.get(name) == JUDGMENTS.field(name).type for name in _COLUMNS
    )


def _lengths(lists: pa.Array) -> np.ndarray:
    return pc.list_value_length(lists).to_numpy().astype(np.int64)


def _ranks_of_responses(batch: pa.RecordBatch, size_B: np.ndarray) -> np.ndarray | None:
    """(R,) the tier of each response; None where the tiers of a row are not its responses."""
    tiers = batch["tiers"].flatten()  # (T,) lists of ids
    tiers_B, size_T = _lengths(batch["tiers"]), _lengths(tiers)
    rank_T = np.arange(len(tiers)) - np.repeat(np.cumsum(tiers_B) - tiers_B, tiers_B)
    row_T = np.repeat(np.arange(len(tiers_B)), tiers_B)
    ranked_row, rank = np.repeat(row_T, size_T), np.repeat(rank_T, size_T)
    row_R = np.repeat(np.arange(len(size_B)), size_B)
    if len(ranked_row) != len(row_R) or (ranked_row != row_R).any():
        return None
    ids = pa.concat_arrays([batch["responses"].flatten().field("response_id"), tiers.flatten()])
    codes = ids.dictionary_encode().indices.to_numpy()
    code_R, ranked_code = codes[: len(row_R)], codes[len(row_R) :]
    in_row, in_tiers = np.lexsort((code_R, row_R)), np.lexsort((ranked_code, row_R))
    if (code_R[in_row] != ranked_code[in_tiers]).any():
        return None
    ranks_R = np.empty_like(rank)
    ranks_R[in_row] = rank[in_tiers]
    return ranks_R


def _keys(size_B: np.ndarray, ranks_R: np.ndarray, steps_B: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """(B,) one number a shape: digits of the ranks, then of the strengths, and how many there are of each."""
    ranks_B = _digits(ranks_R, size_B, _MAX_RESPONSES)
    strengths_B = _digits(strengths, steps_B, _NO_STRENGTH + 1)
    room = (_NO_STRENGTH + 1) ** (_MAX_RESPONSES - 1)
    counts_B = size_B * _MAX_RESPONSES + steps_B
    return (counts_B * room + strengths_B) * _MAX_RESPONSES**_MAX_RESPONSES + ranks_B


def _digits(values: np.ndarray, lengths: np.ndarray, base: int) -> np.ndarray:
    """The values of each row as one number of that base. Exact: all are below 2**53."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(values)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.bincount(rows, weights=values * float(base) ** places, minlength=len(lengths)).astype(np.int64)


def _merged(ranks: list[int], strengths: list[int | None]) -> ComparisonRow:
    """The comparison of a judgment with these; the text of each response is its place."""
    places = [str(place) for place in range(len(ranks))]
    judgment: Mapping[str, Any] = {
        "responses": [{"response_id": place, "text": place} for place in places],
        "tiers": [[places[place] for place in tier] for tier in ranks_to_tiers(ranks)],
        "strengths": strengths,
        "annotator": "",
        "annotator_kind": "",
        "criterion": "",
        "prompt": [{"role": "user", "content": ""}],
        "round": None,
        "split": "",
    }
    return merge_judgments("", [judgment], {})


def take_splits(rows: RowsOfBatch, names: Iterable[str]) -> Iterable[tuple[str, pa.Table | list[bytes]]]:
    """(split, its rows in their order) of what a format made."""
    for name in names:
        places = np.flatnonzero(rows.splits == name)
        if not len(places):
            continue
        if rows.table is not None:
            yield name, rows.table if len(places) == len(rows.splits) else rows.table.take(pa.array(places))
        elif rows.lines is not None:
            yield name, [rows.lines[place] for place in places.tolist()]
