"""Judgments for a spreadsheet: one row a judgment, a column for each response and what is said of it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.datasets.shards import CSV
from annotation.exporting.formats.base import ExportFormat, ExportOptions
from learning.interface.messages import answer_text
from learning.interface.record_rows import JudgmentRow

_TEXT, _TRUTH, _INTEGER = pa.string(), pa.bool_(), pa.int64()
# A spreadsheet's reader takes an empty cell for a number it does not know, which no integer is.
_NUMBER = pa.float64()
_BEFORE = [
    pa.field("judgment_id", _TEXT), pa.field("supersedes", _TEXT), pa.field("is_current", _TRUTH),
    pa.field("withdrawn", _TRUTH), pa.field("surplus", _TRUTH), pa.field("project", _TEXT), pa.field("batch", _TEXT),
    pa.field("round", _NUMBER), pa.field("criterion", _TEXT), pa.field("purpose", _TEXT), pa.field("task_id", _TEXT),
    pa.field("prompt_id", _TEXT), pa.field("prompt", _TEXT), pa.field("n_responses", _INTEGER),
]  # fmt: skip
_OF_RESPONSE = {"response": _TEXT, "rank": _NUMBER, "response_id": _TEXT, "source": _TEXT, "policy": _TEXT}
_AFTER = [
    pa.field("strengths", _TEXT), pa.field("marks", _TEXT), pa.field("order_shown", _TEXT),
    pa.field("annotator", _TEXT), pa.field("annotator_kind", _TEXT), pa.field("rationale", _TEXT),
    pa.field("flags", _TEXT), pa.field("seconds", _NUMBER), pa.field("guideline_version", _NUMBER),
    pa.field("settings_version", _INTEGER), pa.field("split", _TEXT), pa.field("created_at", _TEXT),
    pa.field("source_id", _TEXT), pa.field("metadata", _TEXT), pa.field("confidence", _NUMBER),
    pa.field("other_marks", _TEXT),
]  # fmt: skip


def csv_schema(options: ExportOptions) -> pa.Schema:
    """As many columns of responses as the largest judgment has."""
    of_responses = [
        pa.field(f"{name}_{number}", kind)
        for number in range(1, options.most_responses + 1)
        for name, kind in _OF_RESPONSE.items()
    ]
    return pa.schema([*_BEFORE, *of_responses, *_AFTER])


def csv_rows(row: JudgmentRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    ranks = {response_id: rank for rank, tier in enumerate(row["tiers"]) for response_id in tier}
    numbers = {response["response_id"]: place for place, response in enumerate(row["responses"], start=1)}
    cells: dict[str, Any] = dict(row)
    for number, response in enumerate(row["responses"], start=1):
        turns = response.get("turns")
        counts["responses_with_turns_as_text"] += turns is not None
        own = {
            "response": response["text"] if turns is None else answer_text([dict(turn) for turn in turns]),
            "rank": ranks.get(response["response_id"]),
            "response_id": response["response_id"],
            "source": response["source"],
            "policy": response["policy"],
        }
        cells |= {f"{name}_{number}": value for name, value in own.items()}
    other = json.loads(row.get("other_marks") or "{}")
    cells["other_marks"] = _json({str(numbers[response_id]): said for response_id, said in other.items()})
    yield cells | {
        "prompt": _conversation_text(row["prompt"]),
        "n_responses": len(row["responses"]),
        "strengths": _json(row["strengths"]),
        "marks": _json(
            {
                str(numbers[response["response_id"]]): response["marks"]
                for response in row["responses"]
                if response["marks"]
            }
        ),
        "order_shown": _json([numbers[response_id] for response_id in row["order_shown"]]),
        "flags": _json(row["flags"]),
    }


def _conversation_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """For people: a single question as it is, else every turn after the name of its role."""
    if len(messages) == 1 and messages[0]["role"] == "user":
        return str(messages[0]["content"])
    return "\n\n".join(
        f"{turn['role']}: {turn['content'] if turn['role'] != 'assistant' else answer_text([dict(turn)])}"
        for turn in messages
    )


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""


CSV_FORMAT = ExportFormat(
    name="csv",
    schema=csv_schema,
    rows=csv_rows,
    of_judgments=True,
    description=gettext_noop(
        "judgments for a spreadsheet, one row each, with a column for every response and its rank"
    ),
    file_kinds=(CSV,),
    losses={
        "responses_with_turns_as_text": "responses with tool calls or several turns, written as one text",
    },
)
