"""Pairs as HelpSteer3 has them: an overall preference and those it was made of."""

from collections.abc import Mapping
from typing import Any, ClassVar

from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import parse_list, parse_name, parse_preference, parse_text
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair, check_responses
from annotation.importing.readers.whole_conversations import read_responses
from annotation.importing.rows import RowError, describe_json_type
from annotation.preferences.validation import MAX_RATIONALE_CHARACTERS

INDIVIDUAL_KEYS = {"score", "reasoning", "feedback1", "feedback2", "annotator"}


class Helpsteer3Reader(ForeignFormatReader):
    """`context` (messages), `response1`, `response2`, `overall_preference` -3..3 (negative: the first is better), and
    `individual_preference`: [{score, reasoning, feedback1, feedback2}].

    Where a row has individual preferences, each is a judgment of its own, with its reasoning and feedback as the
    reason, of the annotator it names, or one called after its place (individual-1, ...); the overall preference, which
    was made of them, is then not read and kept as any other column. So is the whole list where it has more than that.
    Without individual preferences the overall one is the judgment.
    """

    description: ClassVar[str] = "pairs with an overall preference -3..3 and individual ones"
    fields: ClassVar[tuple[str, ...]] = (
        "context", "response1", "response2", "overall_preference", "individual_preference", "annotator", "id",
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
        judgments: list[ImportedJudgment | ImportedPair] = []
        for column, score, annotator, reason in self._preferences(row):
            side, strength = parse_preference(score, column, self._named_strengths)
            judgments.append(
                ImportedJudgment(
                    prompt=prompt,
                    responses=responses,
                    ranks=[int(side > 0), int(side < 0)],
                    strengths=[strength] if side else [],
                    annotator=annotator,
                    rationale=reason,
                )
            )
        return judgments

    def _preferences(self, row: Row) -> list[tuple[str, Any, str | None, str]]:
        """(column, score, annotator, reason) of each judgment of the row."""
        column = self._columns.name("individual_preference")
        individual = self._columns.parse_optional(row, "individual_preference", parse_list) or []
        found: list[tuple[str, Any, str | None, str]] = []
        for index, entry in enumerate(individual):
            where = f"{column}.{index}"
            if not isinstance(entry, Mapping):
                raise RowError(where, f"should be an object with a score but is {describe_json_type(entry)}")
            if entry.get("score") is not None:
                name = f"individual-{index + 1}"
                if entry.get("annotator") is not None:
                    name = parse_name(entry["annotator"], f"{where}.annotator")
                found.append((f"{where}.score", entry["score"], name, _reason(entry, where)))
        if any(entry.get("score") is None or entry.keys() - INDIVIDUAL_KEYS for entry in individual):
            self._columns.keep(row, "individual_preference")
        if found:
            return found
        annotator = self._columns.parse_optional(row, "annotator", parse_name)
        column = self._columns.name("overall_preference")
        if self._columns.is_null(row, "overall_preference"):
            raise RowError(column, "is null: nothing says which response is better")
        return [(column, self._columns.value(row, "overall_preference"), annotator, "")]


def _reason(entry: Mapping[str, Any], where: str) -> str:
    """The reasoning, then what is said of each response."""
    parts = []
    for key, title in (("reasoning", ""), ("feedback1", "Response 1: "), ("feedback2", "Response 2: ")):
        if entry.get(key):
            parts.append(title + parse_text(entry[key], f"{where}.{key}"))
    reason = "\n\n".join(parts)
    if len(reason) > MAX_RATIONALE_CHARACTERS:
        raise RowError(
            where, f"has a reason of {len(reason):,} characters; at most {MAX_RATIONALE_CHARACTERS:,}"
        )
    return reason
