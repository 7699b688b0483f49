"""Pairs of whole transcripts, as Anthropic's HH files have them (https://github.com/anthropics/hh-rlhf).

`chosen` and `rejected` are texts of turns that begin with "\\n\\nHuman: " and "\\n\\nAssistant: ". Such a text has no
escapes: a pair that its reader would take for another prompt or other answers is left out and counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.content.transcripts import (
    from_transcript,
    shared_prompt,
    tidy_transcript,
    to_continuation,
    to_transcript,
)
from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.columns import TEXT
from annotation.exporting.formats.pairs import PAIR_COLUMNS, PAIR_LOSSES, compared_pairs, pair_columns
from annotation.text import find_turns_problem
from learning.interface.messages import Answer, answer_turns, comparison_answers, has_calls
from learning.interface.record_rows import ComparisonRow

_HH_ROLES = ("user", "assistant")


def hh_schema(options: ExportOptions) -> pa.Schema:
    columns = [pa.field("chosen", TEXT), pa.field("rejected", TEXT)]
    return pa.schema(columns + (PAIR_COLUMNS if options.all_columns else []))


def hh_rows(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    answers = comparison_answers(row)
    if _has_calls(row["prompt"], answers):
        counts["groups_with_calls_left_out"] += 1
        return
    pairs, of_group = compared_pairs(row, options, counts)
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]]
    if any(message["role"] not in _HH_ROLES for message in messages):
        counts["groups_with_other_roles"] += bool(pairs)
    prompt = to_transcript(messages)
    texts = [
        f"{prompt} {answer if isinstance(answer, str) else to_continuation(answer)}" for answer in answers
    ]
    for index, pair in enumerate(pairs):
        sides = (pair.chosen, pair.rejected)
        found = _read_back(*(texts[side] for side in sides))
        written = (messages, [answers[side] for side in sides])
        if found != written:
            if found is None or _stripped(*found) != _stripped(*written):
                counts["pairs_ambiguous_left_out"] += 1
                continue
            counts["pairs_with_outer_space"] += 1
        if not options.all_columns and pair.strength is not None:
            counts["strengths_lost"] += 1
        yield {
            "chosen": texts[pair.chosen],
            "rejected": texts[pair.rejected],
            **of_group,
            **pair_columns(pair, index, options, counts),
        }


def _has_calls(prompt: Sequence[Mapping[str, Any]], answers: Sequence[Answer]) -> bool:
    """Whether a transcript does not hold it: calls of tools and their results in answers."""
    turns = [turn for answer in answers for turn in answer_turns(answer)]
    return has_calls(prompt) or has_calls(turns) or any(turn["role"] not in _HH_ROLES for turn in turns)


def _read_back(chosen: str, rejected: str) -> tuple[list[dict[str, str]], list[Answer]] | None:
    """(prompt, responses) as a reader finds them in the two transcripts; None when it refuses them."""
    parts = shared_prompt(tidy_transcript(chosen), tidy_transcript(rejected))
    if parts is None or parts[1] == parts[2]:
        return None
    if any(find_turns_problem([turn["role"] for turn in answer_turns(answer)]) for answer in parts[1:]):
        return None
    return from_transcript(parts[0]) or [], list(parts[1:])


def _stripped(messages: Sequence[Mapping[str, str]], responses: Sequence[Answer]) -> Any:
    return _said(messages), [_said(answer_turns(response)) for response in responses]


def _said(turns: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(turn["role"], turn["content"].strip()) for turn in turns]


HH_FORMAT = ExportFormat(
    name="hh",
    schema=hh_schema,
    rows=hh_rows,
    requires_single_criterion=True,
    description=gettext_noop("pairs of whole transcripts: chosen and rejected"),
    options=("ties", "margin", "columns", "consensus"),
    losses=PAIR_LOSSES
    | {
        "groups_with_calls_left_out": "comparisons with tool calls, left out",
        "pairs_ambiguous_left_out": "pairs with a marker inside a text, or two assistant turns in a row, left out: "
        "none could be read back",
        "pairs_with_outer_space": "pairs of which a text begins or ends with white space, which readers "
        "of transcripts take off",
        "groups_with_other_roles": "comparisons with system or tool turns, written as System: and Tool:, which the HH "
        "files do not know",
    },
    ties_in_soft_label=True,
    imports_back=("import_comparisons", "hh"),
)
