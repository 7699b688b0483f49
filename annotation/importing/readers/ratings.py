"""A prompt, one answer, and the marks that somebody gave it: HelpSteer's attributes, Likert scores, yes or no."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.errors import InvalidJudgment, InvalidText
from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import parse_name, parse_number, parse_text
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.importing.readers.messages import Message, looks_like_messages
from annotation.importing.readers.prompt_columns import (
    PROMPT_FIELDS,
    PROMPT_FORMS,
    add_system,
    has_prompt,
    prompt_name,
    read_prompt,
)
from annotation.importing.readers.whole_conversations import read_responses, split_shared_prompt
from annotation.importing.rows import RowError, describe_json_type
from annotation.preferences.validation import clean_marks
from learning.interface.messages import Answer

# HelpSteer and HelpSteer2 (Wang et al. 2023, 2024): 0 to 4 each.
HELPSTEER = ("helpfulness", "correctness", "coherence", "complexity", "verbosity")


class RatingsReader(ForeignFormatReader):
    """`prompt` and `response`, and `ratings`: an object {name: score}, or a number; columns that are named (--map
    ratings=helpfulness --map ratings=correctness) are marks of their own names. Without either, HelpSteer's five.

    A score is a number or a truth value; null is one that nobody gave. Rows of one answer by several annotators are
    judgments of one task.
    """

    description: ClassVar[str] = gettext_noop(
        "one answer with its ratings, for example HelpSteer's attributes"
    )
    fields: ClassVar[tuple[str, ...]] = (
        *PROMPT_FIELDS, "response", "ratings", *HELPSTEER, "rationale", "annotator", "id",
    )  # fmt: skip
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (PROMPT_FORMS,)

    def read(self, row: Row, line: int) -> list[ImportedJudgment]:
        prompt, answer = self._prompt_and_answer(row)
        rationale = self._columns.parse_optional(row, "rationale", parse_text) or ""
        return [
            ImportedJudgment(
                prompt=prompt,
                responses=[answer],
                ranks=[0],
                strengths=[],
                annotator=self._annotator(row),
                rationale=rationale,
                marks=[self._marks(row)],
            )
        ]

    def _prompt_and_answer(self, row: Row) -> tuple[list[Message], Answer]:
        name, value = self._columns.name("response"), self._columns.value(row, "response")
        if has_prompt(self._columns, row) or not looks_like_messages(value):
            asked = read_prompt(self._columns, row)
            name_of_prompt = prompt_name(self._columns, row)
            prompt, answers = read_responses(self._columns.messages, asked, name_of_prompt, [value], [name])
        else:
            prompt, answers = split_shared_prompt([self._columns.messages.conversation(value, name)], [name])
            prompt = add_system(self._columns, row, prompt)
        return prompt, answers[0]

    def _marks(self, row: Row) -> dict[str, float | bool]:
        marks = {
            name: _parse_score(value, column)
            for name, value, column in self._scores(row)
            if value is not None
        }
        if not marks:
            raise RowError(
                self._columns.name("ratings"),
                "has no score, and so have HelpSteer's columns; name what holds them: --map ratings=COLUMN",
            )
        try:
            clean_marks({0: marks}, [0])
        except (InvalidJudgment, InvalidText) as error:
            raise RowError(self._columns.name("ratings"), error.message) from error
        return marks

    def _scores(self, row: Row) -> list[tuple[str, Any, str]]:
        """(name of the mark, value, column)."""
        if self._columns.is_mapped("ratings") and len(self._columns.columns_of("ratings")) > 1:
            return [(column, value, column) for column, value in self._columns.cells(row, "ratings")]
        if self._columns.is_mapped("ratings") or self._columns.has(row, "ratings"):
            column, value = self._columns.name("ratings"), self._columns.value(row, "ratings")
            if isinstance(value, Mapping):
                return [
                    (parse_name(name, column), score, f"{column}.{name}") for name, score in value.items()
                ]
            return [(column, value, column)]
        return [
            (name, self._columns.value(row, name), self._columns.name(name))
            for name in HELPSTEER
            if self._columns.has(row, name)
        ]


def _parse_score(value: Any, column: str) -> float | bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, list | Mapping):
        raise RowError(column, f"should be a number but is {describe_json_type(value)}")
    number = parse_number(value, column)
    return int(number) if number.is_integer() else number
