"""Pairs as TRL and OpenRLHF read them: prompt, chosen, rejected.

TRL's preference dataset (https://huggingface.co/docs/trl/dataset_formats) and its RewardTrainer's margin; OpenRLHF's
--data.prompt_key, chosen_key and rejected_key with --apply_chat_template, or texts with its input template, and margin.
Both ignore further columns.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
from django.utils.translation import gettext_noop

from annotation.exporting.formats.base import ExportFormat, ExportOptions
from annotation.exporting.formats.columns import (
    conversation_type,
    count_unwritable,
    plain_prompt,
    prompt_cell,
    response_cell,
)
from annotation.exporting.formats.pairs import PAIR_COLUMNS, PAIR_LOSSES, compared_pairs, pair_columns
from annotation.exporting.formats.trl_columns import trl_columns
from annotation.exporting.raw_columns import RawComparisons, RowsOfBatch
from learning.interface.messages import comparison_answers
from learning.interface.record_rows import ComparisonRow


def trl_schema(options: ExportOptions) -> pa.Schema:
    conversations = [pa.field(name, conversation_type(options)) for name in ("prompt", "chosen", "rejected")]
    return pa.schema(conversations + (PAIR_COLUMNS if options.all_columns else PAIR_COLUMNS[:1]))


def trl_rows(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """One row a pair: the response with the larger share is chosen."""
    pairs, of_group = compared_pairs(row, options, counts)
    if pairs and count_unwritable(row, options, counts):
        return
    prompt = prompt_cell(row["prompt"], options, counts)
    responses = [response_cell(answer, options) for answer in comparison_answers(row)]
    for index, pair in enumerate(pairs):
        yield {
            "prompt": prompt,
            "chosen": responses[pair.chosen],
            "rejected": responses[pair.rejected],
            **of_group,
            **pair_columns(pair, index, options, counts),
        }


def _columns(raw: RawComparisons, options: ExportOptions, counts: Counter[str]) -> RowsOfBatch | None:
    return trl_columns(
        raw, options, counts, schema=trl_schema(options), rows_of=trl_rows, plain_prompt=plain_prompt
    )


TRL_FORMAT = ExportFormat(
    name="trl",
    schema=trl_schema,
    rows=trl_rows,
    columns=_columns,
    requires_single_criterion=True,
    description=gettext_noop(
        "pairs: prompt, chosen, rejected, with margin, strength and the group each pair comes from"
    ),
    options=("ties", "plain", "margin", "columns", "consensus"),
    losses={key: PAIR_LOSSES[key] for key in ("ties_dropped", "groups_without_rows", "groups_taken_apart")}
    | {
        "pairs_without_margin": "pairs whose margin is null, since nobody gave a strength: TRL's RewardTrainer wants a "
        "margin of every pair; --margin none writes 0",
        "prompts_ambiguous_as_text": "prompts whose text has a marker of a turn in it: not read back as the same turns",
    },
    ties_in_soft_label=True,
    imports_back=("import_comparisons", "trl"),
)
# The same rows: OpenRLHF reads the columns that TRL reads, by the same names.
OPENRLHF_FORMAT = replace(
    TRL_FORMAT,
    name="openrlhf",
    description=gettext_noop("pairs for OpenRLHF: prompt, chosen, rejected and margin"),
    imports_back=None,
)
