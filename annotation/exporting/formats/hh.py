"""Pairs of whole transcripts, as Anthropic's HH files have them (https://github.com/anthropics/hh-rlhf).

`chosen` and `rejected` are texts of turns that begin with "\\n\\nHuman: " and "\\n\\nAssistant: ". Such a text has no
escapes: a pair that its reader would take for another prompt or other answers is left out and counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from annotation.content.transcripts import (
    MARKERS,
    from_transcript,
    shared_prompt,
    tidy_transcript,
    to_transcript,
)
from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.columns import TEXT, needs_turns
from annotation.exporting.formats.pairs import PAIR_COLUMNS, PAIR_LOSSES, compared_pairs, pair_columns
from learning.interface.record_rows import ComparisonRow

_HH_ROLES = ("user", "assistant")


def hh_schema(options: ExportOptions) -> pa.Schema:
    columns = [pa.field("chosen", TEXT), pa.field("rejected", TEXT)]
    return pa.schema(columns + (PAIR_COLUMNS if options.all_columns else []))


def hh_rows(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    if needs_turns(row):
        counts["groups_with_calls_left_out"] += 1
        return
    pairs, of_group = compared_pairs(row, options, counts)
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]]
    if any(message["role"] not in _HH_ROLES for message in messages):
        counts["groups_with_other_roles"] += bool(pairs)
    prompt = to_transcript(messages)
    texts = [f"{prompt} {response}" for response in row["responses"]]
    for index, pair in enumerate(pairs):
        sides = (pair.chosen, pair.rejected)
        found = _read_back(*(texts[side] for side in sides))
        written = (messages, [row["responses"][side] for side in sides])
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


def _read_back(chosen: str, rejected: str) -> tuple[list[dict[str, str]], list[str]] | None:
    """(prompt, responses) as a reader finds them in the two transcripts; None when it refuses them."""
    parts = shared_prompt(tidy_transcript(chosen), tidy_transcript(rejected))
    if parts is None or parts[1] == parts[2] or any(MARKERS["user"] in text for text in parts[1:]):
        return None
    return from_transcript(parts[0]) or [], list(parts[1:])


def _stripped(messages: Sequence[Mapping[str, str]], responses: Sequence[str]) -> Any:
    return [(message["role"], message["content"].strip()) for message in messages], [
        response.strip() for response in responses
    ]


HH_FORMAT = ExportFormat(
    name="hh",
    schema=hh_schema,
    rows=hh_rows,
    requires_single_criterion=True,
    description="pairs of whole transcripts: chosen and rejected",
    options=("ties", "margin", "columns", "consensus"),
    losses=PAIR_LOSSES
    | {
        "groups_with_calls_left_out": "comparisons with tool calls or responses of several turns, left out",
        "pairs_ambiguous_left_out": "pairs with a marker of a turn inside a text, left out: none could be read back",
        "pairs_with_outer_space": "pairs of which a text begins or ends with white space, which readers "
        "of transcripts take off",
        "groups_with_other_roles": "comparisons with system or tool turns, written as System: and Tool:, which the HH "
        "files do not know",
    },
    ties_in_soft_label=True,
    imports_back=("import_comparisons", "hh"),
)
