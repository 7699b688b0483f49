"""Which judgments of a project a dataset is made of, and the rows that are there now."""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from django.db.models import Q, QuerySet
from django.utils.translation import gettext

from annotation.datasets.conditions import NO_CONDITIONS, Conditions, InvalidConditions
from annotation.datasets.shards import ROWS_PER_GROUP
from annotation.models import COUNTED_PURPOSES, Batch, Judgment, standing_decisions
from annotation.record_columns import judgment_rows, judgment_tables
from annotation.records import imports_of_judgments
from learning.interface.record_rows import JudgmentRow
from learning.interface.record_schemas import JUDGMENTS
from learning.interface.vocabulary import PERSON
from workspace.models import Criterion, Project

DEFAULT_ANNOTATOR_KINDS = (PERSON,)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Empty criteria, rounds and splits, and batches of None, select all. With `decisions`, what a reviewer decided
    stands in place of the judgments of the task. Raises InvalidConditions.
    """

    project: Project
    criteria: Collection[Criterion] = ()
    batches: Collection[Batch] | None = None
    rounds: Collection[int] = ()
    purposes: Collection[str] = COUNTED_PURPOSES
    annotator_kinds: Collection[str] = DEFAULT_ANNOTATOR_KINDS
    splits: Collection[str] = ()
    conditions: Conditions = NO_CONDITIONS
    decisions: bool = False

    def __post_init__(self) -> None:
        if self.decisions and PERSON not in self.annotator_kinds:
            raise InvalidConditions(
                gettext("Decisions are people's: select judgments of people, too, to have them.")
            )
        if self.decisions and self.conditions.min_agreement is not None:
            raise InvalidConditions(
                gettext(
                    "A decision is one person's and has no agreement, so that it would be left out: "
                    "select by agreement "
                    "or take decisions, in two datasets."
                )
            )
        if self.decisions and self.conditions.until is not None:
            raise InvalidConditions(
                gettext(
                    "Decisions are taken as they stand now, not as they stood at the end of a time: "
                    "leave out one of both."
                )
            )

    def without_conditions(self) -> "Selection":
        return replace(self, conditions=NO_CONDITIONS)

    def describe(self) -> dict[str, Any]:
        """The filters of a dataset as it records them. Those that ask nothing are left out, but for the first four:
        the content of a dataset is known by its filters too.
        """
        criteria = sorted(criterion.name for criterion in self.criteria)
        filters: dict[str, Any] = {
            "criterion": criteria[0] if len(criteria) == 1 else None,
            **({"criteria": criteria} if len(criteria) > 1 else {}),
            "batches": sorted(batch.name for batch in self.batches) if self.batches is not None else None,
            "purposes": sorted(self.purposes),
            "annotator_kinds": sorted(self.annotator_kinds),
        }
        if self.rounds:
            filters["rounds"] = sorted(self.rounds)
        if self.decisions:
            filters["decisions"] = True
        if self.splits:
            filters["splits"] = sorted(self.splits)
        filters |= self.conditions.describe()
        if self.batches is None and (names := self._excluded_batches()):
            filters["excluded_batches"] = names
        return filters

    def _excluded_batches(self) -> list[str]:
        excluded = Batch.objects.filter(project=self.project, visible=True, excluded=True)
        if self.criteria:
            excluded = excluded.filter(criterion__in=self.criteria)
        if self.rounds:
            excluded = excluded.filter(round_number__in=self.rounds)
        return sorted(excluded.values_list("name", flat=True))

    def chosen_batches(self) -> Collection[Batch] | None:
        """None: all of them."""
        if not self.rounds:
            return self.batches
        if self.batches is not None:
            return [batch for batch in self.batches if batch.round_number in self.rounds]
        return list(Batch.objects.for_datasets(self.project).filter(round_number__in=self.rounds))

    def _of_the_database(self) -> dict[str, Any]:
        return {
            "criteria": list(self.criteria),
            "batches": self.chosen_batches(),
            "purposes": self.purposes,
            "annotator_kinds": self.annotator_kinds,
        }

    def rows(self) -> Iterator[JudgmentRow]:
        """JUDGMENTS rows in the order of batches and tasks."""
        rows = judgment_rows(
            self.project,
            splits=self.splits or None,
            decisions=self.decisions,
            **self._of_the_database(),
        )
        return self.conditions.rows(rows)

    def judgments(self) -> QuerySet[Any]:
        """The judgments themselves, whether or not they meet the conditions; in no order."""
        batches = Batch.objects.for_datasets(self.project)
        if self.criteria:
            batches = batches.filter(criterion__in=self.criteria)
        if (chosen := self.chosen_batches()) is not None:
            batches = batches.filter(pk__in=[batch.pk for batch in chosen])
        found = Judgment.objects.known().filter(task__batch__in=batches)
        wanted = Q(task__purpose__in=self.purposes)
        if self.decisions:
            standing = standing_decisions().filter(task__purpose__in=self.purposes)
            wanted &= ~Q(task__in=standing.values("task"))
            wanted |= Q(task__in=standing.values("decision_task"))
        found = found.filter(wanted)
        if self.splits:
            found = found.filter(task__prompt__split__in=self.splits)
        selected: QuerySet[Any] = found.of_annotator_kinds(*self.annotator_kinds)
        return selected

    def tables(self) -> Iterator[pa.Table]:
        """The same as columns, some rows at a time; none of them is empty."""
        if not self.conditions:
            yield from judgment_tables(
                self.project,
                splits=self.splits or None,
                decisions=self.decisions,
                **self._of_the_database(),
            )
            return
        rows = self.rows()
        while page := list(itertools.islice(rows, ROWS_PER_GROUP)):
            yield pa.Table.from_pylist(page, schema=JUDGMENTS)

    def imports(self) -> list[int]:
        """The keys of the imports whose judgments may be among the rows."""
        return imports_of_judgments(self.project, **self._of_the_database())
