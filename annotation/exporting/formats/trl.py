"""Pairs as TRL reads them: prompt, chosen, rejected."""

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from annotation.content.transcripts import is_lossless_transcript, to_transcript
from annotation.exporting.formats.base import MARGINS, NO_MARGINS, UNWRITABLE, ExportFormat, ExportOptions
from annotation.preferences.comparisons import TIE_TOLERANCE
from learning.interface.messages import (
    Answer,
    answer_turns,
    comparison_answers,
    has_calls,
    to_openai_messages,
)
from learning.interface.record_rows import ComparisonRow

_TEXT = pa.string()
_MESSAGE = [pa.field("role", _TEXT, nullable=False), pa.field("content", _TEXT, nullable=False)]
_MESSAGES = pa.list_(pa.struct(_MESSAGE))
# Only where a dataset has calls: chat templates look whether a message has the field, and null is not absent.
_FUNCTION = pa.struct([pa.field("name", _TEXT), pa.field("arguments", _TEXT)])
_CALL = pa.struct([pa.field("id", _TEXT), pa.field("type", _TEXT), pa.field("function", _FUNCTION)])
_MESSAGES_WITH_CALLS = pa.list_(
    pa.struct(
        [
            *_MESSAGE,
            pa.field("tool_calls", pa.list_(_CALL)),
            pa.field("tool_call_id", _TEXT),
            pa.field("name", _TEXT),
        ]
    )
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
    pa.field("source_id", _TEXT),
    pa.field("metadata", _TEXT),
]


def trl_schema(options: ExportOptions) -> pa.Schema:
    kind = _TEXT if options.plain else _MESSAGES_WITH_CALLS if options.with_turns else _MESSAGES
    return pa.schema([pa.field(name, kind) for name in ("prompt", "chosen", "rejected")] + _PAIR_COLUMNS)


def trl_rows(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """One row a pair: the response with the larger share is chosen.

    Ties are left out and counted, or written with soft_label 0.5; never turned into a preference. Pairs that were
    never compared are counted too; the rows themselves do not tell them from ties that were left out.
    """
    pairs: list[tuple[int, int, float]] = []
    shares = row["soft_preference"]
    for i, j in itertools.combinations(range(len(row["responses"])), 2):
        share = shares[i][j]
        if share is None:
            counts["pairs_never_compared"] += 1
        elif abs(share - 0.5) < TIE_TOLERANCE:
            counts["ties_written" if options.ties == "soft" else "ties_dropped"] += 1
            if options.ties == "soft":
                pairs.append((i, j, 0.5))
        else:
            pairs.append((i, j, share) if share > 0.5 else (j, i, 1 - share))
    if not pairs:
        counts["groups_without_rows"] += 1
    if options.plain and pairs and (has_calls(row["prompt"]) or row.get("turns")):
        counts[UNWRITABLE] += 1
        return
    prompt = _prompt(row, options, counts)
    completions = [_completion(answer, options) for answer in comparison_answers(row)]
    for index, (chosen, rejected, share) in enumerate(pairs):
        strength = 0.0 if share == 0.5 else row["grade"][chosen][rejected]
        if strength is None:
            counts["pairs_without_strength"] += 1
        yield {
            "prompt": prompt,
            "chosen": completions[chosen],
            "rejected": completions[rejected],
            "margin": _margin(strength, options.margin),
            "strength": None if strength is None else int(strength + 0.5),
            "weight": row["weight"],
            "group_id": row["group_id"],
            "pair_index": index,
            "n_pairs_in_group": len(pairs),
            "agreement": row["agreement"],
            "soft_label": share,
            "source_id": row.get("source_id"),
            "metadata": row.get("metadata"),
        }


def _margin(strength: float | None, scale: str) -> float | None:
    """Null where nobody gave a strength; 0 for all pairs where the caller wants no margins."""
    if strength is None:
        return 0.0 if scale == NO_MARGINS else None
    return MARGINS[scale](strength)


def _prompt(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Any:
    if not options.plain:
        return to_openai_messages(row["prompt"])
    messages = [{"role": turn["role"], "content": turn["content"]} for turn in row["prompt"]]
    if len(messages) == 1 and messages[0]["role"] == "user":
        return messages[0]["content"]
    if not is_lossless_transcript(messages):
        counts["prompts_ambiguous_as_text"] += 1
    return to_transcript(messages)


def _completion(answer: Answer, options: ExportOptions) -> Any:
    return answer if options.plain else to_openai_messages(answer_turns(answer))


TRL_FORMAT = ExportFormat(
    name="trl",
    schema=trl_schema,
    rows=trl_rows,
    requires_single_criterion=True,
    description="pairs: prompt, chosen, rejected, with margin, strength and the group each pair comes from",
)
