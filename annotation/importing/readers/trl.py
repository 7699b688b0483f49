"""Pairs as TRL writes them: prompt, chosen, rejected."""

from collections.abc import Sequence
from typing import Any, ClassVar

from annotation.content.transcripts import from_transcript
from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import (
    Message,
    parse_conversation,
    parse_id,
    parse_integer,
    parse_number,
    parse_prompt,
    parse_response,
)
from annotation.importing.readers.judgments import (
    MAX_RESPONSES,
    ImportedJudgment,
    ImportedPair,
    check_responses,
)
from annotation.importing.rows import RowError
from learning.interface.messages import Answer, to_answer

MAX_PAIRS = MAX_RESPONSES * (MAX_RESPONSES - 1) // 2


def _split_shared_prompt(
    chosen: list[Any], rejected: list[Any], names: Sequence[str]
) -> tuple[list[Message], Answer, Answer]:
    """(prompt, chosen, rejected) of two conversations that differ in their last turn only."""
    a, b = (parse_conversation(turns, name) for turns, name in zip((chosen, rejected), names, strict=True))
    for turns, name in ((a, names[0]), (b, names[1])):
        if turns[-1]["role"] != "assistant":
            raise RowError(name, f"should end with an assistant turn but ends with {turns[-1]['role']}")
    if a[:-1] != b[:-1]:
        raise RowError(names[1], f"shares no prompt with {names[0]} up to its last turn")
    if len(a) == 1:
        raise RowError(names[0], "has no prompt before the response, and there is no column prompt")
    return parse_prompt(a[:-1], names[0]), to_answer(a[-1:]), to_answer(b[-1:])


class TrlReader(ForeignFormatReader):
    """`prompt`, `chosen`, `rejected` as messages or text; without a prompt column the messages that both share.

    Pairs of one `group_id` are one K-way judgment again. `soft_label` 0.5 is a tie. A text prompt in the form of a
    transcript is read as its turns. `margin`, `weight` and `agreement` follow from strengths and judgments, and
    are not read.
    """

    description: ClassVar[str] = "prompt, chosen and rejected as messages or text"
    fields: ClassVar[tuple[str, ...]] = (
        "prompt", "chosen", "rejected", "strength", "soft_label", "margin", "weight", "agreement",
        "group_id", "pair_index", "n_pairs_in_group", "annotator", "id",
    )  # fmt: skip

    def row_id(self, row: Row) -> str | None:
        if self._has_pair_index(row):
            index = self._columns.parse(row, "pair_index", parse_integer, 0, 10**6)
            return f"{self._group(row)} pair {index} {self._annotator(row) or ''}".strip()
        return super().row_id(row)

    def row_id_column(self, row: Row) -> str:
        return self._columns.name("pair_index") if self._has_pair_index(row) else super().row_id_column(row)

    def _has_pair_index(self, row: Row) -> bool:
        return self._columns.has(row, "group_id") and self._columns.has(row, "pair_index")

    def _group(self, row: Row) -> str | None:
        return self._columns.parse_optional(row, "group_id", parse_id)

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        prompt, chosen, rejected = self._chosen_rejected(row)
        check_responses([chosen, rejected], [self._columns.name("chosen"), self._columns.name("rejected")])
        strength, tie = self._strength(row), self._is_tie(row)
        annotator = self._annotator(row)
        group = self._group(row)
        if group is None:
            return [
                ImportedJudgment(
                    prompt=prompt,
                    responses=[chosen, rejected],
                    ranks=[0, 0] if tie else [0, 1],
                    strengths=[] if tie else [strength],
                    annotator=annotator,
                )
            ]
        return [
            ImportedPair(
                group=group, prompt=prompt, chosen=chosen, rejected=rejected, strength=strength, tie=tie,
                annotator=annotator,
                pairs_in_group=self._columns.parse_optional(
                    row, "n_pairs_in_group", parse_integer, 1, MAX_PAIRS
                ),
            )
        ]  # fmt: skip

    def _chosen_rejected(self, row: Row) -> tuple[list[Message], Answer, Answer]:
        chosen, rejected = self._columns.value(row, "chosen"), self._columns.value(row, "rejected")
        names = [self._columns.name("chosen"), self._columns.name("rejected")]
        if not self._columns.has(row, "prompt") and isinstance(chosen, list) and isinstance(rejected, list):
            return _split_shared_prompt(chosen, rejected, names)
        prompt = self._columns.parse(row, "prompt", parse_prompt)
        value = self._columns.value(row, "prompt")
        if isinstance(value, str) and (turns := from_transcript(value)):
            prompt = parse_prompt(turns, self._columns.name("prompt"))
        return prompt, parse_response(chosen, names[0]), parse_response(rejected, names[1])

    def _is_tie(self, row: Row) -> bool:
        share = self._columns.parse_optional(row, "soft_label", parse_number)
        if share is not None and not 0.5 <= share <= 1:
            raise RowError(
                self._columns.name("soft_label"),
                f"is {share:g}: the share for the chosen response lies between 0.5 and 1",
            )
        return share == 0.5
