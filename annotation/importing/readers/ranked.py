"""A prompt, its responses, and how they compare: ranks, a preference or labels of pairs."""

import math
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import (
    parse_integer,
    parse_list,
    parse_number,
    parse_preference,
    parse_strength,
)
from annotation.importing.readers.judgments import (
    ImportedJudgment,
    ImportedPair,
    check_responses,
    merge_pairs,
)
from annotation.importing.readers.messages import Message
from annotation.importing.readers.prompt_columns import PROMPT_FIELDS, PROMPT_FORMS, prompt_name, read_prompt
from annotation.importing.readers.several_annotators import RowAnswer, read_answers
from annotation.importing.readers.whole_conversations import read_responses
from annotation.importing.rows import RowError
from annotation.preferences.weak_orders import dense_ranks
from learning.interface.messages import Answer

COMPARED_BY = ("pair_labels", "preference", "ranks", "scores")
OUR_GROUP = ("group_id", "n_annotators", "n_ties_in_group")


class RankedReader(ForeignFormatReader):
    """`prompt`, `responses`, and how they compare: `ranks` (lowest best, equal = tie) with optional
    `strengths` of the steps; or `scores` (highest best, equal = tie); or, for two responses, `preference` (a strength
    with its side); or `pair_labels` for the pairs in the order 12 13 14 23 24 34: 0 tie, 1 the first, 2 the second.
    Pair labels that are no weak order stay pairs.

    Several preferences, or lists of lists of ranks, scores or pair labels, are those of several annotators: each is a
    judgment (`several_annotators`).
    """

    description: ClassVar[str] = gettext_noop("responses with ranks, scores, a preference or labels of pairs")
    fields: ClassVar[tuple[str, ...]] = (
        *PROMPT_FIELDS,
        "responses",
        "ranks",
        "strengths",
        "scores",
        "preference",
        "pair_labels",
        "rationale",
        "group_id",
        "weight",
        "n_annotators",
        "agreement",
        "n_ties_in_group",
        "annotator",
        "id",
    )
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (PROMPT_FORMS, COMPARED_BY)

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        prompt, responses = self._prompt_and_responses(row)
        if all(self._columns.has(row, field) for field in OUR_GROUP):
            for field in OUR_GROUP:  # of our own exports: they follow from judgments
                self._columns.value(row, field)
        field = self._compared_by(row)
        found: list[ImportedJudgment | ImportedPair] = []
        for answer in read_answers(self._columns, row, field):
            common: dict[str, Any] = {
                "prompt": prompt,
                "responses": responses,
                "annotator": answer.annotator,
                "rationale": answer.rationale,
            }
            if field == "pair_labels":
                found += self._read_pair_labels(row, line, answer, common)
            elif field == "preference":
                found.append(self._read_preference(answer, common))
            else:
                found.append(self._read_order(row, field, answer, common))
        self._require_no_contradiction(row, field, found)
        return found

    def _require_no_contradiction(
        self, row: Row, field: str, found: list[ImportedJudgment | ImportedPair]
    ) -> None:
        """Raises RowError when the row has ranks or scores of another order than the one that was read."""
        if len(found) != 1 or not isinstance(found[0], ImportedJudgment):
            return
        for other, sign in (("ranks", 1), ("scores", -1)):
            if other == field or not self._columns.has(row, other):
                continue
            numbers = self._columns.value(row, other)
            self._columns.keep(row, other)
            if not isinstance(numbers, list) or len(numbers) != len(found[0].ranks):
                continue
            if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
                continue
            if dense_ranks([sign * number for number in numbers]) != list(found[0].ranks):
                raise RowError(
                    self._columns.name(other),
                    f"is another order than {self._columns.name(field)}: name the one that counts, as in --map "
                    f"{other}={self._columns.name(other)}",
                )

    def _compared_by(self, row: Row) -> str:
        """The field that says how the responses of this row compare."""
        if self._columns.has(row, "pair_labels"):
            return "pair_labels"
        if self._columns.has_any(row, "preference"):
            return "preference"
        if self._columns.has(row, "ranks"):
            return "ranks"
        if self._columns.has(row, "scores"):
            return "scores"
        for field in ("preference", "ranks", "scores", "pair_labels"):
            if self._columns.is_null(row, field):
                raise RowError(self._columns.name(field), "is null: nothing says which response is better")
        present = ", ".join(name[:40] for name in sorted(row)[:12]) or "none"
        raise RowError(
            "ranks",
            f"is missing, and so are scores, preference and pair_labels (the row has: {present}); name what says how "
            "the responses compare: --map ranks=COLUMN, scores=, preference= or pair_labels=",
        )

    def _prompt_and_responses(self, row: Row) -> tuple[list[Message], list[Answer]]:
        column = self._columns.name("responses")
        values = self._columns.parse(row, "responses", parse_list)
        several = " + " in column
        names = column.split(" + ") if several else [f"{column}.{index}" for index in range(len(values))]
        prompt, responses = read_responses(
            self._columns.messages,
            read_prompt(self._columns, row),
            prompt_name(self._columns, row),
            values,
            names,
        )
        check_responses(responses, names if several else [column])
        return prompt, responses

    def _read_order(
        self, row: Row, field: str, answer: RowAnswer, common: dict[str, Any]
    ) -> ImportedJudgment:
        column, values = answer.column, parse_list(answer.value, answer.column)
        size = len(common["responses"])
        if len(values) != size:
            raise RowError(column, f"has {len(values)} {field} for {size} responses")
        cells = [(value, f"{column}.{index}") for index, value in enumerate(values)]
        numbers: list[float] = (
            [parse_integer(*cell, -(10**6), 10**6) for cell in cells]
            if field == "ranks"
            else [-parse_number(*cell) for cell in cells]
        )
        ranks = dense_ranks(numbers)
        strengths: list[int | None] = [None] * max(ranks)
        if self._columns.has(row, "strengths"):
            column = self._columns.name("strengths")
            steps = self._columns.parse(row, "strengths", parse_list)
            strengths = [
                None if step is None else parse_strength(step, f"{column}.{i}")
                for i, step in enumerate(steps)
            ]
            if len(strengths) != max(ranks):
                raise RowError(column, f"has {len(strengths)} strengths for {max(ranks)} steps between tiers")
        return ImportedJudgment(ranks=ranks, strengths=strengths, **common)

    def _read_preference(self, answer: RowAnswer, common: dict[str, Any]) -> ImportedJudgment:
        if len(common["responses"]) != 2:
            raise RowError(answer.column, f"compares two responses, but there are {len(common['responses'])}")
        side, strength = parse_preference(answer.value, answer.column, self._named_strengths)
        return ImportedJudgment(
            ranks=[int(side > 0), int(side < 0)], strengths=[strength] if side else [], **common
        )

    def _read_pair_labels(
        self, row: Row, line: int, answer: RowAnswer, common: dict[str, Any]
    ) -> list[ImportedJudgment]:
        column, size = answer.column, len(common["responses"])
        pairs = [(i, j) for i in range(size) for j in range(i + 1, size)]
        labels = parse_list(answer.value, column)
        if len(labels) != len(pairs):
            raise RowError(column, f"has {len(labels)} labels for the {len(pairs)} pairs of {size} responses")
        signs = {
            pair: (0, 1, -1)[parse_integer(label, f"{column}.{index}", 0, 2)]
            for index, (pair, label) in enumerate(zip(pairs, labels, strict=True))
        }
        return merge_pairs(
            group=self.row_id(row) or f"line {line}",
            signs=signs,
            strengths=dict.fromkeys(pairs, None),
            **common,
        )
