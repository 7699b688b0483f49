"""One row a response: desirable or not (KTO), and the best ones to imitate (SFT).

A response is good that was preferred to another and to which none was, and bad the other way round; whatever lies
between is neither. That holds for rankings with ties, and for pairs that are no ranking.
"""

import itertools
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
    of_its_file,
    prompt_cell,
    response_cell,
)
from annotation.preferences.comparisons import TIE_TOLERANCE
from learning.interface.messages import answer_turns, comparison_answers, to_openai_messages
from learning.interface.record_rows import ComparisonRow

_GROUP_COLUMNS = [
    pa.field("group_id", TEXT),
    pa.field("weight", pa.float64()),
    pa.field("agreement", pa.float64()),
    pa.field("n_ties_in_group", pa.int64()),
    pa.field("n_responses_in_group", pa.int64()),
    *OF_ITS_FILE,
]


def kto_schema(options: ExportOptions) -> pa.Schema:
    return pa.schema(
        [
            pa.field("prompt", conversation_type(options)),
            pa.field("completion", conversation_type(options)),
            pa.field("label", pa.bool_()),
            *(_GROUP_COLUMNS if options.all_columns else []),
        ]
    )


def kto_rows(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    labels, n_ties = _good_and_bad(row)
    counts["responses_between_left_out"] += labels.count(None)
    counts["groups_without_rows"] += not any(label is not None for label in labels)
    if count_unwritable(row, options, counts):
        return
    prompt = prompt_cell(row["prompt"], options, counts)
    for label, answer in zip(labels, comparison_answers(row), strict=True):
        if label is not None:
            counts["desirable" if label else "undesirable"] += 1
            yield {
                "prompt": prompt,
                "completion": response_cell(answer, options),
                "label": label,
                **_group_columns(row, n_ties),
            }


def sft_schema(options: ExportOptions) -> pa.Schema:
    columns = [pa.field(name, TEXT) for name in ("prompt", "completion")]
    if not options.plain:
        columns = [pa.field("messages", messages_type(options))]
    return pa.schema(columns + (_GROUP_COLUMNS if options.all_columns else []))


def sft_rows(row: ComparisonRow, options: ExportOptions, counts: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """The best responses; several where they are tied."""
    labels, n_ties = _good_and_bad(row)
    counts["responses_not_best_left_out"] += sum(not label for label in labels)
    counts["groups_without_rows"] += not any(labels)
    if count_unwritable(row, options, counts):
        return
    for label, answer in zip(labels, comparison_answers(row), strict=True):
        if label:
            yield sft_cells(row["prompt"], answer, options, counts) | _group_columns(row, n_ties)


def sft_cells(prompt: Any, answer: Any, options: ExportOptions, counts: Counter[str]) -> dict[str, Any]:
    """`messages` that end with the response; as text `prompt` and `completion`."""
    if options.plain:
        return {"prompt": prompt_cell(prompt, options, counts), "completion": response_cell(answer, options)}
    turns = to_openai_messages(answer_turns(answer))
    counts["responses_of_several_turns"] += len(turns) > 1
    return {"messages": to_openai_messages(prompt) + turns}


def _good_and_bad(row: ComparisonRow) -> tuple[list[bool | None], int]:
    """(True good, False bad, None neither, of each response; the number of tied pairs)."""
    n = len(row["responses"])
    won, lost, n_ties = [0] * n, [0] * n, 0
    for i, j in itertools.combinations(range(n), 2):
        share = row["soft_preference"][i][j]
        if share is None:
            continue
        if abs(share - 0.5) < TIE_TOLERANCE:
            n_ties += 1
            continue
        winner, loser = (i, j) if share > 0.5 else (j, i)
        won[winner] += 1
        lost[loser] += 1
    return [None if bool(w) == bool(x) else bool(w) for w, x in zip(won, lost, strict=True)], n_ties


def _group_columns(row: ComparisonRow, n_ties: int) -> dict[str, Any]:
    return {
        "group_id": row["group_id"],
        "weight": row["weight"],
        "agreement": row["agreement"],
        "n_ties_in_group": n_ties,
        "n_responses_in_group": len(row["responses"]),
        **of_its_file(row),
    }


_PLAIN_LOSSES = {
    "prompts_ambiguous_as_text": "prompts whose text has a marker of a turn in it: not read back as the same turns",
    "groups_without_rows": "comparisons without any better response: all of it tied, or in a circle",
}
SFT_LOSSES = {
    "responses_of_several_turns": "responses of several turns: the messages do not say where the response begins",
}
KTO_FORMAT = ExportFormat(
    name="kto",
    schema=kto_schema,
    rows=kto_rows,
    requires_single_criterion=True,
    description=gettext_noop(
        "single responses for TRL's KTOTrainer: prompt, completion and label, the best true, the worst false"
    ),
    options=("plain", "columns", "consensus"),
    losses=_PLAIN_LOSSES
    | {"responses_between_left_out": "responses neither the best nor the worst of theirs, or tied, left out"},
)
SFT_FORMAT = ExportFormat(
    name="sft",
    schema=sft_schema,
    rows=sft_rows,
    requires_single_criterion=True,
    description=gettext_noop("the best responses to imitate: messages, or as text prompt and completion"),
    options=("plain", "columns", "consensus"),
    losses=_PLAIN_LOSSES
    | SFT_LOSSES
    | {"responses_not_best_left_out": "responses that are not the best of theirs, left out"},
    imports_back=("import_demonstrations", "records"),
)
