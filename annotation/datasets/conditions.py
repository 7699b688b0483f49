"""Conditions on judgments that only the rows themselves can answer: agreement, length, time. Pure.

Rows come and go in the order of tasks, one task at a time, so that memory does not grow.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext

from annotation.preferences.comparisons import agreement_between, is_counted
from learning.interface.record_rows import JudgmentRow, iso_utc
from workspace.errors import ActionError


class InvalidConditions(ActionError):
    """A share beyond 0..1, or an end before its beginning."""

    code = "invalid_conditions"


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What is asked of judgments beyond batch, criterion, kind and split. None: not asked.

    min_agreement: share (0..1) of pairs of annotators of one kind with the same sign on a task's pairs; a task that
    one person judged has none and is left out.
    min_characters, max_characters: of every answer of the task.
    since, until: judgments made before `until`, as they stood then; of those, the judgments of an annotator on a task
    when the last was made at `since` or later.
    """

    min_agreement: float | None = None
    min_characters: int | None = None
    max_characters: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise InvalidConditions(
                gettext("An agreement of %(min_agreement)s is no share: give a number from 0 to 1.")
                % {"min_agreement": self.min_agreement}
            )
        for name in ("min_characters", "max_characters"):
            if (value := getattr(self, name)) is not None and value < 0:
                raise InvalidConditions(gettext("%(value)s characters: give 0 or more.") % {"value": value})
        shortest, longest = self.min_characters, self.max_characters
        if shortest is not None and longest is not None and shortest > longest:
            raise InvalidConditions(
                gettext("At least %(shortest)s and at most %(longest)s characters: no answer is both.")
                % {"shortest": shortest, "longest": longest}
            )
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidConditions(gettext("The time ends before it begins: exchange the two dates."))

    def __bool__(self) -> bool:
        return self != Conditions()

    def describe(self) -> dict[str, Any]:
        """Those that were asked for, as the filters of a dataset record them."""
        values = {
            "min_agreement": self.min_agreement,
            "min_characters": self.min_characters,
            "max_characters": self.max_characters,
            "since": None if self.since is None else iso_utc(self.since),
            "until": None if self.until is None else iso_utc(self.until),
        }
        return {name: value for name, value in values.items() if value is not None}

    def rows(self, judgments: Iterable[JudgmentRow]) -> Iterator[JudgmentRow]:
        """The rows that meet them. `judgments` must come ordered by task, with their whole history."""
        if not self:
            yield from judgments
            return
        for _, members in itertools.groupby(judgments, key=lambda row: row["task_id"]):
            yield from self._of_one_task(list(members))

    def _of_one_task(self, rows: Sequence[JudgmentRow]) -> Sequence[JudgmentRow]:
        lengths = [len(response["text"]) for response in rows[0]["responses"]]
        if self.min_characters is not None and min(lengths) < self.min_characters:
            return []
        if self.max_characters is not None and max(lengths) > self.max_characters:
            return []
        rows = _last_made_since(_as_it_stood(rows, self.until), self.since)
        if self.min_agreement is not None:
            rows = _agreeing(rows, self.min_agreement)
        return rows


def _as_it_stood(rows: Sequence[JudgmentRow], until: datetime | None) -> Sequence[JudgmentRow]:
    """What was there before `until`; what superseded it later has not happened yet."""
    if until is None:
        return rows
    end = iso_utc(until)
    earlier = [row for row in rows if row["created_at"] < end]
    superseded = {row["supersedes"] for row in earlier}
    heads: list[Any] = [
        row if row["is_current"] else row | {"is_current": row["judgment_id"] not in superseded}
        for row in earlier
    ]
    return heads


def _last_made_since(rows: Sequence[JudgmentRow], since: datetime | None) -> Sequence[JudgmentRow]:
    if since is None:
        return rows
    begin = iso_utc(since)
    last: dict[str, str] = {}
    for row in rows:
        last[row["annotator"]] = max(row["created_at"], last.get(row["annotator"], ""))
    return [row for row in rows if last[row["annotator"]] >= begin]


def _agreeing(rows: Sequence[JudgmentRow], at_least: float) -> Sequence[JudgmentRow]:
    kinds = {}
    for kind in {row["annotator_kind"] for row in rows}:
        found = agreement_between(row for row in rows if row["annotator_kind"] == kind and is_counted(row))
        kinds[kind] = found is not None and found >= at_least
    return [row for row in rows if kinds[row["annotator_kind"]]]


NO_CONDITIONS = Conditions()
