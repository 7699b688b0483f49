"""The SQL that finds and locks an annotator's next task.

It is written in SQL because it runs before every task, and the ORM takes longer to build these statements than the
database to run them. Every column is written with its table's alias: a test compares them with the models.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Model

from annotation.errors import NotAMember
from annotation.models import Assignment, Batch, QueueCursor, Task
from workspace.models import Guideline, Membership, Project, QuestionSettings, User

ALIASES: dict[str, type[Model]] = {
    "a": Assignment,
    "own": Assignment,
    "b": Batch,
    "c": QueueCursor,
    "g": Guideline,
    "m": Membership,
    "q": QuestionSettings,
    "t": Task,
}
_TABLE = {alias: f"{model._meta.db_table} {alias}" for alias, model in ALIASES.items()}

_LOCK_MEMBERSHIP = f"SELECT m.id FROM {_TABLE['m']} WHERE m.project_id = %s AND m.user_id = %s"

_CURRENT_VERSIONS = f"""SELECT
    (SELECT MAX(q.version) FROM {_TABLE["q"]} WHERE q.project_id = %s),
    (SELECT MAX(g.version) FROM {_TABLE["g"]} WHERE g.project_id = %s)"""

_IN_OPEN_BATCHES = """b.project_id = %s AND b.state = 'open' AND b.visible AND (%s IS NULL OR b.id = %s)"""

_FROM_OPEN_BATCHES = f"FROM {_TABLE['t']} JOIN {_TABLE['b']} ON b.id = t.batch_id"

_JOIN_OWN_ASSIGNMENT = f"JOIN {_TABLE['own']} ON own.task_id = t.id"

_NOT_YET_ASSIGNED = f"""(SELECT 1 FROM {_TABLE["a"]}
    WHERE a.task_id = t.id AND a.annotator_id = %s AND a.state <> 'expired' LIMIT 1) IS NULL"""

# Tasks of purposes that use no slots (gold, repeats) require no judgments and always have room.
_HAS_ROOM = "(t.required_judgments = 0 OR t.open_slots > 0)"

_ORDER_BY_PRIORITY = "ORDER BY b.priority DESC, b.id, t.priority DESC, t.id LIMIT 1"

_FIND_OWN_LEASES = f"""SELECT own.id {_FROM_OPEN_BATCHES} {_JOIN_OWN_ASSIGNMENT}
    WHERE {_IN_OPEN_BATCHES} AND own.annotator_id = %s AND own.state = 'leased' AND own.id <> %s ORDER BY own.id"""

# An expired assignment of this annotator that has a draft, on a task with an open slot.
_FIND_EXPIRED_WITH_DRAFT = f"""SELECT t.id {_FROM_OPEN_BATCHES} {_JOIN_OWN_ASSIGNMENT}
    WHERE {_IN_OPEN_BATCHES} AND own.annotator_id = %s AND own.state = 'expired'
    AND CAST(own.draft AS TEXT) <> '{{}}' AND {_HAS_ROOM} ORDER BY own.leased_until DESC LIMIT 1"""

_FIND_RESERVED_TASK = f"""SELECT t.id {_FROM_OPEN_BATCHES}
    WHERE {_IN_OPEN_BATCHES} AND t.reserved_for_id = %s AND {_HAS_ROOM} AND {_NOT_YET_ASSIGNED} {_ORDER_BY_PRIORITY}"""

_FIND_GOLD_TASK = f"""SELECT t.id {_FROM_OPEN_BATCHES}
    WHERE {_IN_OPEN_BATCHES} AND t.purpose = 'gold' AND t.reserved_for_id IS NULL
    AND {_NOT_YET_ASSIGNED} {_ORDER_BY_PRIORITY}"""

_LIST_OPEN_BATCHES = f"""SELECT b.id, b.queue_version, c.priority, c.task_id FROM {_TABLE["b"]} LEFT JOIN {_TABLE["c"]}
    ON c.batch_id = b.id AND c.annotator_id = %s AND c.queue_version = b.queue_version
    WHERE {_IN_OPEN_BATCHES} ORDER BY b.priority DESC, b.id"""

_FIND_OPEN_TASK = f"""SELECT t.id, t.priority FROM {_TABLE["t"]}
    WHERE t.batch_id = %s AND t.open_slots > 0 AND t.reserved_for_id IS NULL
    AND t.priority <= %s AND (t.priority < %s OR t.id > %s) AND {_NOT_YET_ASSIGNED}
    ORDER BY t.priority DESC, t.id LIMIT 1"""

_LOCK_TASK = f"SELECT t.id FROM {_TABLE['t']} WHERE t.id = %s"

# Above every priority: where a cursor begins.
_MAX_PRIORITY = 2**31 - 1

# How often a claim waits for a row that turns out to be taken before it says that nothing is left.
MAX_LOCK_RETRIES = 20


@dataclass(frozen=True, kw_only=True)
class TaskSearch:
    """Whose next task is looked for, and where. With `waits` it waits for locked rows instead of passing over them."""

    actor: User
    project: Project
    batch: Batch | None
    waits: bool

    @property
    def params(self) -> list[Any]:
        """Of _IN_OPEN_BATCHES."""
        batch_id = self.batch.pk if self.batch else None
        return [self.project.pk, batch_id, batch_id]


def lock_member(actor: User, project: Project) -> None:
    if not _fetch_all(_LOCK_MEMBERSHIP, [project.pk, actor.pk], "FOR NO KEY UPDATE"):
        raise NotAMember("Only members of the project get its tasks.")


def current_versions(project: Project) -> dict[str, int]:
    """Under which settings and guideline a task that is handed out now is judged."""
    [(settings_version, guideline_version)] = _fetch_all(_CURRENT_VERSIONS, [project.pk, project.pk])
    return {"settings_version": settings_version or 0, "guideline_version": guideline_version or 0}


def own_leases(search: TaskSearch, *, except_assignment: Assignment | None) -> list[int]:
    """Keys of the actor's live leases, without that of one assignment."""
    excluded = except_assignment.pk if except_assignment else 0
    return [pk for (pk,) in _fetch_all(_FIND_OWN_LEASES, [*search.params, search.actor.pk, excluded])]


def find_task(search: TaskSearch) -> int | None:
    """The key of a task that the actor may take, its row locked (gold tasks are not: they use no slots)."""
    actor_id = search.actor.pk
    for sql, params in (
        (_FIND_EXPIRED_WITH_DRAFT, [*search.params, actor_id]),
        (_FIND_RESERVED_TASK, [*search.params, actor_id, actor_id]),
    ):
        if row := _lock_first(sql, params, waits=search.waits):
            return row[0]
    if secrets.randbelow(1_000_000) < search.project.gold_share * 1_000_000 and (
        gold := _fetch_all(_FIND_GOLD_TASK, [*search.params, actor_id])
    ):
        return gold[0][0]
    for batch_id, queue_version, priority, cursor_task_id in _fetch_all(
        _LIST_OPEN_BATCHES, [actor_id, *search.params]
    ):
        # From the cursor on, then from the top: slots open behind it.
        starts = [(_MAX_PRIORITY, 0)]
        if priority is not None:
            starts.insert(0, (priority, cursor_task_id))
        for start in starts:
            if row := _find_open_task(search, batch_id, *start):
                _move_cursor(search.actor, batch_id, queue_version, *row)
                return row[0]
    return None


def _find_open_task(
    search: TaskSearch, batch_id: int, priority: int, after_id: int
) -> tuple[int, int] | None:
    """(key, priority) of the first task with an open slot at this priority behind that key, or below the priority."""
    params = [batch_id, priority, priority, after_id, search.actor.pk]
    row = _lock_first(_FIND_OPEN_TASK, params, waits=search.waits)
    return (row[0], row[1]) if row else None


def _move_cursor(actor: User, batch_id: int, queue_version: int, task_id: int, priority: int) -> None:
    cursor = QueueCursor(
        annotator_id=actor.pk,
        batch_id=batch_id,
        queue_version=queue_version,
        priority=priority,
        task_id=task_id,
    )
    QueueCursor.objects.bulk_create(
        [cursor],
        update_conflicts=True,
        unique_fields=["annotator", "batch"],
        update_fields=["queue_version", "priority", "task_id"],
    )


def _lock_first(sql: str, params: list[Any], *, waits: bool) -> tuple[Any, ...] | None:
    """The first row the statement finds, locked; without `waits` the first that nobody else has locked."""
    if not waits:
        rows = _fetch_all(sql, params, "FOR UPDATE OF t SKIP LOCKED")
        return rows[0] if rows else None
    for _ in range(MAX_LOCK_RETRIES):
        rows = _fetch_all(sql, params)
        if not rows:
            return None
        # One row at a time, and looked at again once it is locked; if it is no longer the first, its lock is let go.
        savepoint = transaction.savepoint()
        _fetch_all(_LOCK_TASK, [rows[0][0]], "FOR UPDATE")
        rechecked = _fetch_all(sql, params)
        if rechecked and rechecked[0][0] == rows[0][0]:
            transaction.savepoint_commit(savepoint)
            return rechecked[0]
        transaction.savepoint_rollback(savepoint)
    return None


def _fetch_all(sql: str, params: list[Any], lock: str = "") -> list[tuple[Any, ...]]:
    """Runs a statement, with a row lock where the database has them (SQLite has one writer at a time anyway)."""
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {lock}" if connection.vendor == "postgresql" else sql, params)
        return cursor.fetchall()
