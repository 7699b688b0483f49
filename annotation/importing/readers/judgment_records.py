"""Rows of `judgments` files. What counts is taken: current, not withdrawn, not surplus; the rest of the history
is left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from annotation.errors import InvalidJudgment, InvalidText
from annotation.importing.readers.base import Row
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import (
    parse_bool,
    parse_choice,
    parse_id,
    parse_integer,
    parse_list,
    parse_name,
    parse_number,
    parse_text,
    parse_timestamp,
)
from annotation.importing.readers.judgments import MIN_RESPONSES, ImportedJudgment, check_responses
from annotation.importing.readers.record_responses import parse_response_record
from annotation.importing.rows import RowError
from annotation.models import COUNTED_PURPOSES, Task
from annotation.preferences.marks import require_passages
from annotation.preferences.validation import (
    MAX_CONFIDENCE,
    MAX_RATIONALE_CHARACTERS,
    MAX_SECONDS,
    clean_flags,
    clean_marks,
)
from annotation.preferences.weak_orders import MAX_STRENGTH, tiers_to_ranks
from learning.interface.messages import answer_text
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON


class JudgmentRecordReader:
    fields: ClassVar[tuple[str, ...]] = (
        "judgment_id", "supersedes", "is_current", "withdrawn", "surplus", "project", "batch", "round", "criterion",
        "purpose", "task_id", "prompt_id", "prompt", "responses", "order_shown", "tiers", "strengths", "annotator",
        "annotator_kind", "rationale", "flags", "seconds", "guideline_version", "settings_version", "split",
        "created_at", "confidence", "other_marks",
    )  # fmt: skip

    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns

    def read(self, row: Row) -> list[ImportedJudgment]:
        parse, parse_optional = self._columns.parse, self._columns.parse_optional
        prompt = parse(row, "prompt", self._columns.messages.prompt)
        responses = self._responses(row)
        ids = [response["response_id"] for response in responses]
        ranks = parse(row, "tiers", _parse_tiers, ids)
        judgment = ImportedJudgment(
            prompt=prompt,
            responses=[response["answer"] for response in responses],
            ranks=ranks,
            strengths=parse(row, "strengths", _parse_step_strengths, max(ranks)),
            annotator=parse(row, "annotator", parse_name),
            annotator_kind=parse_optional(row, "annotator_kind", parse_choice, ANNOTATOR_KINDS) or PERSON,
            rationale=parse_optional(row, "rationale", _parse_rationale) or "",
            flags=parse_optional(row, "flags", _parse_flags) or [],
            seconds=parse_optional(row, "seconds", _parse_seconds) or 0.0,
            purpose=parse_optional(row, "purpose", parse_choice, COUNTED_PURPOSES)
            or Task.Purpose.NORMAL.value,
            created_at=parse_optional(row, "created_at", parse_timestamp),
            prompt_id=parse_optional(row, "prompt_id", parse_id),
            task_id=parse_optional(row, "task_id", parse_id),
            response_ids=ids,
            order_shown=parse_optional(row, "order_shown", _parse_order_shown, ids),
            sources=[response["source"] for response in responses],
            sampling=[response["sampling"] for response in responses],
            ended=[response["ended"] for response in responses],
            confidence=parse_optional(row, "confidence", parse_integer, 0, MAX_CONFIDENCE),
            marks=_all_marks(responses, parse_optional(row, "other_marks", _parse_other_marks, ids) or {}),
        )
        return [judgment] if self._is_counted(row) else []

    def _responses(self, row: Row) -> list[dict[str, Any]]:
        column = self._columns.name("responses")
        responses = [
            parse_response_record(entry, f"{column}.{index}")
            for index, entry in enumerate(self._columns.parse(row, "responses", parse_list))
        ]
        # A rating is of one; its marks are all that it says.
        other = self._columns.has(row, "other_marks")
        is_rating = len(responses) == 1 and bool(responses[0]["marks"] or other)
        answers = [response["answer"] for response in responses]
        check_responses(answers, [column], least=1 if is_rating else MIN_RESPONSES)
        return responses

    def _is_counted(self, row: Row) -> bool:
        parse_optional = self._columns.parse_optional
        return parse_optional(row, "is_current", parse_bool) is not False and not (
            parse_optional(row, "withdrawn", parse_bool) or parse_optional(row, "surplus", parse_bool)
        )


def _all_marks(
    responses: Sequence[dict[str, Any]], others: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    for response in responses:
        name = response["response_id"]
        try:
            require_passages(others.get(name, {}), answer_text(response["answer"]), name)
        except InvalidJudgment as error:
            raise RowError("other_marks", error.message) from error
    return [response["marks"] | others.get(response["response_id"], {}) for response in responses]


def _parse_other_marks(value: Any, column: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """{response id: {name: text or passages}}, as JSON text or as an object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RowError(column, "is not JSON") from error
    if not isinstance(value, Mapping) or not set(map(str, value)) <= set(ids):
        raise RowError(column, "should be an object of marks by the ids of the row's responses")
    marks = {str(response_id): said for response_id, said in value.items()}
    try:
        return clean_marks(marks, ids)
    except (InvalidJudgment, InvalidText) as error:
        raise RowError(column, error.message) from error


def _parse_tiers(value: Any, column: str, ids: Sequence[str]) -> list[int]:
    """The rank of each response."""
    tiers = [parse_list(tier, column) for tier in parse_list(value, column)]
    try:
        ranks = tiers_to_ranks([[ids.index(str(response)) for response in tier] for tier in tiers])
    except ValueError:
        ranks = []
    if len(ranks) != len(ids):
        raise RowError(column, "does not name every response of the row exactly once")
    return ranks


def _parse_step_strengths(value: Any, column: str, steps: int) -> list[int | None]:
    strengths = parse_list(value, column)
    if len(strengths) != steps:
        raise RowError(column, f"has {len(strengths)} strengths for {steps} steps between tiers")
    return [
        None if strength is None else parse_integer(strength, column, 0, MAX_STRENGTH)
        for strength in strengths
    ]


def _parse_order_shown(value: Any, column: str, ids: Sequence[str]) -> list[int]:
    """Places of the responses in the order in which they were seen."""
    shown = [parse_id(response_id, column) for response_id in parse_list(value, column)]
    if sorted(shown) != sorted(ids):
        raise RowError(column, "does not name every response of the row exactly once")
    return [ids.index(response_id) for response_id in shown]


def _parse_rationale(value: Any, column: str) -> str:
    text = parse_text(value, column)
    if len(text) > MAX_RATIONALE_CHARACTERS:
        raise RowError(column, f"has {len(text):,} characters; at most {MAX_RATIONALE_CHARACTERS:,}")
    return text


def _parse_flags(value: Any, column: str) -> list[str]:
    flags = parse_list(value, column)
    try:
        return clean_flags([parse_text(flag, column) for flag in flags])
    except (InvalidJudgment, InvalidText) as error:
        raise RowError(column, error.message) from error


def _parse_seconds(value: Any, column: str) -> float:
    seconds = parse_number(value, column)
    if not 0 <= seconds <= MAX_SECONDS:
        raise RowError(column, f"is {seconds:g}; it should be between 0 and {MAX_SECONDS:,}, a day")
    return seconds
