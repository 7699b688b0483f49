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

from django.db import connection
from django.db.models import Count, F, Q, Subquery

from annotation.errors import DraftTooLarge, NotAMember, NotYourTask
from annotation.models import (
    AnnotatorCursor,
    Assignment,
    Batch,
    CurrentJudgment,
    Judgment,
    Task,
    TaskResponse,
)
from annotation.ordering import shuffled
from annotation.querysets import SLOT_PURPOSES
from annotation.texts import check_storable, check_text
from annotation.turns import in_turn
from workspace.actions import record_audit
from workspace.models import Membership, Project, User

MAX_DRAFT_CHARACTERS = 100_000
_NOT_MINE = """(SELECT 1 FROM annotation_assignment a
    WHERE a.task_id = t.id AND a.annotator_id = %s AND a.state <> 'expired' LIMIT 1) IS NULL"""
_PICK_OPEN = f"""SELECT t.id, t.priority FROM annotation_task t
    WHERE t.batch_id = %s AND t.open_slots > 0 AND t.reserved_for_id IS NULL
    AND t.priority <= %s AND (t.priority < %s OR t.id > %s) AND {_NOT_MINE}
    ORDER BY t.priority DESC, t.id LIMIT 1"""
_PICK_RESERVED = f"""SELECT t.id FROM annotation_task t JOIN annotation_batch b ON b.id = t.batch_id
    WHERE t.reserved_for_id = %s AND b.project_id = %s AND b.state = 'open' AND b.visible
    AND (t.needed = 0 OR t.open_slots > 0) AND {{only}} AND {_NOT_MINE}
    ORDER BY b.priority DESC, b.id, t.priority DESC, t.id LIMIT 1"""
_PICK_GOLD = f"""SELECT t.id FROM annotation_task t JOIN annotation_batch b ON b.id = t.batch_id
    WHERE t.purpose = 'gold' AND t.reserved_for_id IS NULL AND b.project_id = %s AND b.state = 'open' AND
    b.visible AND {{only}} AND {_NOT_MINE}
    ORDER BY b.priority DESC, b.id, t.priority DESC, t.id LIMIT 1"""
# Above every priority: where a cursor begins.
_TOP = 2**31 - 1


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


@in_turn
def _claim(actor: User, project: Project, after: Assignment | None, batch: Batch | None) -> Assignment | None:
    # One claim of a person at a time: two open tabs get the same task instead of one each.
    member = Membership.objects.select_for_update(no_key=True).filter(project=project, user=actor).first()
    if member is None:
        raise NotAMember("Only members of the project get its tasks.")
    lease = database_now() + timedelta(minutes=project.lease_minutes)
    shown = _versions_shown(project)
    own = Assignment.objects.filter(
        annotator=actor,
        state=Assignment.State.LEASED,
        task__batch__project=project,
        task__batch__state=Batch.State.OPEN,
        task__batch__visible=True,
    )
    if after is not None:
        own = own.exclude(pk=after.pk)
    if batch is not None:
        own = own.filter(task__batch=batch)
    for held in own.order_by("pk"):
        renewed = Assignment.objects.filter(pk=held.pk, state=Assignment.State.LEASED).update(
            leased_until=lease, **shown
        )
        if renewed:
            return _loaded(held.pk)
    task_id = _begun(actor, project, batch)
    if task_id is None:
        task_id = _pick(actor, project, batch)
    if task_id is None:
        return None
    return _lease(actor, task_id, lease, shown)


def claim_task(
    *, actor: User, project: Project, after: Assignment | None = None, batch: Batch | None = None
) -> Assignment | None:
    """The actor's next task, leased to them; None when nothing is left for them.

    Their own live lease comes first. `after` is the assignment on their screen, so that the one behind it
    can be prefetched. `batch` narrows the search. Raises NotAMember. Writes no audit row.
    """
    claimed = _claim(actor, project, after, batch)
    # In a transaction of its own: it holds several task locks, and a claim may wait for one.
    if claimed is None and sweep_expired_leases(project=project):
        claimed = _claim(actor, project, after, batch)
    return claimed


def _loaded(pk: int) -> Assignment:
    return Assignment.objects.select_related("task__batch__criterion", "task__prompt", "annotator").get(pk=pk)


def _versions_shown(project: Project) -> dict[str, int]:
    newest = Project.objects.filter(pk=project.pk).values_list(
        Subquery(_newest_version(project.question_settings)), Subquery(_newest_version(project.guidelines))
    )
    question, guideline = newest.get()
    return {"settings_version": question or 0, "guideline_version": guideline or 0}


def _newest_version(rows: Any) -> Any:
    return rows.order_by("-version").values("version")[:1]


def _begun(actor: User, project: Project, batch: Batch | None) -> int | None:
    """A task whose lease ran out while the actor had work on it, if it still has room: their draft is
    waiting.
    """
    begun = Assignment.objects.filter(
        annotator=actor,
        state=Assignment.State.EXPIRED,
        task__batch__project=project,
        task__batch__state=Batch.State.OPEN,
        task__batch__visible=True,
    ).exclude(draft={})
    if batch is not None:
        begun = begun.filter(task__batch=batch)
    room = Q(task__open_slots__gt=0) | Q(task__needed=0)
    for task_id in begun.filter(room).order_by("-leased_until").values_list("task_id", flat=True)[:5]:
        task = Task.objects.select_for_update().filter(pk=task_id).first()
        if task is not None and (task.open_slots > 0 or task.needed == 0):
            return task_id
    return None


def _pick(actor: User, project: Project, batch: Batch | None) -> int | None:
    """The key of a task that the actor may take, its row locked (gold tasks have no slots to lock)."""
    only, only_params = ("b.id = %s", [batch.pk]) if batch is not None else ("b.id = b.id", [])
    with connection.cursor() as cursor:
        lock = "FOR UPDATE OF t" if connection.vendor == "postgresql" else ""
        cursor.execute(
            f"{_PICK_RESERVED.format(only=only)} {lock}", [actor.pk, project.pk, *only_params, actor.pk]
        )
        if row := cursor.fetchone():
            return row[0]
        if secrets.randbelow(1_000_000) < project.gold_share * 1_000_000:
            cursor.execute(_PICK_GOLD.format(only=only), [project.pk, *only_params, actor.pk])
            if row := cursor.fetchone():
                return row[0]
    batches = Batch.objects.open_to_annotators(project)
    for candidate in batches.filter(pk=batch.pk) if batch is not None else batches:
        if (task_id := _pick_open(actor, candidate)) is not None:
            return task_id
    return None


def _pick_open(actor: User, batch: Batch) -> int | None:
    """From the cursor on; then from the top (slots come back behind a cursor); then waiting for locked
    rows.
    """
    cursor_row = AnnotatorCursor.objects.filter(
        annotator=actor, batch=batch, epoch=batch.cursor_epoch
    ).first()
    passes = [(_TOP, 0, True)]
    if cursor_row is not None:
        passes.insert(0, (cursor_row.priority, cursor_row.task_id, True))
    if connection.vendor == "postgresql":
        passes.append((_TOP, 0, False))
    for priority, after_id, skip_locked in passes:
        lock = ""
        if connection.vendor == "postgresql":
            lock = "FOR UPDATE OF t SKIP LOCKED" if skip_locked else "FOR UPDATE OF t"
        with connection.cursor() as cursor:
            cursor.execute(f"{_PICK_OPEN} {lock}", [batch.pk, priority, priority, after_id, actor.pk])
            row = cursor.fetchone()
        if row is not None:
            AnnotatorCursor.objects.bulk_create(
                [
                    AnnotatorCursor(
                        annotator=actor,
                        batch=batch,
                        epoch=batch.cursor_epoch,
                        priority=row[1],
                        task_id=row[0],
                    )
                ],
                update_conflicts=True,
                unique_fields=["annotator", "batch"],
                update_fields=["epoch", "priority", "task_id"],
            )
            return row[0]
    return None


def _lease(actor: User, task_id: int, until: datetime, shown: dict[str, int]) -> Assignment:
    Task.objects.filter(pk=task_id, needed__gt=0).update(open_slots=F("open_slots") - 1)
    # An expired one comes back as it was, in the same order: its draft speaks of the same handles.
    again = Assignment.objects.filter(task_id=task_id, annotator=actor).first()
    if again is not None:
        Assignment.objects.filter(pk=again.pk).update(
            state=Assignment.State.LEASED, leased_until=until, **shown
        )
        return _loaded(again.pk)
    seed = secrets.randbits(62)
    keys = list(
        TaskResponse.objects.filter(task_id=task_id)
        .order_by("position")
        .values_list("response_id", flat=True)
    )
    made = Assignment.objects.create(
        task_id=task_id,
        annotator=actor,
        leased_until=until,
        presentation_seed=seed,
        order_shown=shuffled(keys, seed),
        **shown,
    )
    return _loaded(made.pk)


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
