"""Whole judgments taken over from machines (simulated annotators, AI judges) and from files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from annotation.errors import AlreadySubmitted, IdempotencyKeyReused, InvalidJudgment, InvalidTask
from annotation.models import Assignment, Batch, CurrentJudgment, Judgment, Task
from annotation.preferences.validation import (
    clean_flags,
    clean_marks,
    clean_rationale,
    clean_seconds,
    validate_idempotency_key,
    validate_tiers,
)
from annotation.queue.actions import uses_slots
from workspace.actions import record_audit
from workspace.database import database_now, write_transaction
from workspace.models import User


@dataclass(frozen=True, kw_only=True)
class NewJudgment:
    """A whole judgment. Tiers, order and marks are in response keys."""

    task: Task
    annotator: User
    tiers: list[list[int]]
    strengths: list[int]
    idempotency_key: str
    order_shown: list[int] | None = None
    marks: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    rationale: str = ""
    flags: Sequence[str] = ()
    seconds: float = 0.0
    created_at: datetime | None = None


@write_transaction
def add_judgments(*, actor: User, batch: Batch, rows: Sequence[NewJudgment]) -> list[Judgment]:
    """Store whole judgments, returned in the order of `rows`; repeated keys change nothing.

    They count while slots are open and are surplus after. A task that the annotator holds a lease on is
    theirs to answer still: the lease becomes this judgment. Raises InvalidTask for a task of another batch,
    AlreadySubmitted for a second judgment of an annotator on a task, and what submit_judgment raises for a
    bad answer.
    """
    adoption = _BulkInsert(batch, rows)
    judgments = [adoption.take(row) for row in rows]
    adoption.write()
    if adoption.new:
        record_audit(
            actor=actor,
            action="judgments.adopt",
            project=batch.project,
            target=batch,
            judgments=len(adoption.new),
        )
    return judgments


class _BulkInsert:
    """One call of add_judgments: what is there, read and locked once, and what is to be written."""

    def __init__(self, batch: Batch, rows: Sequence[NewJudgment]) -> None:
        task_ids = sorted({row.task.pk for row in rows})
        locked = Task.objects.select_for_update().filter(pk__in=task_ids, batch=batch).order_by("pk")
        self.tasks = {task.pk: task for task in locked}
        if len(self.tasks) != len(task_ids):
            raise InvalidTask(f"Not every task belongs to the batch “{batch.name}”.")
        self.shown: dict[int, list[int]] = {pk: [] for pk in task_ids}
        entries = Task.objects.filter(pk__in=task_ids).order_by("pk", "task_responses__position")
        for pk, response_id in entries.values_list("pk", "task_responses__response_id"):
            self.shown[pk].append(response_id)
        keys = [validate_idempotency_key(row.idempotency_key) for row in rows]
        annotators = {row.annotator.pk for row in rows}
        self.stored = {
            (judgment.annotator_id, judgment.idempotency_key): judgment
            for judgment in Judgment.objects.filter(annotator__in=annotators, idempotency_key__in=keys)
        }
        self.assignments = {
            (assignment.task_id, assignment.annotator_id): assignment
            for assignment in Assignment.objects.filter(task__in=task_ids, annotator__in=annotators)
        }
        question = batch.project.question_settings.latest_version()
        guideline = batch.project.guidelines.latest_version()
        self.versions = (question.version if question else 0, guideline.version if guideline else 0)
        self.now = database_now()
        self.fresh: list[Assignment] = []
        self.reused: list[Assignment] = []
        self.new: list[Judgment] = []

    def take(self, row: NewJudgment) -> Judgment:
        key = (row.annotator.pk, row.idempotency_key)
        if key in self.stored:
            if self.stored[key].task_id != row.task.pk:
                raise IdempotencyKeyReused("This key belongs to the judgment of another task.")
            return self.stored[key]
        task = self.tasks[row.task.pk]
        items = self.shown[task.pk]
        order = list(row.order_shown) if row.order_shown is not None else items
        if sorted(order) != sorted(items):
            raise InvalidJudgment("The order shown must hold every response of the task once.")
        tiers, strengths = validate_tiers(list(row.tiers), list(row.strengths), order, allow_ties=True)
        assignment, leased = self._assignment(task, row.annotator, order)
        judgment = Judgment(
            assignment=assignment,
            task=task,
            annotator=row.annotator,
            order_shown=order,
            tiers=tiers,
            strengths=strengths,
            marks={str(item): values for item, values in clean_marks(row.marks, items).items()},
            rationale=clean_rationale(row.rationale),
            flags=clean_flags(row.flags),
            seconds=clean_seconds(row.seconds),
            settings_version=self.versions[0],
            guideline_version=self.versions[1],
            surplus=not self._counts(task, leased=leased),
            idempotency_key=row.idempotency_key,
            created_at=row.created_at or self.now,
        )
        self.stored[key] = judgment
        self.new.append(judgment)
        return judgment

    def _assignment(self, task: Task, annotator: User, order: list[int]) -> tuple[Assignment, bool]:
        """The annotator's submitted assignment of the task, and whether it held a lease until now."""
        assignment = self.assignments.get((task.pk, annotator.pk))
        leased = assignment is not None and assignment.state == Assignment.State.LEASED
        if assignment is None:
            assignment = Assignment(task=task, annotator=annotator, leased_until=self.now, shuffle_seed=0)
            self.assignments[task.pk, annotator.pk] = assignment
            self.fresh.append(assignment)
        elif assignment.state == Assignment.State.SUBMITTED:
            raise AlreadySubmitted(f"{annotator.pseudonym} has judged this task already.")
        else:
            self.reused.append(assignment)
        assignment.settings_version, assignment.guideline_version = self.versions
        assignment.order_shown = order
        assignment.state = Assignment.State.SUBMITTED
        assignment.submitted_at = self.now
        return assignment, leased

    def _counts(self, task: Task, *, leased: bool) -> bool:
        """Moves the locked task's counters in memory; write() stores them."""
        if not uses_slots(task):
            return True
        if not leased:
            if task.open_slots == 0:
                return False
            task.open_slots -= 1
        task.counted_judgments += 1
        return True

    def write(self) -> None:
        Assignment.objects.bulk_create(self.fresh, batch_size=1000)
        for assignment in self.reused:
            assignment.save()
        for judgment in self.new:
            # The judgments were built before their assignments had keys.
            judgment.assignment_id = judgment.assignment.pk
        Judgment.objects.bulk_create(self.new, batch_size=1000)
        CurrentJudgment.objects.bulk_create(
            [CurrentJudgment(task=j.task, annotator=j.annotator, judgment=j) for j in self.new],
            batch_size=1000,
        )
        Task.objects.bulk_update(self.tasks.values(), ["open_slots", "counted_judgments"], batch_size=500)
