"""Ranked completions as NeMo RL reads them: context, completions and task_name.

Its PreferenceDataset (docs/guides/dpo.md and rm.md of NVIDIA-NeMo/RL) is a context of messages and completions with a
rank, the lowest the best. The file may have any number of completions; its trainers take two, of different ranks.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.columns import TEXT, messages_type
from annotation.exporting.formats.pairs import PAIR_COLUMNS, PAIR_LOSSES, compared_pairs, pair_columns
from annotation.exporting.formats.rankings import (
    RANKING_COLUMNS,
    RANKING_LOSSES,
    count_lost_strengths,
    is_weak_order,
    ranking_columns,
)
from learning.interface.messages import answer_turns, comparison_answers, to_openai_messages
from learning.interface.record_rows import ComparisonRow


def nemo_schema(options: ExportOptions) -> pa.Schema:
    messages = messages_type(options)
    completion = pa.struct([pa.field("rank", pa.int64()), pa.field("completion", messages)])
    further = PAIR_COLUMNS if options.rows == "pairs" else RANKING_COLUMNS
    return pa.schema(
        [
            pa.field("context", messages),
            pa.field("completions", pa.list_(completion)),
            pa.field("task_name", TEXT),
            *(further if options.all_columns else []),
        ]
    )


def nemo_rows(
    row: ComparisonRow, options: ExportOptions, counts: Counter[str]
) -> Iterator[Mapping[str, Any]]:
    """The task is called after the criterion."""
    common = {"context": to_openai_messages(row["prompt"]), "task_name": row["criterion"]}
    completions = [to_openai_messages(answer_turns(answer)) for answer in comparison_answers(row)]
    if options.rows == "rankings":
        if not is_weak_order(row, options, counts):
            return
        if not options.all_columns:
            count_lost_strengths(row, counts)
        ranked = sorted(zip(row["ranks"] or [], range(len(completions)), strict=True))
        yield {
            **common,
            "completions": [{"rank": rank, "completion": completions[place]} for rank, place in ranked],
            **ranking_columns(row),
        }
        return
    pairs, of_group = compared_pairs(row, options, counts)
    for index, pair in enumerate(pairs):
        if not options.all_columns and pair.strength is not None:
            counts["strengths_lost"] += 1
        yield {
            **common,
            "completions": [
                {"rank": 0, "completion": completions[pair.chosen]},
                {"rank": 0 if pair.is_tie else 1, "completion": completions[pair.rejected]},
            ],
            **of_group,
            **pair_columns(pair, index, options, counts),
        }


NEMO_FORMAT = ExportFormat(
    name="nemo",
    schema=nemo_schema,
    rows=nemo_rows,
    description=gettext_noop(
        "ranked completions for NeMo RL: context, completions and task_name, which is the criterion"
    ),
    options=("ties", "margin", "columns", "rows", "consensus"),
    losses=PAIR_LOSSES | RANKING_LOSSES,
)
