"""Pairs as HelpSteer3 has them (https://huggingface.co/datasets/nvidia/HelpSteer3, preference): one row two responses
to a context, with what each annotator said of them.

The scale is -3..3, negative where the first response is better, 0 about the same. Nothing on it is a preference without
a strength, or one that is negligible: both are written as 1, the least there is, and counted.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.columns import TEXT, needs_turns
from annotation.exporting.formats.pairs import (
    PAIR_COLUMNS,
    PAIR_LOSSES,
    Pair,
    compared_pairs,
    pair_columns,
)
from annotation.preferences.comparisons import lookup_pair, merge_judgments, pair_preferences
from learning.interface.record_rows import ComparisonRow, JudgmentRow

_MESSAGE = pa.struct([pa.field("role", TEXT), pa.field("content", TEXT)])
_PREFERENCE = [
    pa.field("score", pa.int64()),
    *(pa.field(name, TEXT) for name in ("reasoning", "feedback1", "feedback2")),
]
# What HelpSteer3 does not have: who it was, and the strength as it was given.
_FURTHER = [pa.field("annotator", TEXT), pa.field("strength", pa.int64())]
# As an import joins the three; the reasoning comes first.
_FEEDBACK = {
    name: re.compile(rf"(?:^|\n\n)Response {n}: ") for n, name in ((1, "feedback1"), (2, "feedback2"))
}


def helpsteer3_schema(options: ExportOptions) -> pa.Schema:
    individual = pa.struct(_PREFERENCE + (_FURTHER if options.all_columns else []))
    return pa.schema(
        [
            pa.field("context", pa.list_(_MESSAGE)),
            pa.field("response1", TEXT),
            pa.field("response2", TEXT),
            pa.field("overall_preference", pa.int64()),
            pa.field("individual_preference", pa.list_(individual)),
            *(PAIR_COLUMNS if options.all_columns else []),
        ]
    )


def helpsteer3_rows(
    question: tuple[str, Sequence[JudgmentRow]], options: ExportOptions, counts: Counter[str]
) -> Iterator[Mapping[str, Any]]:
    """The overall preference is what most annotators of the question prefer, by the mean strength of those who do."""
    group_id, judgments = question
    row = merge_judgments(group_id, judgments, {})
    if needs_turns(row):
        counts["groups_with_calls_left_out"] += 1
        return
    pairs, of_group = compared_pairs(row, options, counts)
    counts["groups_of_more_than_two"] += bool(pairs) and len(row["responses"]) > 2
    said = [(judgment, pair_preferences(judgment)) for judgment in judgments]
    for index, pair in enumerate(pairs):
        first, second = sorted((pair.chosen, pair.rejected))
        yield {
            "context": [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]],
            "response1": row["responses"][first],
            "response2": row["responses"][second],
            "overall_preference": _overall(pair, counts),
            "individual_preference": list(_individual(row, first, second, said, options, counts)),
            **of_group,
            **pair_columns(pair, index, options, counts),
        }


def _overall(pair: Pair, counts: Counter[str]) -> int:
    if pair.is_tie:
        return 0
    strength = 0 if pair.strength is None else int(pair.strength + 0.5)
    counts["overall_raised_to_1"] += strength == 0
    return max(1, strength) * (-1 if pair.chosen < pair.rejected else 1)


def _individual(
    row: ComparisonRow,
    first: int,
    second: int,
    said: Sequence[tuple[JudgmentRow, Any]],
    options: ExportOptions,
    counts: Counter[str],
) -> Iterator[dict[str, Any]]:
    ids = row["response_ids"]
    for judgment, preferences in said:
        preference = lookup_pair(preferences, (ids[first], ids[second]))
        if preference is None:
            continue
        if preference.sign:
            counts["strengths_missing_written_as_1"] += preference.strength is None
            counts["strengths_0_written_as_1"] += preference.strength == 0
        entry = {
            # A sign of 1 is for the first response, which this scale writes as negative.
            "score": -preference.sign * max(1, preference.strength or 0),
            **_parted(judgment["rationale"] or ""),
        }
        if options.all_columns:
            entry |= {
                "annotator": judgment["annotator"],
                "strength": preference.strength if preference.sign else None,
            }
        else:
            counts["annotators_lost"] += 1
        yield entry


def _parted(rationale: str) -> dict[str, str]:
    """Reasoning and feedback of a reason in which an import joined them; else all of it is the reasoning."""
    parts = {"reasoning": "", "feedback1": "", "feedback2": ""}
    for name in ("feedback2", "feedback1"):
        found = list(_FEEDBACK[name].finditer(rationale))
        if found and rationale[found[-1].end() :] and not (found[-1].start() == 0 and rationale[0] == "\n"):
            parts[name], rationale = rationale[found[-1].end() :], rationale[: found[-1].start()]
    return parts | {"reasoning": rationale}


HELPSTEER3_FORMAT = ExportFormat(
    name="helpsteer3",
    schema=helpsteer3_schema,
    rows=helpsteer3_rows,
    of_questions=True,
    requires_single_criterion=True,
    description=gettext_noop(
        "pairs as HelpSteer3 has them: an overall preference -3..3 and that of each annotator with the reason"
    ),
    options=("ties", "margin", "columns"),
    losses=PAIR_LOSSES
    | {
        "ties_dropped": "tied pairs left out; --ties soft writes them with the preference 0",
        "groups_of_more_than_two": "comparisons of three and more responses, written as their pairs",
        "groups_with_calls_left_out": "comparisons with tool calls or responses of several turns, left out",
        "strengths_missing_written_as_1": "preferences without a strength, written as 1 (slightly better)",
        "strengths_0_written_as_1": "negligible preferences, written as 1 (slightly better)",
        "overall_raised_to_1": "overall preferences without a strength or below 1/2, written as 1",
        "annotators_lost": "preferences whose annotator the columns have no place for",
    },
    imports_back=("import_comparisons", "helpsteer3"),
)
