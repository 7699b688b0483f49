"""What annotators are asked: batches of tasks and the responses each task shows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy

from annotation.models.imports import import_field
from annotation.models.prompts import Prompt
from annotation.models.responses import Response
from runs.models import Run
from workspace.models import MAX_OVERLAP, Criterion, Project

# Only these purposes take slots, count towards a batch's quota and are exported by default.
COUNTED_PURPOSES = ("normal", "head_to_head")


class BatchQuerySet(models.QuerySet[Any]):
    def open_to_annotators(self, project: Project) -> BatchQuerySet:
        """Batches that hand out tasks, the most urgent first."""
        return self.filter(project=project, state=Batch.State.OPEN, visible=True).order_by("-priority", "pk")

    def for_datasets(self, project: Project) -> BatchQuerySet:
        """Batches whose judgments datasets are made of."""
        return self.filter(project=project, visible=True, excluded=False)


class Batch(models.Model):
    class Kind(models.TextChoices):
        PAIRWISE = "pairwise", gettext_lazy("Pairwise")
        RANKING = "ranking", gettext_lazy("Ranking")
        RATING = "rating", gettext_lazy("Rating")  # one response, marks only

    class State(models.TextChoices):
        DRAFT = "draft", gettext_lazy("Draft")  # tasks are being added; nobody is asked
        OPEN = "open", gettext_lazy("Open")  # tasks are handed out
        CLOSED = "closed", gettext_lazy("Closed")  # no new tasks; what people had open may still come in

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="batches")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="batches")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    responses_per_task = models.PositiveSmallIntegerField(
        help_text="Responses a task; at most so many in a ranking."
    )
    overlap = models.PositiveSmallIntegerField(help_text="How many people judge each task.")
    quota = models.PositiveIntegerField(help_text="Counted judgments that fill the batch.", null=True)
    priority = models.IntegerField(default=0)
    round_number = models.PositiveIntegerField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    # An import is invisible until its last row is in, and again when it was taken back.
    visible = models.BooleanField(default=True)
    excluded = models.BooleanField(default=False, help_text="Left out of datasets from now on.")
    # Handed out to those alone who have passed it. Without a constraint, as Task.copy_of.
    required_training = models.ForeignKey(
        "annotation.Training",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="required_by",
        db_index=False,
        db_constraint=False,
    )
    # Who gets it (annotation.queue.eligibility): some of the people (BatchAudience), who have some skills; null: all.
    for_some = models.BooleanField(null=True, blank=True)
    skills_asked = models.CharField(
        max_length=3, choices=[("any", "Any of them"), ("all", "All of them")], null=True, blank=True
    )
    person_quota = models.PositiveIntegerField(
        null=True, blank=True, help_text="Tasks that one person judges of it at most."
    )
    # As annotation.preferences.content_warnings joins them; null: none.
    content_warnings = models.TextField(null=True, blank=True)
    from_import = import_field("batches")
    # That makes it of answers; invisible until the last of its tasks is in.
    run = models.ForeignKey(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="batches", editable=False
    )
    # Raised when priorities change: cursors of an older version start again from the top.
    queue_version = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_batch_name_per_project"),
            models.CheckConstraint(
                condition=Q(kind="pairwise", responses_per_task=2)
                | Q(kind="ranking", responses_per_task__gte=3, responses_per_task__lte=9)
                | Q(kind="rating", responses_per_task=1),
                name="batch_responses_per_task_valid",
            ),
            models.CheckConstraint(
                condition=Q(overlap__gte=1, overlap__lte=MAX_OVERLAP), name="batch_overlap_valid"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "open", "closed"]), name="batch_state_valid"
            ),
        ]
        indexes = [models.Index(fields=["project", "state", "-priority", "id"], name="batch_by_priority")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_live(self) -> bool:
        """Whether its tasks are made by conversations (models/conversations.py)."""
        return hasattr(self, "live")


class TaskQuerySet(models.QuerySet[Any]):
    def in_batch(self, batch: Batch) -> TaskQuerySet:
        return self.filter(batch=batch)

    def counted(self) -> TaskQuerySet:
        """Tasks that count: normal and head-to-head ones."""
        return self.filter(purpose__in=COUNTED_PURPOSES)


class Task(models.Model):
    class Purpose(models.TextChoices):
        NORMAL = "normal", gettext_lazy("Normal")
        GOLD = "gold", gettext_lazy("Gold")  # the judgment is known; annotators cannot tell
        REPEAT = "repeat", gettext_lazy("Repeat")  # the same annotator again
        PRACTICE = "practice", gettext_lazy("Practice")  # with feedback
        ADJUDICATION = "adjudication", gettext_lazy("Adjudication")  # a reviewer decides
        # One policy against another; never trains a reward model.
        HEAD_TO_HEAD = "head_to_head", gettext_lazy("Head to head")

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="tasks")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="tasks")
    purpose = models.CharField(max_length=14, choices=Purpose.choices, default=Purpose.NORMAL)
    reserved_for = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    # Shown again to measure who judges: of a gold, practice or repeated task the one that it is a copy of. Without a
    # constraint, which SQLite could take away again by building the table anew alone, triggers and all.
    copy_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="copies",
        db_index=False,
        db_constraint=False,
    )
    priority = models.IntegerField(default=0)
    # required_judgments = open_slots + counted_judgments + live leases. The room left is a column of the row that a
    # claim locks, never a count.
    required_judgments = models.PositiveSmallIntegerField()
    # True: the number was asked for this task alone and does not follow the batch's overlap. Else empty, which a table
    # of millions takes at once.
    own_required = models.BooleanField(null=True, editable=False)
    open_slots = models.SmallIntegerField()
    counted_judgments = models.SmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TaskQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(open_slots__gte=0), name="task_open_slots_not_negative"),
            models.CheckConstraint(condition=Q(counted_judgments__gte=0), name="task_counted_not_negative"),
            models.CheckConstraint(
                condition=Q(required_judgments__gte=F("open_slots") + F("counted_judgments")),
                name="task_slots_add_up",
            ),
            models.CheckConstraint(
                condition=Q(purpose__in=COUNTED_PURPOSES, required_judgments__gte=1)
                | (~Q(purpose__in=COUNTED_PURPOSES) & Q(required_judgments=0)),
                name="task_required_judgments_valid",
            ),
            models.CheckConstraint(
                condition=Q(
                    purpose__in=["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]
                ),
                name="task_purpose_valid",
            ),
            # These are made for one person; without one nobody would ever get them.
            models.CheckConstraint(
                condition=~Q(purpose__in=["repeat", "adjudication"]) | Q(reserved_for__isnull=False),
                name="task_reserved_for_valid",
            ),
        ]
        indexes = [
            models.Index(
                F("batch"),
                F("priority").desc(),
                F("id"),
                condition=Q(open_slots__gt=0),
                name="task_open_by_priority",
            ),
            models.Index(
                fields=["reserved_for", "batch"],
                condition=Q(reserved_for__isnull=False),
                name="task_reserved",
            ),
            models.Index(fields=["batch", "id"], condition=Q(purpose="gold"), name="task_gold"),
            models.Index(
                fields=["copy_of", "purpose"], condition=Q(copy_of__isnull=False), name="task_copies"
            ),
        ]

    @property
    def uses_slots(self) -> bool:
        """Whether judgments of this task take slots and count."""
        return self.purpose in COUNTED_PURPOSES


class TaskResponse(models.Model):
    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="task_responses", db_index=False)
    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="task_responses")
    # The order they were given in; what an annotator sees is shuffled for each assignment.
    position = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "response"], name="unique_response_per_task"),
            models.UniqueConstraint(fields=["task", "position"], name="unique_position_per_task"),
            models.CheckConstraint(condition=Q(position__lte=8), name="task_response_position_valid"),
        ]
