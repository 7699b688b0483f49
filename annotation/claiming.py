"""Handing out tasks: leases, slots, and the search for the next task.

The room left on a task is `open_slots`, a column of the row that a claim locks; it is never counted from
assignments (counting over-assigned 552 of 20,000 tasks under READ COMMITTED). needed = open_slots + done +
live leases holds at every commit. Whoever changes an assignment's state holds its task's row lock; leases
are judged by the database's clock.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Q

from annotation.errors import (
    AlreadySubmitted,
    BatchNotOpen,
    DraftTooLarge,
    NoSlotLeft,
    NotAMember,
    NotYourTask,
)
from annotation.models import (
    SLOT_PURPOSES,
    AnnotatorCursor,
    Assignment,
    Batch,
    CurrentJudgment,
    Judgment,
    Task,
    TaskResponse,
)
from annotation.ordering import shuffled
from annotation.texts import check_storable, check_text
from annotation.turns import in_turn
from workspace.actions import record_audit
from workspace.models import Project, User

MAX_DRAFT_CHARACTERS = 100_000
# How often a claim waits for a row that turns out to be taken before it says that nothing is left.
MOST_WAITS = 20
# The claim is written in SQL: it runs before every task, and the ORM takes longer to build these than to run them.
_MEMBER = "SELECT id FROM workspace_membership WHERE project_id = %s AND user_id = %s"
_VERSIONS = """SELECT
    (SELECT MAX(version) FROM workspace_questionsettings WHERE project_id = %s),
    (SELECT MAX(version) FROM workspace_guideline WHERE project_id = %s)"""
_FROM_OPEN = """FROM annotation_task t JOIN annotation_batch b ON b.id = t.batch_id {join}
    WHERE b.project_id = %s AND b.state = 'open' AND b.visible AND (%s IS NULL OR b.id = %s)"""
_NOT_MINE = """(SELECT 1 FROM annotation_assignment a
    WHERE a.task_id = t.id AND a.annotator_id = %s AND a.state <> 'expired' LIMIT 1) IS NULL"""
_BY_URGENCY = "ORDER BY b.priority DESC, b.id, t.priority DESC, t.id LIMIT 1"
_ON_TASK = "JOIN annotation_assignment own ON own.task_id = t.id"
_PICK_OWN = f"""SELECT own.id {_FROM_OPEN.format(join=_ON_TASK)}
    AND own.annotator_id = %s AND own.state = 'leased' AND own.id <> %s ORDER BY own.id"""
# Their lease ran out while they had work on it: their draft is waiting, if the task still has room.
_PICK_BEGUN = f"""SELECT t.id {_FROM_OPEN.format(join=_ON_TASK)}
    AND own.annotator_id = %s AND own.state = 'expired' AND CAST(own.draft AS TEXT) <> '{{}}'
    AND (t.needed = 0 OR t.open_slots > 0) ORDER BY own.leased_until DESC LIMIT 1"""
_PICK_RESERVED = f"""SELECT t.id {_FROM_OPEN.format(join="")}
    AND t.reserved_for_id = %s AND (t.needed = 0 OR t.open_slots > 0) AND {_NOT_MINE} {_BY_URGENCY}"""
_PICK_GOLD = f"""SELECT t.id {_FROM_OPEN.format(join="")}
    AND t.purpose = 'gold' AND t.reserved_for_id IS NULL AND {_NOT_MINE} {_BY_URGENCY}"""
_BATCHES = """SELECT b.id, b.cursor_epoch, c.priority, c.task_id FROM annotation_batch b
    LEFT JOIN annotation_annotatorcursor c ON c.batch_id = b.id AND c.annotator_id = %s AND c.epoch = b.cursor_epoch
    WHERE b.project_id = %s AND b.state = 'open' AND b.visible AND (%s IS NULL OR b.id = %s)
    ORDER BY b.priority DESC, b.id"""
_PICK_OPEN = f"""SELECT t.id, t.priority FROM annotation_task t
    WHERE t.batch_id = %s AND t.open_slots > 0 AND t.reserved_for_id IS NULL
    AND t.priority <= %s AND (t.priority < %s OR t.id > %s) AND {_NOT_MINE}
    ORDER BY t.priority DESC, t.id LIMIT 1"""
# Above every priority: where a cursor begins.
_TOP = 2**31 - 1


def _rows(sql: str, params: list[Any], lock: str = "") -> list[tuple[Any, ...]]:
    """Runs a statement, with a row lock where the database has them (SQLite's writers are alone anyway)."""
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {lock}" if connection.vendor == "postgresql" else sql, params)
        return cursor.fetchall()


def database_now() -> datetime:
    """The database's clock: web processes on several machines would not agree on when a lease ends."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # clock_timestamp() moves on while a transaction waits for a lock; now() does not.
            cursor.execute("SELECT clock_timestamp()")
            return cursor.fetchone()[0]
        cursor.execute("SELECT strftime('%%Y-%%m-%%dT%%H:%%M:%%f', 'now')", [])
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


def lock_task(pk: int) -> Task:
    """The task with its row locked until the transaction ends."""
    return Task.objects.select_for_update(of=("self",)).select_related("batch__project").get(pk=pk)


def _lock_member(actor: User, project: Project) -> None:
    if not _rows(_MEMBER, [project.pk, actor.pk], "FOR NO KEY UPDATE"):
        raise NotAMember("Only members of the project get its tasks.")


def _versions_shown(project: Project) -> dict[str, int]:
    """Under which settings and guideline a task that is handed out now is judged."""
    [(question, guideline)] = _rows(_VERSIONS, [project.pk, project.pk])
    return {"settings_version": question or 0, "guideline_version": guideline or 0}


@in_turn
def _claim(
    actor: User, project: Project, after: Assignment | None, batch: Batch | None, *, waits: bool = False
) -> Assignment | None:
    # One claim of a person at a time: two open tabs get the same task instead of one each.
    _lock_member(actor, project)
    lease = database_now() + timedelta(minutes=project.lease_minutes)
    shown = _versions_shown(project)
    where = [project.pk, batch.pk if batch else None, batch.pk if batch else None]
    for (pk,) in _rows(_PICK_OWN, [*where, actor.pk, after.pk if after else 0]):
        if Assignment.objects.filter(pk=pk, state=Assignment.State.LEASED).update(
            leased_until=lease, **shown
        ):
            return Assignment.objects.get(pk=pk)
    task_id = _pick(actor, project, where, waits=waits)
    return None if task_id is None else _lease(actor, task_id, lease, shown)


def _claim_or_wait(
    actor: User, project: Project, after: Assignment | None, batch: Batch | None
) -> Assignment | None:
    """First past whatever is locked, then, in a transaction that holds no other task, waiting for what is.

    PostgreSQL keeps the lock of a row that it had to pass over because it no longer matched. Whoever waits while
    holding such a lock can close a circle with others who do the same.
    """
    claimed = _claim(actor, project, after, batch)
    if claimed is None and connection.vendor == "postgresql":
        claimed = _claim(actor, project, after, batch, waits=True)
    return claimed


def claim_task(
    *, actor: User, project: Project, after: Assignment | None = None, batch: Batch | None = None
) -> Assignment | None:
    """The actor's next task, leased to them; None when nothing is left for them.

    Their own live lease comes first. `after` is the assignment on their screen, so that the one behind it
    can be prefetched. `batch` narrows the search. Raises NotAMember. Writes no audit row.
    """
    claimed = _claim_or_wait(actor, project, after, batch)
    # In a transaction of its own: it holds several task locks, and a claim may wait for one.
    if claimed is None and sweep_expired_leases(project=project):
        claimed = _claim_or_wait(actor, project, after, batch)
    return claimed


def _lock_first(sql: str, params: list[Any], *, waits: bool) -> tuple[Any, ...] | None:
    """The first row the statement finds, locked; without `waits` the first that nobody else has locked."""
    if not waits:
        found = _rows(sql, params, "FOR UPDATE OF t SKIP LOCKED")
        return found[0] if found else None
    for _ in range(MOST_WAITS):
        found = _rows(sql, params)
        if not found:
            return None
        # One row at a time, and looked at again once it is ours; if it is no longer the one, its lock is let go.
        before = transaction.savepoint()
        _rows("SELECT id FROM annotation_task t WHERE id = %s", [found[0][0]], "FOR UPDATE")
        again = _rows(sql, params)
        if again and again[0][0] == found[0][0]:
            transaction.savepoint_commit(before)
            return again[0]
        transaction.savepoint_rollback(before)
    return None


def _pick(actor: User, project: Project, where: list[Any], *, waits: bool) -> int | None:
    """The key of a task that the actor may take, its row locked (gold tasks have no slots to lock)."""
    for sql, params in (
        (_PICK_BEGUN, [*where, actor.pk]),
        (_PICK_RESERVED, [*where, actor.pk, actor.pk]),
    ):
        if row := _lock_first(sql, params, waits=waits):
            return row[0]
    if secrets.randbelow(1_000_000) < project.gold_share * 1_000_000 and (
        found := _rows(_PICK_GOLD, [*where, actor.pk])
    ):
        return found[0][0]
    for batch_id, epoch, priority, passed in _rows(_BATCHES, [actor.pk, *where]):
        if (task_id := _pick_open(actor, batch_id, epoch, priority, passed, waits=waits)) is not None:
            return task_id
    return None


def _pick_open(
    actor: User, batch_id: int, epoch: int, priority: int | None, passed: int | None, *, waits: bool
) -> int | None:
    """From the cursor on, then from the top: slots open behind it."""
    starts = [(_TOP, 0)]
    if priority is not None and passed is not None:
        starts.insert(0, (priority, passed))
    for below, after_id in starts:
        params = [batch_id, below, below, after_id, actor.pk]
        if row := _lock_first(_PICK_OPEN, params, waits=waits):
            task_id, priority = row
            cursor = AnnotatorCursor(
                annotator_id=actor.pk, batch_id=batch_id, epoch=epoch, priority=priority, task_id=task_id
            )
            AnnotatorCursor.objects.bulk_create(
                [cursor],
                update_conflicts=True,
                unique_fields=["annotator", "batch"],
                update_fields=["epoch", "priority", "task_id"],
            )
            return task_id
    return None


def _lease(actor: User, task_id: int, until: datetime, shown: dict[str, int]) -> Assignment:
    Task.objects.filter(pk=task_id, needed__gt=0).update(open_slots=F("open_slots") - 1)
    # An expired one comes back as it was, in the same order: its draft speaks of the same handles.
    again = Assignment.objects.filter(task_id=task_id, annotator=actor).first()
    if again is not None:
        Assignment.objects.filter(pk=again.pk).update(
            state=Assignment.State.LEASED, leased_until=until, **shown
        )
        return Assignment.objects.get(pk=again.pk)
    seed = secrets.randbits(62)
    keys = list(
        TaskResponse.objects.filter(task_id=task_id)
        .order_by("position")
        .values_list("response_id", flat=True)
    )
    return Assignment.objects.create(
        task_id=task_id,
        annotator=actor,
        leased_until=until,
        presentation_seed=seed,
        order_shown=shuffled(keys, seed),
        **shown,
    )


def own_assignment(actor: User, assignment: Assignment) -> None:
    if assignment.annotator_id != actor.pk:
        raise NotYourTask("This task was given to somebody else.")


@in_turn
def skip_task(*, actor: User, assignment: Assignment, reason: str = "") -> None:
    """Give the task back; it is not offered to this annotator again. Skipping twice changes nothing."""
    own_assignment(actor, assignment)
    check_text(reason, "The reason", empty=True)
    task = lock_task(assignment.task_id)
    current = Assignment.objects.get(pk=assignment.pk)
    if current.state not in (Assignment.State.LEASED, Assignment.State.EXPIRED):
        return
    if current.state == Assignment.State.LEASED:
        release_slot(task)
    Assignment.objects.filter(pk=current.pk).update(
        state=Assignment.State.SKIPPED, evidence={**current.evidence, "skip_reason": reason[:500]}
    )
    record_audit(actor=actor, action="task.skip", project=task.batch.project, target=task)


@in_turn
def unskip_task(*, actor: User, assignment: Assignment) -> Assignment:
    """Take a skipped task back: leased to the actor again, if a slot is still open.

    Taking back twice changes nothing. Raises NoSlotLeft, BatchNotOpen, AlreadySubmitted, NotAMember.
    """
    own_assignment(actor, assignment)
    project = assignment.task.batch.project
    # In the order of a claim: the person first, then the task.
    _lock_member(actor, project)
    task = lock_task(assignment.task_id)
    current = Assignment.objects.get(pk=assignment.pk)
    if current.state == Assignment.State.LEASED:
        return current
    if current.state == Assignment.State.SUBMITTED:
        raise AlreadySubmitted("You have judged this task already: change that answer.")
    if task.batch.state != Batch.State.OPEN:
        raise BatchNotOpen("The skipped task cannot come back: its batch was closed meanwhile.")
    if task.needed and not Task.objects.filter(pk=task.pk, open_slots__gt=0).update(
        open_slots=F("open_slots") - 1
    ):
        raise NoSlotLeft("The skipped task cannot come back: somebody else has taken it meanwhile.")
    evidence = {name: value for name, value in current.evidence.items() if name != "skip_reason"}
    until = database_now() + timedelta(minutes=project.lease_minutes)
    Assignment.objects.filter(pk=current.pk).update(
        state=Assignment.State.LEASED, leased_until=until, evidence=evidence, **_versions_shown(project)
    )
    record_audit(actor=actor, action="task.unskip", project=project, target=task)
    return Assignment.objects.get(pk=current.pk)


def release_slot(task: Task) -> None:
    """A lease ends without a judgment. The task's row is locked by the caller."""
    Task.objects.filter(pk=task.pk, needed__gt=0).update(open_slots=F("open_slots") + 1)


@in_turn
def save_draft(*, actor: User, assignment: Assignment, draft: dict[str, Any], characters: int) -> bool:
    """Keep what has been done so far, and the lease with it; False when the task was submitted meanwhile.

    `characters` is the draft's size as it came. Drafts survive the lease's end. Writes no audit row.
    """
    own_assignment(actor, assignment)
    if characters > MAX_DRAFT_CHARACTERS:
        raise DraftTooLarge(f"The draft has more than {MAX_DRAFT_CHARACTERS:,} characters.")
    draft = check_storable(draft, "The draft")
    until = database_now() + timedelta(minutes=assignment.task.batch.project.lease_minutes)
    own = Assignment.objects.filter(pk=assignment.pk).exclude(state=Assignment.State.SUBMITTED)
    kept = own.update(draft=draft)
    own.filter(state=Assignment.State.LEASED).update(leased_until=until)
    return bool(kept)


def sweep_expired_leases(*, project: Project | None = None, limit: int = 200) -> int:
    """Give back the slots of leases that ran out; the worker's tick and every claim call it. Returns how
    many.
    """
    now = database_now()
    stale = Assignment.objects.filter(state=Assignment.State.LEASED, leased_until__lt=now)
    if project is not None:
        stale = stale.filter(task__batch__project=project)
    found = list(stale.order_by("leased_until").values_list("pk", "task_id")[:limit])
    if not found:
        return 0
    return _expire(found, now)


@in_turn
def _expire(found: list[tuple[int, int]], now: datetime) -> int:
    swept = 0
    # The order of keys is the order of locks everywhere; whoever is busy on a task sweeps it themselves.
    skip_locked = connection.features.has_select_for_update_skip_locked
    tasks = Task.objects.select_for_update(skip_locked=skip_locked)
    locked = {task.pk: task for task in tasks.filter(pk__in={t for _, t in found}).order_by("pk")}
    for pk, task_id in found:
        if task_id not in locked:
            continue
        # Asked again under the lock: the annotator may have renewed or submitted.
        if Assignment.objects.filter(pk=pk, state=Assignment.State.LEASED, leased_until__lt=now).update(
            state=Assignment.State.EXPIRED
        ):
            release_slot(locked[task_id])
            swept += 1
    return swept


@dataclass(frozen=True)
class _Tally:
    done: int
    leased: int


def reconcile(project: Project | None = None) -> list[str]:
    """Compare every counter with the rows it stands for; one line for each drift, none when all is well."""
    tasks = Task.objects.of_slots()
    pointers = CurrentJudgment.objects.filter(judgment__withdrawn=False, judgment__surplus=False)
    leases = Assignment.objects.filter(state=Assignment.State.LEASED)
    heads = Judgment.objects.filter(superseded_by__isnull=True)
    submitted = Assignment.objects.filter(state=Assignment.State.SUBMITTED)
    if project is not None:
        tasks = tasks.filter(batch__project=project)
        pointers = pointers.filter(task__batch__project=project)
        leases = leases.filter(task__batch__project=project)
        heads = heads.filter(task__batch__project=project)
        submitted = submitted.filter(task__batch__project=project)
    done = dict(pointers.values_list("task").annotate(n=Count("pk")).order_by())
    leased = dict(leases.values_list("task").annotate(n=Count("pk")).order_by())
    lines = []
    for pk, needed, open_slots, counted in tasks.values_list("pk", "needed", "open_slots", "done").iterator():
        tally = _Tally(done=done.get(pk, 0), leased=leased.get(pk, 0))
        if counted != tally.done:
            lines.append(f"task {pk}: done is {counted}, but {tally.done} judgments count")
        if open_slots != needed - tally.done - tally.leased:
            lines.append(
                f"task {pk}: open_slots is {open_slots}, but {needed} needed - {tally.done} done - "
                f"{tally.leased} leased = {needed - tally.done - tally.leased}"
            )
    for pk in heads.filter(current_pointer__isnull=True).values_list("pk", flat=True):
        lines.append(f"judgment {pk}: the newest of its chain, but not the current one")
    for pk in submitted.filter(~Q(judgments__isnull=False)).values_list("pk", flat=True):
        lines.append(f"assignment {pk}: submitted, but without a judgment")
    return lines


def slots_of(task: Task) -> bool:
    """Whether judgments of this task take slots and count."""
    return task.purpose in SLOT_PURPOSES
