"""Whole rankings: a prompt, its responses and their ranks; and the same as Open Assistant's message trees."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.columns import (
    OF_ITS_FILE,
    TEXT,
    conversation_type,
    count_unwritable,
    messages_type,
    needs_turns,
    of_its_file,
    prompt_cell,
    response_cell,
)
from annotation.preferences.weak_orders import MAX_STRENGTH, ranks_to_tiers
from learning.interface.messages import comparison_answers
from learning.interface.record_rows import ComparisonRow

RANKING_COLUMNS = [
    pa.field("strengths", pa.list_(pa.int64())),
    pa.field("group_id", TEXT),
    pa.field("weight", pa.float64()),
    pa.field("n_annotators", pa.int64()),
    pa.field("agreement", pa.float64()),
    pa.field("n_ties_in_group", pa.int64()),
    *OF_ITS_FILE,
]
RANKING_LOSSES = {
    "intransitive_groups_left_out": "comparisons whose pairs are no ranking, left out: pairs and records hold them",
    "groups_with_ties_left_out": "rankings with equal ranks, left out; --ties soft writes them",
    "strengths_lost": "steps between ranks with a strength that the columns have no place for",
}


def is_weak_order(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> bool:
    """Whether the comparison is a ranking that may be written; else it is counted."""
    if row["ranks"] is None:
        counts["intransitive_groups_left_out"] += 1
        return False
    if options.ties == "drop" and len(set(row["ranks"])) < len(row["ranks"]):
        counts["groups_with_ties_left_out"] += 1
        return False
    return True


def step_strengths(row: ComparisonRow) -> list[int | None]:
    """The strength of each step from tier to tier: the mean over the pairs across it, rounded half up; None where
    nobody gave one.
    """
    tiers = ranks_to_tiers(row["ranks"] or [])
    steps: list[int | None] = []
    for upper, lower in zip(tiers, tiers[1:], strict=False):
        given = [grade for i in upper for j in lower if (grade := row["grade"][i][j]) is not None]
        steps.append(min(MAX_STRENGTH, int(sum(given) / len(given) + 0.5)) if given else None)
    return steps


def count_lost_strengths(row: ComparisonRow, counts: Counter[str]) -> None:
    counts["strengths_lost"] += sum(strength is not None for strength in step_strengths(row))


def ranking_columns(row: ComparisonRow) -> dict[str, Any]:
    ranks = row["ranks"] or []
    return {
        "strengths": step_strengths(row),
        "group_id": row["group_id"],
        "weight": row["weight"],
        "n_annotators": row["n_annotators"],
        "agreement": row["agreement"],
        "n_ties_in_group": sum(len(tier) * (len(tier) - 1) // 2 for tier in ranks_to_tiers(ranks)),
        **of_its_file(row),
    }


def ranked_schema(options: ExportOptions) -> pa.Schema:
    """Responses are texts; only where a dataset has calls or responses of several turns, messages."""
    response = messages_type(options) if options.with_turns and not options.plain else TEXT
    return pa.schema(
        [
            pa.field("prompt", conversation_type(options)),
            pa.field("responses", pa.list_(response)),
            pa.field("ranks", pa.list_(pa.int64())),
            *(RANKING_COLUMNS if options.all_columns else []),
        ]
    )


def ranked_rows(
    row: ComparisonRow, options: ExportOptions, counts: Counter[str]
) -> Iterator[Mapping[str, Any]]:
    if row["ranks"] is None:
        counts["intransitive_groups_left_out"] += 1
        return
    if count_unwritable(row, options, counts):
        return
    if not options.all_columns:
        count_lost_strengths(row, counts)
    answers = comparison_answers(row)
    as_messages = options.with_turns and not options.plain
    yield {
        "prompt": prompt_cell(row["prompt"], options, counts),
        "responses": [response_cell(answer, options) if as_messages else answer for answer in answers],
        "ranks": row["ranks"],
        **ranking_columns(row),
    }


# Of a message tree (oasst_data/schemas.py of LAION-AI/Open-Assistant); JSON, since a tree may be as deep as it likes.
_OASST_ROLES = {"user": "prompter"}
TREE_STATE = "ready_for_export"


def oasst_schema(options: ExportOptions) -> pa.Schema:
    return pa.schema(
        [
            pa.field("message_tree_id", TEXT),
            pa.field("tree_state", TEXT),
            pa.field("prompt", pa.json_()),
            *(OF_ITS_FILE if options.all_columns else []),
        ]
    )


def oasst_rows(
    row: ComparisonRow, options: ExportOptions, counts: Counter[str]
) -> Iterator[Mapping[str, Any]]:
    """A tree a comparison: the prompt is a path without branches, its last message has the ranked replies."""
    if needs_turns(row):
        counts["groups_with_calls_left_out"] += 1
        return
    if not is_weak_order(row, options, counts):
        return
    count_lost_strengths(row, counts)
    counts["groups_with_other_roles"] += any(turn["role"] in ("system", "tool") for turn in row["prompt"])
    ids = [f"{row['group_id']}/{place}" for place in range(len(row["prompt"]))]
    replies = [
        _node(response_id, ids[-1], "assistant", text, rank=rank)
        for response_id, text, rank in zip(
            row["response_ids"], row["responses"], row["ranks"] or [], strict=True
        )
    ]
    for place in reversed(range(len(ids))):
        turn = row["prompt"][place]
        parent = ids[place - 1] if place else None
        replies = [_node(ids[place], parent, turn["role"], turn["content"], replies=replies)]
    yield {
        "message_tree_id": row["group_id"],
        "tree_state": TREE_STATE,
        "prompt": replies[0],
        **of_its_file(row),
    }


def _node(
    message_id: str,
    parent_id: str | None,
    role: str,
    text: str,
    *,
    rank: int | None = None,
    replies: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "parent_id": parent_id,
        "text": text,
        "role": _OASST_ROLES.get(role, role),
        "lang": None,
        "deleted": False,
        "rank": rank,
        "replies": replies or [],
    }


RANKED_FORMAT = ExportFormat(
    name="ranked",
    schema=ranked_schema,
    rows=ranked_rows,
    requires_single_criterion=True,
    description=gettext_noop("rankings: prompt, responses and ranks, 0 the best, equal ranks a tie"),
    options=("plain", "columns", "consensus"),
    losses={key: RANKING_LOSSES[key] for key in ("intransitive_groups_left_out", "strengths_lost")},
    imports_back=("import_comparisons", "ranked"),
)
OASST_FORMAT = ExportFormat(
    name="oasst",
    schema=oasst_schema,
    rows=oasst_rows,
    requires_single_criterion=True,
    description=gettext_noop("message trees as Open Assistant has them, with ranks on the replies"),
    options=("ties", "columns", "consensus"),
    file_kinds=("jsonl",),
    losses=RANKING_LOSSES
    | {
        "groups_with_calls_left_out": "comparisons with tool calls or responses of several turns, left out",
        "groups_with_other_roles": "trees with system or tool turns, which Open Assistant's own trees do not have",
    },
    imports_back=("import_comparisons", "oasst"),
)
