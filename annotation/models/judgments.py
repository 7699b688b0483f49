"""Judgments, append-only.

A judgment that counts is current (the head of its chain), not withdrawn and not surplus.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from annotation.models.assignments import Assignment
from annotation.models.imports import Import, import_field, source_id_field
from annotation.models.tasks import Batch, Task
from workspace.models import Criterion, Project, User


class JudgmentQuerySet(models.QuerySet[Any]):
    def known(self) -> JudgmentQuerySet:
        """Leaves out those of an import that is not done, or was taken back."""
        return self.filter(Q(from_import__isnull=True) | Q(from_import__state=Import.State.DONE))

    def heads(self) -> JudgmentQuerySet:
        """The last link of each chain, a withdrawal included."""
        return self.known().filter(current_pointer__isnull=False)

    def current(self) -> JudgmentQuerySet:
        """What each annotator holds now: the last link of each chain, unless it is a withdrawal."""
        return self.heads().filter(withdrawn=False)

    def counted(self) -> JudgmentQuerySet:
        return self.current().filter(surplus=False)

    def of_project(self, project: Project) -> JudgmentQuerySet:
        return self.filter(task__batch__project=project)

    def in_batch(self, batch: Batch) -> JudgmentQuerySet:
        return self.filter(task__batch=batch)

    def in_visible_batches(self) -> JudgmentQuerySet:
        """Leaves out what an import has not finished bringing in."""
        return self.filter(task__batch__visible=True)

    def for_datasets(self) -> JudgmentQuerySet:
        """Of batches that datasets are made of."""
        return self.known().filter(task__batch__visible=True, task__batch__excluded=False)

    def of_criterion(self, criterion: Criterion) -> JudgmentQuerySet:
        return self.filter(task__batch__criterion=criterion)

    def of_purposes(self, *purposes: str) -> JudgmentQuerySet:
        return self.filter(task__purpose__in=purposes)

    def for_reward_model_training(self) -> JudgmentQuerySet:
        """Head-to-head judgments measure a policy; a reward model judged on them never trains on them."""
        return self.of_purposes(Task.Purpose.NORMAL)

    def of_annotator_kinds(self, *annotator_kinds: str) -> JudgmentQuerySet:
        return self.filter(annotator__kind__in=annotator_kinds)

    def by_people(self) -> JudgmentQuerySet:
        return self.of_annotator_kinds(User.Kind.PERSON)


class Judgment(models.Model):
    """Never changed: a revision or a withdrawal is a new row that supersedes this one."""

    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="judgments")
    # No index of its own where another begins with the column: a judgment writes each of them.
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="judgments", db_index=False)
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="judgments"
    )
    supersedes = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by", db_index=False
    )
    order_shown = models.JSONField()  # [response key, ...]
    tiers = models.JSONField()  # [[response key, ...], ...] best first
    strengths = models.JSONField(default=list)  # 0..3 for each step between tiers; null: nobody gave one
    # How sure the annotator was, on as many points as the settings have; null where nobody asked.
    confidence = models.PositiveSmallIntegerField(null=True, blank=True)
    marks = models.JSONField(default=dict, blank=True)  # {"response key": {name: value}}
    rationale = models.TextField(blank=True)
    flags = models.JSONField(default=list, blank=True)
    seconds = models.FloatField(
        default=0.0, help_text="Active seconds: the page visible, the person not idle."
    )
    evidence = models.JSONField(null=True, blank=True, help_text="What the page saw of it.")
    settings_version = models.PositiveIntegerField()
    guideline_version = models.PositiveIntegerField()
    surplus = models.BooleanField(default=False, help_text="Came when no slot was open: kept, not counted.")
    withdrawn = models.BooleanField(default=False, help_text="This row takes back the one it supersedes.")
    idempotency_key = models.CharField(max_length=100)
    from_import = import_field("judgments")
    source_id = source_id_field()
    metadata = models.JSONField(null=True, blank=True, help_text="Further columns of the file it came from.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = JudgmentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["supersedes"], name="unique_successor_per_judgment"),
            models.UniqueConstraint(
                fields=["annotator", "idempotency_key"], name="unique_idempotency_key_per_annotator"
            ),
            # One chain for each person and task.
            models.UniqueConstraint(
                fields=["assignment"],
                condition=Q(supersedes__isnull=True),
                name="unique_first_judgment_per_assignment",
            ),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="judgment_seconds_not_negative"),
            models.CheckConstraint(
                condition=~Q(idempotency_key=""), name="judgment_idempotency_key_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(withdrawn=False) | Q(supersedes__isnull=False),
                name="judgment_withdrawn_valid",
            ),
        ]
        indexes = [
            models.Index(fields=["task", "annotator"], name="judgment_by_task"),
            # What somebody worked today and this week.
            models.Index(fields=["annotator", "created_at"], name="judgment_own_time"),
        ]


class CurrentJudgment(models.Model):
    """Points at the head of the chain of an annotator and a task."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="current_judgments", db_index=False)
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    judgment = models.OneToOneField(Judgment, on_delete=models.PROTECT, related_name="current_pointer")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "annotator"], name="unique_current_judgment_per_task_and_annotator"
            )
        ]
        # The latest of a person, whatever they have judged before.
        indexes = [models.Index(fields=["annotator", "-judgment"], name="current_judgment_latest")]


class GoldJudgment(models.Model):
    """The known judgment of a gold or practice task. Annotators never receive it before they have judged the task."""

    task = models.OneToOneField(Task, on_delete=models.PROTECT, related_name="gold_judgment")
    tiers = models.JSONField()
    strengths = models.JSONField(default=list)
    # Other orders that are right as well: [{"tiers": ..., "strengths": ...}, ...].
    also_right = models.JSONField(default=list, blank=True)
    # By how many places of the scale a pair may be off; null: which answer is better is enough.
    tolerance = models.PositiveSmallIntegerField(null=True, blank=True)
    least_pairs = models.FloatField(default=1.0, help_text="Share of its pairs that must be right, 0 to 1.")
    explanation = models.TextField(blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # Raised by each change: two managers at once do not overwrite each other.
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(least_pairs__gt=0, least_pairs__lte=1), name="gold_least_pairs_valid"
            ),
        ]
