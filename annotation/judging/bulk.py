"""Whole judgments made elsewhere, added in bulk: by simulated annotators and AI judges, and from files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from annotation.errors import AlreadySubmitted, IdempotencyKeyReused, InvalidJudgment, InvalidTask
from annotation.models import Assignment, Batch, CurrentJudgment, Import, Judgment, Task, TaskResponse
from annotation.preferences.validation import (
    clean_flags,
    clean_marks,
    clean_rationale,
    clean_seconds,
    validate_idempotency_key,
    validate_tiers,
)
from annotation.queue.search import current_versions
from workspace.actions import record_audit
from workspace.bulk_insert import insert_objects, insert_values, new_object, time_ordered_uuids, update_values
from workspace.database import database_now, write_transaction
from workspace.models import User


@dataclass(frozen=True, kw_only=True)
class NewJudgment:
    """A whole judgment. Tiers, order and marks are in response keys."""

    task: Task
    annotator: User
    tiers: list[list[int]]
    strengths: Sequence[int | None]
    idempotency_key: str
    order_shown: list[int] | None = None
    marks: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    confidence: int | None = None
    rationale: str = ""
    flags: Sequence[str] = ()
    seconds: float = 0.0
    created_at: datetime | None = None
    # The keys of the task's responses, where it was added with this judgment in its counters, in the same transaction.
    task_responses: Sequence[int] | None = None
    from_import: Import | None = None
    source_id: str | None = None
    metadata: Mapping[str, Any] | None = None


@write_transaction
def add_judgments(
    *, actor: User, batch: Batch, rows: Sequence[NewJudgment], beside_people: bool = False
) -> list[Judgment]:
    """Store whole judgments, returned in the order of `rows`; repeated keys change nothing.

    They count while slots are open and are surplus after. With `beside_people` they count and take no slot: a task asks
    for one judgment more each, and a batch's quota rises as far, so that as many people are asked as before. A task
    that the annotator holds a lease on is still theirs: the lease becomes this judgment. Raises InvalidTask for a task
    of another batch, AlreadySubmitted for a second judgment of an annotator on a task, and what submit_judgment raises
    for a malformed judgment.
    """
    if beside_people:
        batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    insert = _BulkInsert(batch, rows, beside_people=beside_people)
    judgments = [insert.add(row) for row in rows]
    insert.write()
    if insert.beside and batch.quota is not None:
        batch.quota += insert.beside
        batch.save(update_fields=["quota"])
    if insert.new_judgments:
        record_audit(
            actor=actor,
            action="judgments.add",
            project=batch.project,
            target=batch,
            judgments=len(insert.new_judgments),
        )
    return judgments


class _BulkInsert:
    """One call of add_judgments: what is there, read and locked once, and what is to be written."""

    def __init__(self, batch: Batch, rows: Sequence[NewJudgment], *, beside_people: bool = False) -> None:
        self.beside_people, self.beside = beside_people, 0  # how many took no slot
        for row in rows:
            validate_idempotency_key(row.idempotency_key)
        self.tasks: dict[int, Task] = {}
        self.responses_of: dict[int, list[int]] = {}
        self.stored: dict[tuple[int, str], Judgment] = {}
        self.assignments: dict[tuple[int, int], Assignment] = {}
        for row in rows:
            if row.task_responses is not None:
                if row.task.batch_id != batch.id:
                    raise InvalidTask(f"Not every task belongs to the batch “{batch.name}”.")
                self.tasks[row.task.id] = row.task
                self.responses_of[row.task.id] = list(row.task_responses)
        # Nobody else knows the others yet.
        if older := [row for row in rows if row.task_responses is None]:
            self._read(batch, older)
        self.versions = current_versions(batch.project)
        self.now = database_now()
        # Nobody has these assignments on a screen, whose addresses tell nothing of time.
        self.public_ids = iter(time_ordered_uuids(len(rows)))
        self.new_assignments: list[Assignment] = []
        self.reused_assignments: list[Assignment] = []
        self.new_judgments: list[Judgment] = []
        self.changed_tasks: set[Task] = set()

    def _read(self, batch: Batch, rows: Sequence[NewJudgment]) -> None:
        task_ids = sorted({row.task.pk for row in rows})
        locked = (
            Task.objects.select_for_update(no_key=True).filter(pk__in=task_ids, batch=batch).order_by("pk")
        )
        tasks = {task.pk: task for task in locked}
        if len(tasks) != len(task_ids):
            raise InvalidTask(f"Not every task belongs to the batch “{batch.name}”.")
        self.tasks |= tasks
        self.responses_of |= {pk: [] for pk in task_ids}
        task_responses = TaskResponse.objects.filter(task__in=task_ids).order_by("task", "position")
        for task_id, response_id in task_responses.values_list("task", "response"):
            self.responses_of[task_id].append(response_id)
        annotators = {row.annotator.pk for row in rows}
        keys = [row.idempotency_key for row in rows]
        for judgment in Judgment.objects.filter(annotator__in=annotators, idempotency_key__in=keys):
            self.stored[judgment.annotator_id, judgment.idempotency_key] = judgment
        assignments = Assignment.objects.filter(task__in=task_ids, annotator__in=annotators)
        for assignment in assignments.exclude(state=Assignment.State.TAKEN_BACK):
            self.assignments[assignment.task_id, assignment.annotator_id] = assignment

    def add(self, row: NewJudgment) -> Judgment:
        key = (row.annotator.id, row.idempotency_key)
        if key in self.stored:
            if self.stored[key].task_id != row.task.id:
                raise IdempotencyKeyReused("This key belongs to the judgment of another task.")
            return self.stored[key]
        task = self.tasks[row.task.id]
        responses = self.responses_of[task.id]
        order_shown = list(row.order_shown) if row.order_shown is not None else responses
        if sorted(order_shown) != sorted(responses):
            raise InvalidJudgment("The order shown must hold every response of the task once.")
        tiers, strengths = validate_tiers(
            list(row.tiers), list(row.strengths), order_shown, allow_ties=True, allow_missing_strengths=True
        )
        assignment, leased = self._assignment(task, row.annotator, order_shown)
        judgment = new_object(
            Judgment,
            assignment=assignment,
            task=task,
            annotator=row.annotator,
            order_shown=order_shown,
            tiers=tiers,
            strengths=strengths,
            marks={str(item): values for item, values in clean_marks(row.marks, responses).items()},
            confidence=row.confidence,
            rationale=clean_rationale(row.rationale),
            flags=clean_flags(row.flags),
            seconds=clean_seconds(row.seconds),
            surplus=not (row.task_responses is not None or self._take_slot(task, leased=leased)),
            idempotency_key=row.idempotency_key,
            created_at=row.created_at or self.now,
            from_import=row.from_import,
            source_id=row.source_id,
            metadata=dict(row.metadata) if row.metadata else None,
            **self.versions,
        )
        self.stored[key] = judgment
        self.new_judgments.append(judgment)
        return judgment

    def _assignment(self, task: Task, annotator: User, order_shown: list[int]) -> tuple[Assignment, bool]:
        """The annotator's submitted assignment of the task, and whether it held a lease until now."""
        assignment = self.assignments.get((task.id, annotator.id))
        leased = assignment is not None and assignment.state == Assignment.State.LEASED
        if assignment is None:
            assignment = new_object(
                Assignment,
                task=task,
                annotator=annotator,
                leased_until=self.now,
                shuffle_seed=0,
                public_id=next(self.public_ids),
            )
            self.assignments[task.id, annotator.id] = assignment
            self.new_assignments.append(assignment)
        elif assignment.state == Assignment.State.SUBMITTED:
            raise AlreadySubmitted(f"{annotator.pseudonym} has judged this task already.")
        else:
            self.reused_assignments.append(assignment)
        assignment.settings_version = self.versions["settings_version"]
        assignment.guideline_version = self.versions["guideline_version"]
        assignment.order_shown = order_shown
        assignment.state = Assignment.State.SUBMITTED
        assignment.submitted_at = self.now
        return assignment, leased

    def _take_slot(self, task: Task, *, leased: bool) -> bool:
        """Whether the judgment counts; moves the locked task's counters in memory, write() stores them."""
        if not task.uses_slots:
            return True
        if self.beside_people:
            task.required_judgments += 1
            self.beside += task.reserved_for_id is None
        elif not leased:
            if task.open_slots == 0:
                return False
            task.open_slots -= 1
        task.counted_judgments += 1
        self.changed_tasks.add(task)
        return True

    def write(self) -> None:
        insert_objects(self.new_assignments)
        for assignment in self.reused_assignments:
            assignment.save()
        for judgment in self.new_judgments:
            # The judgments were built before their assignments had keys.
            judgment.assignment_id = judgment.assignment.id
        insert_objects(self.new_judgments)
        insert_values(
            CurrentJudgment,
            ["task_id", "annotator_id", "judgment_id"],
            ((j.task_id, j.annotator_id, j.id) for j in self.new_judgments),
        )
        update_values(
            Task,
            ["open_slots", "counted_judgments", "required_judgments"],
            [
                (task.pk, task.open_slots, task.counted_judgments, task.required_judgments)
                for task in self.changed_tasks
            ],
        )
