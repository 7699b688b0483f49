"""Pairs as HelpSteer3 has them: an overall preference and those it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.importing.readers.base import Row
from annotation.importing.readers.fields import (
    parse_list,
    parse_name,
    parse_number,
    parse_preference,
    parse_strength,
    parse_text,
)
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.readers.pair_groups import PAIR_FIELDS, PairReader
from annotation.importing.readers.whole_conversations import read_responses
from annotation.importing.rows import RowError, describe_json_type
from annotation.preferences.validation import MAX_RATIONALE_CHARACTERS

INDIVIDUAL_KEYS = {"score", "reasoning", "feedback1", "feedback2", "annotator"}
_FEEDBACK_TITLES = (("reasoning", ""), ("feedback1", "Response 1: "), ("feedback2", "Response 2: "))


@dataclass(frozen=True, kw_only=True)
class _Preference:
    column: str
    score: Any
    annotator: str | None = None
    reason: str = ""
    given: Mapping[str, Any] | None = None  # the entry, where it has the strength that was given


class Helpsteer3Reader(PairReader):
    """`context` (messages), `response1`, `response2`, `overall_preference` -3..3 (negative: the first is better), and
    `individual_preference`: [{score, reasoning, feedback1, feedback2}].

    Where a row has individual preferences, each is a judgment of its own, with its reasoning and feedback as the
    reason, of the annotator it names, or one called after its place (individual-1, ...); the overall preference, which
    was made of them, is then not read and kept as any other column. So is the whole list where it has more than that.
    Without individual preferences the overall one is the judgment.

    In our own exports an individual preference has its `strength` beside the score, which has no form for one that is
    0 or was not given; and pairs of one group are one K-way judgment again.
    """

    description: ClassVar[str] = gettext_noop("pairs with an overall preference -3..3 and individual ones")
    fields: ClassVar[tuple[str, ...]] = (
        "context", "response1", "response2", "overall_preference", "individual_preference", *PAIR_FIELDS,
        "annotator", "id",
    )  # fmt: skip
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("overall_preference", "individual_preference"),)

    def read(self, row: Row, line: int) -> list[ImportedJudgment | ImportedPair]:
        names = [self._columns.name("response1"), self._columns.name("response2")]
        prompt, responses = read_responses(
            self._columns.messages,
            self._columns.parse(row, "context", self._columns.messages.prompt),
            self._columns.name("context"),
            [self._columns.value(row, "response1"), self._columns.value(row, "response2")],
            names,
        )
        check_responses(responses, names)
        group, numbers = self._group(row), self._group_numbers(row)
        preferences = self._preferences(row, ours=group is not None)
        if len(preferences) > 1:
            # The numbers are those of the merged preferences, not of each annotator's.
            numbers = dict.fromkeys(numbers)
        in_group = group is not None and numbers["responses_in_group"] != 2
        judgments: list[ImportedJudgment | ImportedPair] = []
        for preference in preferences:
            side, strength = parse_preference(preference.score, preference.column, self._named_strengths)
            if preference.given is not None:
                strength = self._given_strength(preference)
            common: dict[str, Any] = {
                "prompt": prompt, "annotator": preference.annotator, "rationale": preference.reason,
            }  # fmt: skip
            if group is not None and in_group:
                chosen, rejected = responses if side <= 0 else responses[::-1]
                judgments.append(
                    ImportedPair(
                        group=group, chosen=chosen, rejected=rejected, strength=strength, tie=side == 0, **common,
                        **numbers,
                    )
                )  # fmt: skip
                continue
            judgments.append(
                ImportedJudgment(
                    responses=responses,
                    ranks=[int(side > 0), int(side < 0)],
                    strengths=[strength] if side else [],
                    **common,
                )
            )
        return judgments

    def _given_strength(self, preference: _Preference) -> int | None:
        strength = (preference.given or {})["strength"]
        return None if strength is None else parse_strength(strength, preference.column)

    def _preferences(self, row: Row, *, ours: bool) -> list[_Preference]:
        column = self._columns.name("individual_preference")
        individual = self._columns.parse_optional(row, "individual_preference", parse_list) or []
        found: list[_Preference] = []
        known = INDIVIDUAL_KEYS | {"strength"} if ours else INDIVIDUAL_KEYS
        for index, entry in enumerate(individual):
            where = f"{column}.{index}"
            if not isinstance(entry, Mapping):
                raise RowError(where, f"should be an object with a score but is {describe_json_type(entry)}")
            if entry.get("score") is not None:
                name = f"individual-{index + 1}"
                if entry.get("annotator") is not None:
                    name = parse_name(entry["annotator"], f"{where}.annotator")
                found.append(
                    _Preference(
                        column=f"{where}.score",
                        score=entry["score"],
                        annotator=name,
                        reason=_reason(entry, where),
                        given=entry if ours and "strength" in entry else None,
                    )
                )
        if any(entry.get("score") is None or entry.keys() - known for entry in individual):
            self._columns.keep(row, "individual_preference")
        if found:
            if ours:  # what follows from the individual preferences is no column of somebody's
                for field in ("overall_preference", "strength", "soft_label"):
                    self._columns.parse_optional(row, field, parse_number)
            return found
        column = self._columns.name("overall_preference")
        if self._columns.is_null(row, "overall_preference"):
            raise RowError(column, "is null: nothing says which response is better")
        return [
            _Preference(
                column=column,
                score=self._columns.value(row, "overall_preference"),
                annotator=self._columns.parse_optional(row, "annotator", parse_name),
            )
        ]


def _reason(entry: Mapping[str, Any], where: str) -> str:
    """The reasoning, then what is said of each response."""
    parts = []
    for key, title in _FEEDBACK_TITLES:
        if entry.get(key):
            parts.append(title + parse_text(entry[key], f"{where}.{key}"))
    reason = "\n\n".join(parts)
    if len(reason) > MAX_RATIONALE_CHARACTERS:
        raise RowError(
            where, f"has a reason of {len(reason):,} characters; at most {MAX_RATIONALE_CHARACTERS:,}"
        )
    return reason
