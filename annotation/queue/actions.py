"""Handing out tasks: leases and their slots, skips, drafts.

The room left on a task is `open_slots`, a column of the row that a claim locks; it is never counted from assignments
(counting over-assigned 552 of 20,000 tasks under READ COMMITTED). At every commit required_judgments = open_slots +
counted_judgments + live leases. Whoever changes the state of an assignment whose task has slots holds that task's row
lock; a task without slots (a known answer, a repeat) may be judged under the assignment's lock alone. Leases are judged
by the database's clock.

Row locks are taken in one order everywhere, so that two writers never wait for each other: project, member, batch,
task, assignment; several rows of one table in the order of their keys. Whoever changes a batch's row after a task's
locks the batch first (annotation/batches/locks.py). A claim, a submit and a reviewer's decision change no batch: the
foreign keys of what they insert do not wait for these locks.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext

from annotation.errors import (
    AlreadySubmitted,
    BatchNotOpen,
    DraftTooLarge,
    NoSlotLeft,
    NotYourTask,
    PracticeNotSkipped,
)
from annotation.models import Assignment, Batch, Task
from annotation.queue.claimed_tasks import ClaimedTask, lease, read_content
from annotation.queue.counts import shorten_counts
from annotation.queue.offers import require_offered
from annotation.queue.search import TaskSearch, current_versions, find_claim_options, lock_member, take_task
from annotation.text import clean_json_value, clean_text
from workspace.actions import record_audit
from workspace.database import database_now, write_transaction
from workspace.models import Project, User

MAX_DRAFT_CHARACTERS = 100_000
MAX_SKIP_REASON_CHARACTERS = 500


def lock_task(pk: int) -> Task:
    """The task with its row locked until the transaction ends."""
    tasks = Task.objects.select_for_update(no_key=True, of=("self",)).select_related("batch__project")
    return tasks.get(pk=pk)


def claim_task(
    *, actor: User, project: Project, after: Assignment | None = None, batch: Batch | None = None
) -> Assignment | None:
    """The actor's next task, leased to them; None when nothing is left for them.

    Their own live lease comes first. `after` is the assignment on their screen, so that the one behind it can be
    prefetched. `batch` narrows the search. Raises NotAMember, MemberPaused, DailyLimitReached, AcknowledgementNeeded.
    Writes no audit row.
    """
    claimed = claim_with_content(
        actor=actor, project=project, after=after.public_id if after else None, batch=batch
    )
    return claimed.assignment if claimed else None


def claim_with_content(
    *,
    actor: User,
    project: Project,
    after: UUID | None = None,
    batch: Batch | None = None,
    versions: Mapping[str, int] | None = None,
) -> ClaimedTask | None:
    """The same with all that its screen needs. `versions` of settings and guideline, where they were read already."""
    versions = versions or current_versions(project)
    claimed = _claim_or_wait(actor, project, after, batch, versions)
    # In a transaction of its own: it holds several task locks, and a claim may wait for one.
    if claimed is None and sweep_expired_leases(project=project):
        claimed = _claim_or_wait(actor, project, after, batch, versions)
    if claimed is not None and claimed.counts.is_long:
        shorten_counts(project, actor)
    return claimed


def _claim_or_wait(
    actor: User, project: Project, after: UUID | None, batch: Batch | None, versions: Mapping[str, int]
) -> ClaimedTask | None:
    """First pass over whatever is locked, then, in a transaction that holds no other task, wait for what is.

    PostgreSQL keeps the lock of a row that it had to pass over because it no longer matched. Two claims that wait
    while holding such locks can deadlock.
    """
    claimed = _claim(actor, project, after, batch, versions)
    if claimed is None and connection.vendor == "postgresql":
        claimed = _claim(actor, project, after, batch, versions, waits=True)
    return claimed


@write_transaction
def _claim(
    actor: User,
    project: Project,
    after: UUID | None,
    batch: Batch | None,
    versions: Mapping[str, int],
    *,
    waits: bool = False,
) -> ClaimedTask | None:
    # One claim of a person at a time: two open tabs get the same task instead of one each.
    leased_until = lock_member(actor, project, takes_task=True) + timedelta(minutes=project.lease_minutes)
    search = TaskSearch(actor=actor, project=project, batch=batch, waits=waits)
    found = find_claim_options(search, after=after)
    found.standing.require_acknowledged()
    if found.own_lease and Assignment.objects.filter(
        pk=found.own_lease, state=Assignment.State.LEASED
    ).update(leased_until=leased_until, **versions):
        assignment = Assignment.objects.get(pk=found.own_lease)
        return ClaimedTask(assignment, read_content(assignment.task_id), found.counts)
    found.standing.require_more_today(project)
    task_id = take_task(search, found)
    if task_id is None:
        return None
    content = read_content(task_id)
    return ClaimedTask(lease(actor, task_id, content, leased_until, versions), content, found.counts)


def require_own_assignment(actor: User, assignment: Assignment) -> None:
    if assignment.annotator_id != actor.pk:
        raise NotYourTask(gettext("This task was given to somebody else."))


@write_transaction
def skip_task(*, actor: User, assignment: Assignment, reason: str = "") -> None:
    """Give the task back; it is not offered to this annotator again. Skipping twice changes nothing.

    Raises NotYourTask, NotAMember, PracticeNotSkipped.
    """
    require_own_assignment(actor, assignment)
    clean_text(reason, "The reason", allow_empty=True)
    lock_member(actor, assignment.task.batch.project)
    task = lock_task(assignment.task_id)
    if task.purpose == Task.Purpose.PRACTICE:
        raise PracticeNotSkipped(gettext("Tasks of the training are not skipped: answer as well as you can."))
    current = Assignment.objects.get(pk=assignment.pk)
    if current.state not in (Assignment.State.LEASED, Assignment.State.EXPIRED):
        return
    if current.state == Assignment.State.LEASED:
        release_slot(task)
    Assignment.objects.filter(pk=current.pk).update(
        state=Assignment.State.SKIPPED, skip_reason=reason[:MAX_SKIP_REASON_CHARACTERS]
    )
    record_audit(actor=actor, action="task.skip", project=task.batch.project, target=task)


@write_transaction
def undo_skip(*, actor: User, assignment: Assignment) -> Assignment:
    """Take a skipped task back: leased to the actor again, if a slot is still open.

    Taking back twice changes nothing. What keeps somebody from a new task keeps them from this one, too: they have
    been given another in its place. Raises NoSlotLeft, BatchNotOpen, AlreadySubmitted, NotAMember, MemberPaused,
    DailyLimitReached, AcknowledgementNeeded.
    """
    require_own_assignment(actor, assignment)
    project = assignment.task.batch.project
    # In the order of a claim: the person first, then the task.
    lock_member(actor, project, takes_task=True)
    task = lock_task(assignment.task_id)
    current = Assignment.objects.get(pk=assignment.pk)
    if current.state == Assignment.State.LEASED:
        return current
    if current.state == Assignment.State.SUBMITTED:
        raise AlreadySubmitted(gettext("You have judged this task already: change that judgment."))
    if current.state == Assignment.State.TAKEN_BACK:
        raise NoSlotLeft(
            gettext("This task does not come back: what was said of it belongs to what is over.")
        )
    if task.batch.state != Batch.State.OPEN:
        raise BatchNotOpen(gettext("The skipped task cannot come back: its batch was closed meanwhile."))
    require_offered(actor, task.batch, is_reserved=task.reserved_for_id == actor.pk)
    if task.required_judgments and not Task.objects.filter(pk=task.pk, open_slots__gt=0).update(
        open_slots=F("open_slots") - 1
    ):
        raise NoSlotLeft(gettext("The skipped task cannot come back: somebody else has taken it meanwhile."))
    leased_until = database_now() + timedelta(minutes=project.lease_minutes)
    Assignment.objects.filter(pk=current.pk).update(
        state=Assignment.State.LEASED, leased_until=leased_until, skip_reason="", **current_versions(project)
    )
    record_audit(actor=actor, action="task.undo_skip", project=project, target=task)
    return Assignment.objects.get(pk=current.pk)


def release_slot(task: Task) -> None:
    """A lease ends without a judgment. The task's row is locked by the caller."""
    Task.objects.filter(pk=task.pk, required_judgments__gt=0).update(open_slots=F("open_slots") + 1)


def release_leases(leases: QuerySet[Assignment]) -> int:
    """Those of these assignments that are leases end now, and their slots open; how many. Drafts stay, and a judgment
    that comes later is stored as any late one. Call it inside a transaction.
    """
    found = list(leases.filter(state=Assignment.State.LEASED).values_list("pk", "task_id"))
    # In the order of keys, as everywhere.
    tasks = Task.objects.filter(pk__in={task for _, task in found})
    locked = {task.pk: task for task in tasks.select_for_update(no_key=True).order_by("pk")}
    released = 0
    for pk, task_id in found:
        # Asked again under the lock: the annotator may have submitted.
        if Assignment.objects.filter(pk=pk, state=Assignment.State.LEASED).update(
            state=Assignment.State.EXPIRED
        ):
            release_slot(locked[task_id])
            released += 1
    return released


@write_transaction
def save_draft(*, actor: User, assignment: Assignment, draft: dict[str, Any], characters: int) -> bool:
    """Save what has been done so far, and renew the lease; False when the task was submitted meanwhile.

    `characters` is the draft's size as it came. Drafts survive the lease's end. Writes no audit row.
    """
    require_own_assignment(actor, assignment)
    if characters > MAX_DRAFT_CHARACTERS:
        raise DraftTooLarge(
            gettext("The draft has more than %(max_draft_characters)s characters.")
            % {"max_draft_characters": f"{MAX_DRAFT_CHARACTERS:,}"}
        )
    draft = clean_json_value(draft, "The draft")
    leased_until = database_now() + timedelta(minutes=assignment.task.batch.project.lease_minutes)
    own = Assignment.objects.filter(pk=assignment.pk).exclude(state=Assignment.State.SUBMITTED)
    updated = own.update(draft=draft)
    own.filter(state=Assignment.State.LEASED).update(leased_until=leased_until)
    return bool(updated)


def _has_ended(now: datetime) -> Q:
    """A lease that ran out, or of somebody who cannot log in any more.

    No join: an update with one would look at the row as it was before it waited for a judgment without a task's lock.
    """
    return Q(leased_until__lt=now) | Q(annotator_id__in=User.objects.filter(is_active=False).values("pk"))


def sweep_expired_leases(*, project: Project | None = None, limit: int = 200) -> int:
    """Give back the slots of expired leases; returns how many. The worker's tick and every claim call it."""
    now = database_now()
    leases = Assignment.objects.filter(_has_ended(now), state=Assignment.State.LEASED)
    if project is not None:
        leases = leases.filter(task__batch__project=project)
    expired = list(leases.order_by("leased_until").values_list("pk", "task_id")[:limit])
    return _expire(expired, now) if expired else 0


@write_transaction
def _expire(assignments: list[tuple[int, int]], now: datetime) -> int:
    released = 0
    # The order of keys is the order of locks everywhere; whoever is busy on a task sweeps it themselves.
    skip_locked = connection.features.has_select_for_update_skip_locked
    tasks = Task.objects.select_for_update(no_key=True, skip_locked=skip_locked)
    locked = {task.pk: task for task in tasks.filter(pk__in={t for _, t in assignments}).order_by("pk")}
    for pk, task_id in assignments:
        if task_id not in locked:
            continue
        # Asked again under the lock: the annotator may have renewed or submitted.
        if Assignment.objects.filter(_has_ended(now), pk=pk, state=Assignment.State.LEASED).update(
            state=Assignment.State.EXPIRED
        ):
            release_slot(locked[task_id])
            released += 1
    return released
