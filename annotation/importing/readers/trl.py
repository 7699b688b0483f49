"""Pairs as TRL writes them: prompt, chosen, rejected."""

from typing import ClassVar

from django.utils.translation import gettext_noop

from annotation.importing.readers.base import Row
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.readers.messages import Message, looks_like_messages
from annotation.importing.readers.pair_groups import PAIR_FIELDS, PairReader
from annotation.importing.readers.prompt_columns import (
    PROMPT_FIELDS,
    PROMPT_FORMS,
    add_system,
    has_prompt,
    prompt_name,
    read_prompt,
)
from annotation.importing.readers.whole_conversations import read_responses, split_shared_prompt
from learning.interface.messages import Answer


class TrlReader(PairReader):
    """`prompt`, `chosen`, `rejected` as messages or text; without a prompt column the messages that both share. Whole
    conversations beside a prompt are read as their last turns, where the rest agrees with the prompt.

    Pairs of one `group_id` are one K-way judgment again; `n_ties_in_group` and `n_responses_in_group` tell ties that
    were left out from pairs that nobody compared. `soft_label` 0.5 is a tie. A text prompt in the form of a
    transcript is read as its turns. `margin` is read only where there is no strength, by the rule of
    --margins; `weight` and `agreement` follow from judgments, and are not read.
    """

    description: ClassVar[str] = gettext_noop("prompt, chosen and rejected as messages or text")
    fields: ClassVar[tuple[str, ...]] = (
        *PROMPT_FIELDS, "chosen", "rejected", *PAIR_FIELDS, "annotator", "id",
    )  # fmt: skip
    only_our_groups: ClassVar[bool] = False
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (PROMPT_FORMS,)

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        prompt, chosen, rejected = self._chosen_rejected(row)
        check_responses([chosen, rejected], [self._columns.name("chosen"), self._columns.name("rejected")])
        tie = self._is_tie(row)
        strength = self._strength(row) if tie else self._strength_or_margin(row)
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
                annotator=annotator, **self._group_numbers(row),
            )
        ]  # fmt: skip

    def _chosen_rejected(self, row: Row) -> tuple[list[Message], Answer, Answer]:
        names = [self._columns.name("chosen"), self._columns.name("rejected")]
        values = [self._columns.value(row, "chosen"), self._columns.value(row, "rejected")]
        parser = self._columns.messages
        if not has_prompt(self._columns, row) and all(map(looks_like_messages, values)):
            conversations = [
                parser.conversation(value, name) for value, name in zip(values, names, strict=True)
            ]
            prompt, (chosen, rejected) = split_shared_prompt(conversations, names)
            prompt = add_system(self._columns, row, prompt)
        else:
            prompt, (chosen, rejected) = read_responses(
                parser, read_prompt(self._columns, row), prompt_name(self._columns, row), values, names
            )
        return prompt, chosen, rejected

    def _strength_or_margin(self, row: Row) -> int | None:
        """The strength; where the row has none, that of its margin by the caller's rule."""
        strength = self._strength(row)
        is_named = self._margins.given and self._columns.is_mapped("margin")
        if is_named and not self._columns.is_mapped("strength") and self._columns.has(row, "margin"):
            self._columns.keep(row, "strength")
            strength = None
        if strength is None and self._columns.has(row, "margin"):
            if self._margins.given:
                return self._columns.parse(row, "margin", self._margins.strength)
            self._margins.unread += 1
        return strength
