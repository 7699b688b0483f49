"""Export formats: what one row of a format is, computed from a snapshot's rows.

To add a format: a function from COMPARISONS rows to its rows, its schema, and its name in VIEWS.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pyarrow as pa

from annotation.comparisons import EVEN
from annotation.importing.transcripts import survives_transcript, to_transcript
from annotation.weak_orders import MAX_GRADE
from learning.records import COMPARISONS, JUDGMENTS, ComparisonRow, JudgmentRow

Ties = Literal["drop", "soft"]
TIES = ("drop", "soft")
# Llama 2, table 27, read between its grades for the mean grades of a consensus. Both tables are straight
# lines.
MARGINS: Mapping[str, Callable[[float], float]] = {
    "small": lambda grade: grade / MAX_GRADE,
    "large": lambda grade: grade,
    "none": lambda grade: 0.0,
}

_TEXT = pa.string()
_MESSAGES = pa.list_(
    pa.struct([pa.field("role", _TEXT, nullable=False), pa.field("content", _TEXT, nullable=False)])
)
_PAIR_COLUMNS = [
    pa.field("margin", pa.float64()),
    pa.field("strength", pa.int64()),
    pa.field("weight", pa.float64()),
    pa.field("group_id", _TEXT),
    pa.field("pair_index", pa.int64()),
    pa.field("n_pairs_in_group", pa.int64()),
    pa.field("agreement", pa.float64()),
    pa.field("soft_label", pa.float64()),
]
TRL = pa.schema([pa.field(name, _MESSAGES) for name in ("prompt", "chosen", "rejected")] + _PAIR_COLUMNS)
TRL_PLAIN = pa.schema([pa.field(name, _TEXT) for name in ("prompt", "chosen", "rejected")] + _PAIR_COLUMNS)
# A Parquet map is a list of (key, value) pairs that `datasets` cannot read under that name: the same pairs as
# structs it can.
_MARKS = pa.list_(
    pa.struct([pa.field("key", _TEXT, nullable=False), pa.field("value", pa.float64(), nullable=False)])
)


def _judgments_for_datasets() -> pa.Schema:
    place = JUDGMENTS.get_field_index("responses")
    response = [
        pa.field("marks", _MARKS, nullable=False) if field.name == "marks" else field
        for field in JUDGMENTS.field("responses").type.value_type
    ]
    return JUDGMENTS.set(place, pa.field("responses", pa.list_(pa.struct(response)), nullable=False))


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    files: str = "parquet"
    ties: Ties = "drop"
    plain: bool = False
    margin: str = "small"


@dataclass(frozen=True, kw_only=True)
class View:
    """A format. `of_judgments`: its rows are the snapshot's judgments themselves."""

    schema: Callable[[ViewOptions], pa.Schema]
    rows: Callable[[ComparisonRow, ViewOptions, Counter[str]], Iterable[Mapping[str, Any]]] | None = None
    one_criterion: bool = False
    description: str = field(kw_only=True)

    @property
    def of_judgments(self) -> bool:
        return self.rows is None


def judgment_for_export(row: JudgmentRow, options: ViewOptions) -> Mapping[str, Any]:
    """The snapshot's row itself; in Parquet the marks as a list of pairs."""
    if options.files != "parquet":
        return row
    responses = [
        response | {"marks": [{"key": key, "value": value} for key, value in response["marks"].items()]}
        for response in row["responses"]
    ]
    return row | {"responses": responses}


def _record(row: ComparisonRow, options: ViewOptions, counted: Counter[str]) -> Iterator[Mapping[str, Any]]:
    counted["intransitive_groups" if row["ranks"] is None else "weak_orders"] += 1
    yield row


def trl_rows(row: ComparisonRow, options: ViewOptions, counted: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """One row a pair: the side with the larger share is chosen.

    Ties are left out and counted, or written with soft_label 0.5; never turned into a preference. Pairs that were
    never compared are counted too; the rows themselves do not tell them from ties that were left out.
    """
    pairs: list[tuple[int, int, float]] = []
    shares = row["soft_preference"]
    for i, j in itertools.combinations(range(len(row["responses"])), 2):
        share = shares[i][j]
        if share is None:
            counted["pairs_never_compared"] += 1
        elif abs(share - 0.5) < EVEN:
            counted["ties_written" if options.ties == "soft" else "ties_dropped"] += 1
            if options.ties == "soft":
                pairs.append((i, j, 0.5))
        else:
            pairs.append((i, j, share) if share > 0.5 else (j, i, 1 - share))
    if not pairs:
        counted["groups_without_rows"] += 1
    prompt = _prompt(row, options, counted)
    for place, (better, worse, share) in enumerate(pairs):
        grade = 0.0 if share == 0.5 else (row["grade"][better][worse] or 0.0)
        yield {
            "prompt": prompt,
            "chosen": _answer(row["responses"][better], options),
            "rejected": _answer(row["responses"][worse], options),
            "margin": MARGINS[options.margin](grade),
            "strength": int(grade + 0.5),
            "weight": row["weight"],
            "group_id": row["group_id"],
            "pair_index": place,
            "n_pairs_in_group": len(pairs),
            "agreement": row["agreement"],
            "soft_label": share,
        }


def _prompt(row: ComparisonRow, options: ViewOptions, counted: Counter[str]) -> Any:
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]]
    if not options.plain:
        return messages
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    if not survives_transcript(messages):
        counted["prompts_ambiguous_as_text"] += 1
    return to_transcript(messages)


def _answer(text: str, options: ViewOptions) -> Any:
    return text if options.plain else [{"role": "assistant", "content": text}]


VIEWS: Mapping[str, View] = {
    "records": View(
        schema=lambda options: COMPARISONS,
        rows=_record,
        description="comparisons: one row a judgment (or a task), ranks, grades and shares of each pair",
    ),
    "judgments": View(
        schema=lambda options: _judgments_for_datasets() if options.files == "parquet" else JUDGMENTS,
        description="judgments: one row a judgment, the append-only history included",
    ),
    "trl": View(
        schema=lambda options: TRL_PLAIN if options.plain else TRL,
        rows=trl_rows,
        one_criterion=True,
        description="pairs: prompt, chosen, rejected, with margin, strength and the group each pair comes from",
    ),
}
