"""Reads that speak the domain.

A judgment that counts is current (the newest of its chain), not withdrawn and not surplus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Count, Q

if TYPE_CHECKING:
    from annotation.models import Batch
    from workspace.models import Criterion, Project

# Only these purposes take slots, count towards a batch's quota and are exported by default.
SLOT_PURPOSES = ("normal", "head_to_head")


class BatchQuerySet(models.QuerySet[Any]):
    def open_to_annotators(self, project: Project) -> BatchQuerySet:
        """Batches that hand out tasks, the most urgent first."""
        return self.filter(project=project, state="open", visible=True).order_by("-priority", "pk")

    def with_progress(self) -> BatchQuerySet:
        """Adds `counted_judgments`: how many judgments count towards the quota."""
        return self.annotate(
            counted_judgments=Count(
                "tasks__current_judgments",
                filter=Q(
                    tasks__purpose__in=SLOT_PURPOSES,
                    tasks__reserved_for__isnull=True,
                    tasks__current_judgments__judgment__withdrawn=False,
                    tasks__current_judgments__judgment__surplus=False,
                ),
            )
        )


class TaskQuerySet(models.QuerySet[Any]):
    def in_batch(self, batch: Batch) -> TaskQuerySet:
        return self.filter(batch=batch)

    def of_slots(self) -> TaskQuerySet:
        """Tasks that count: normal and head-to-head ones."""
        return self.filter(purpose__in=SLOT_PURPOSES)


class JudgmentQuerySet(models.QuerySet[Any]):
    def newest(self) -> JudgmentQuerySet:
        """The last link of each chain, a withdrawal included."""
        return self.filter(current_pointer__isnull=False)

    def current(self) -> JudgmentQuerySet:
        """What each annotator holds now: the last link of each chain, unless it is a withdrawal."""
        return self.newest().filter(withdrawn=False)

    def counted(self) -> JudgmentQuerySet:
        return self.current().filter(surplus=False)

    def of_project(self, project: Project) -> JudgmentQuerySet:
        return self.filter(task__batch__project=project)

    def in_batch(self, batch: Batch) -> JudgmentQuerySet:
        return self.filter(task__batch=batch)

    def in_visible_batches(self) -> JudgmentQuerySet:
        """Leaves out what an import has not finished bringing in."""
        return self.filter(task__batch__visible=True)

    def of_criterion(self, criterion: Criterion) -> JudgmentQuerySet:
        return self.filter(task__batch__criterion=criterion)

    def of_purposes(self, *purposes: str) -> JudgmentQuerySet:
        return self.filter(task__purpose__in=purposes)

    def for_training(self) -> JudgmentQuerySet:
        """Head-to-head judgments measure a policy; a reward model judged on them never trains on them."""
        return self.of_purposes("normal")

    def by_kind(self, *kinds: str) -> JudgmentQuerySet:
        return self.filter(annotator__kind__in=kinds)

    def by_people(self) -> JudgmentQuerySet:
        return self.by_kind("person")

    def decisive(self) -> JudgmentQuerySet:
        """At least one step between tiers: somebody preferred something. One tier is `strengths == []`."""
        return self.exclude(strengths=[])
