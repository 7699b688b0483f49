"""Judgments of the person at the screen: submit, revise, withdraw.

Every function holds the task's row lock while it decides whether a judgment counts.
"""

from contextlib import suppress
from dataclasses import asdict
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext

from annotation.errors import AlreadySubmitted, BatchNotOpen, IdempotencyKeyReused, NothingToRevise
from annotation.judging.content import JudgmentContent, JudgmentInput, parse_judgment
from annotation.models import Assignment, Batch, CurrentJudgment, Judgment, Task
from annotation.preferences.validation import validate_own_key
from annotation.queue.actions import lock_task, require_own_assignment
from annotation.queue.eligibility import today_in
from annotation.queue.search import lock_member
from workspace.actions import record_audit
from workspace.database import insert_row, run_prepared, write_transaction
from workspace.models import Membership, Project, User
from workspace.project_context import ProjectContext

_NOW = {"postgresql": "STATEMENT_TIMESTAMP()", "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"}
_COUNT_JUDGMENT = f"UPDATE {Task._meta.db_table} SET counted_judgments = counted_judgments + 1 WHERE id = %s"
# Asked again who is a member: somebody may have removed them since the request came in.
_END_LEASE = f"""UPDATE {Assignment._meta.db_table} SET state = 'submitted', submitted_at = {{now}}, submitted_day = %s,
    draft = '{{{{}}}}' WHERE id = %s AND state = 'leased' AND EXISTS (SELECT 1 FROM {Membership._meta.db_table} m
    WHERE m.project_id = %s AND m.user_id = %s)"""


def submit_judgment(
    *,
    actor: User,
    assignment: Assignment,
    content: JudgmentInput,
    idempotency_key: str,
    project_context: ProjectContext | None = None,
) -> Judgment:
    """Store the actor's judgment. The same key again returns the judgment that is there.

    `project_context`, where there is one, has read which settings and guideline are in force.
    A late judgment is always stored: it counts if a slot is still open, else it is surplus. Raises NotYourTask,
    NotAMember, InvalidJudgment, InvalidText, IdempotencyKeyReused, AlreadySubmitted.
    """
    require_own_assignment(actor, assignment)
    validate_own_key(idempotency_key)
    if assignment.state == Assignment.State.LEASED:
        # As nearly always: the lease is there, and the database's own rules refuse whatever changed meanwhile.
        project = assignment.task.batch.project
        parsed = parse_judgment(assignment, project, content, project_context)
        with suppress(IntegrityError, _Overtaken):
            return _submit_leased(actor, assignment, project, parsed, idempotency_key)
    return _submit_any(actor, assignment, content, idempotency_key)


class _Overtaken(Exception):
    """The lease was gone when its judgment was to be stored."""


@write_transaction
def _submit_leased(
    actor: User, assignment: Assignment, project: Project, parsed: JudgmentContent, idempotency_key: str
) -> Judgment:
    """The judgment of a lease, in statements that hold only while it is one. The task's row comes first, as everywhere.

    Raises _Overtaken or IntegrityError, and nothing is stored, when the lease has ended, the membership too, or the key
    is taken.
    """
    task = assignment.task
    if task.uses_slots:
        run_prepared(_COUNT_JUDGMENT, [task.pk])
    _, ended = run_prepared(
        _END_LEASE.format(now=_NOW[connection.vendor]),
        [today_in(project).isoformat(), assignment.pk, project.pk, actor.pk],
    )
    if not ended:
        raise _Overtaken
    judgment = Judgment(
        assignment=assignment,
        task=task,
        annotator=actor,
        order_shown=assignment.order_shown,
        idempotency_key=idempotency_key,
        **vars(parsed),
    )
    insert_row(judgment)
    insert_row(
        CurrentJudgment(task=task, annotator=actor, judgment=judgment),
        on_conflict="ON CONFLICT (task_id, annotator_id) DO UPDATE SET judgment_id = excluded.judgment_id",
    )
    record_audit(actor=actor, action="judgment.submit", project=project, target=judgment, surplus=False)
    return judgment


@write_transaction
def _submit_any(
    actor: User, assignment: Assignment, content: JudgmentInput, idempotency_key: str
) -> Judgment:
    """The judgment of an assignment in whatever state, decided under its task's lock."""
    lock_member(actor, assignment.task.batch.project)
    task = lock_task(assignment.task_id)
    stored = _find_by_idempotency_key(actor, assignment, idempotency_key)
    current = Assignment.objects.get(pk=assignment.pk)
    if stored is None and current.state == Assignment.State.SUBMITTED:
        raise AlreadySubmitted(
            gettext("You have judged this task already: open your last judgment to change it.")
        )
    parsed = parse_judgment(current, task.batch.project, content)
    if stored is not None:
        return _require_identical(stored, parsed)
    is_counted = _take_slot(task, leased=current.state == Assignment.State.LEASED)
    judgment = append_judgment(current, parsed, surplus=not is_counted, idempotency_key=idempotency_key)
    Assignment.objects.filter(pk=current.pk).update(
        state=Assignment.State.SUBMITTED,
        submitted_at=Now(),
        submitted_day=today_in(task.batch.project),
        draft={},
    )
    record_audit(
        actor=actor,
        action="judgment.submit",
        project=task.batch.project,
        target=judgment,
        surplus=not is_counted,
    )
    return judgment


@write_transaction
def revise_judgment(
    *, actor: User, assignment: Assignment, content: JudgmentInput, idempotency_key: str
) -> Judgment:
    """A new judgment that supersedes the actor's current one on the same task.

    Raises what submit_judgment raises, and NothingToRevise, BatchNotOpen.
    """
    require_own_assignment(actor, assignment)
    validate_own_key(idempotency_key)
    # As in a claim: the person first, then the task.
    lock_member(actor, assignment.task.batch.project)
    task = lock_task(assignment.task_id)
    if stored := _find_by_idempotency_key(actor, assignment, idempotency_key):
        return _require_identical(stored, parse_judgment(stored.assignment, task.batch.project, content))
    before = _latest_editable(actor, assignment, task)
    parsed = parse_judgment(before.assignment, task.batch.project, content)
    was_counted = not before.withdrawn and not before.surplus
    is_counted = was_counted or _take_slot(task, leased=False)
    judgment = append_judgment(
        before.assignment,
        parsed,
        supersedes=before,
        surplus=not is_counted,
        idempotency_key=idempotency_key,
        metadata=_decision_of(before),
    )
    record_audit(
        actor=actor,
        action="judgment.revise",
        project=task.batch.project,
        target=judgment,
        supersedes=before.pk,
    )
    return judgment


@write_transaction
def withdraw_judgment(*, actor: User, assignment: Assignment, idempotency_key: str) -> Judgment:
    """Take the actor's current judgment back: a new row says so, and its slot opens again. Raises NotAMember."""
    require_own_assignment(actor, assignment)
    validate_own_key(idempotency_key)
    # As in a claim: the person first, then the task.
    lock_member(actor, assignment.task.batch.project)
    task = lock_task(assignment.task_id)
    if stored := _find_by_idempotency_key(actor, assignment, idempotency_key):
        return stored
    before = _latest_editable(actor, assignment, task)
    if before.withdrawn:
        raise NothingToRevise(gettext("This judgment was withdrawn already."))
    content = JudgmentContent(
        tiers=before.tiers,
        strengths=before.strengths,
        marks=before.marks,
        confidence=before.confidence,
        rationale=before.rationale,
        flags=before.flags,
        seconds=0.0,
        guideline_version=before.guideline_version,
        settings_version=before.settings_version,
    )
    if task.uses_slots and not before.surplus:
        Task.objects.filter(pk=task.pk).update(
            open_slots=F("open_slots") + 1, counted_judgments=F("counted_judgments") - 1
        )
    judgment = append_judgment(
        before.assignment,
        content,
        supersedes=before,
        surplus=before.surplus,
        withdrawn=True,
        idempotency_key=idempotency_key,
        metadata=_decision_of(before),
    )
    record_audit(
        actor=actor,
        action="judgment.withdraw",
        project=task.batch.project,
        target=judgment,
        supersedes=before.pk,
    )
    return judgment


def _find_by_idempotency_key(actor: User, assignment: Assignment, idempotency_key: str) -> Judgment | None:
    """The judgment that was stored under this key. Raises IdempotencyKeyReused when it is of another task."""
    stored = Judgment.objects.filter(annotator=actor, idempotency_key=idempotency_key).first()
    if stored is not None and stored.assignment_id != assignment.pk:
        raise IdempotencyKeyReused(gettext("This key belongs to the judgment of another task."))
    return stored


def _require_identical(stored: Judgment, content: JudgmentContent) -> Judgment:
    """The stored judgment, if the repeated submit says the same.

    Two windows on one task share a draft and its key: the second one's other judgment must not be taken for a
    repetition. Raises AlreadySubmitted.
    """
    said = ("tiers", "strengths", "marks", "confidence", "rationale", "flags")
    if any(getattr(content, name) != getattr(stored, name) for name in said):
        raise AlreadySubmitted(
            gettext("You have judged this task already: open your last judgment to change it.")
        )
    return stored


def _latest_editable(actor: User, assignment: Assignment, task: Task) -> Judgment:
    """The head of the chain, if the batch still takes changes."""
    pointer = (
        CurrentJudgment.objects.filter(task=task, annotator=actor)
        .select_related("judgment__assignment")
        .first()
    )
    if pointer is None:
        raise NothingToRevise(gettext("There is no judgment of yours on this task to change."))
    if task.purpose == Task.Purpose.PRACTICE:
        raise NothingToRevise(
            gettext("An answer of the training stays as it is: you have seen which one was right.")
        )
    if task.batch.state == Batch.State.CLOSED:
        raise BatchNotOpen(gettext("The batch is closed: its judgments can no longer be changed."))
    return pointer.judgment


def _decision_of(before: Judgment) -> dict[str, Any] | None:
    """That a judgment is a reviewer's decision, and on what, is true of what supersedes it; what a file said of the
    row of an imported one is not.
    """
    decision = (before.metadata or {}).get("decision")
    return {"decision": decision} if decision and before.task.purpose == Task.Purpose.ADJUDICATION else None


def _take_slot(task: Task, *, leased: bool) -> bool:
    """Whether a new judgment counts; moves the counters when it does. The task's row is locked."""
    if not task.uses_slots:
        return True
    if leased:
        Task.objects.filter(pk=task.pk).update(counted_judgments=F("counted_judgments") + 1)
        return True
    return bool(
        Task.objects.filter(pk=task.pk, open_slots__gt=0).update(
            open_slots=F("open_slots") - 1, counted_judgments=F("counted_judgments") + 1
        )
    )


def append_judgment(assignment: Assignment, content: JudgmentContent, **fields: Any) -> Judgment:
    """Append a judgment to the chain of an assignment and make it the current one."""
    try:
        with transaction.atomic():
            judgment = Judgment.objects.create(
                assignment=assignment,
                task_id=assignment.task_id,
                annotator_id=assignment.annotator_id,
                order_shown=assignment.order_shown,
                **asdict(content),
                **fields,
            )
    except IntegrityError as error:
        raise IdempotencyKeyReused(gettext("This key belongs to the judgment of another task.")) from error
    pointer = CurrentJudgment(
        task_id=assignment.task_id, annotator_id=assignment.annotator_id, judgment=judgment
    )
    CurrentJudgment.objects.bulk_create(
        [pointer], update_conflicts=True, unique_fields=["task", "annotator"], update_fields=["judgment"]
    )
    return judgment
