"""The SQL that finds and locks an annotator's next task."""

import secrets
from typing import Any

from django.db import connection, transaction
from django.db.models import Field, Model

from annotation.errors import NotAMember
from annotation.models import QueueCursor
from workspace.models import Guideline, Membership, Project, QuestionSettings, User


def _column(model: type[Model], field: str) -> str:
    """workspace's columns are named by its models, so that a rename there is noticed when this module is imported."""
    found = model._meta.get_field(field)
    assert isinstance(found, Field)
    return f"{model._meta.db_table}.{found.column}"


# The claim is written in SQL: it runs before every task, and the ORM takes longer to build these than to run them.
_LOCK_MEMBERSHIP = f"""SELECT {_column(Membership, "id")} FROM {Membership._meta.db_table}
    WHERE {_column(Membership, "project")} = %s AND {_column(Membership, "user")} = %s"""

_CURRENT_VERSIONS = "SELECT " + ", ".join(
    f"(SELECT MAX({_column(model, 'version')}) FROM {model._meta.db_table} WHERE {_column(model, 'project')} = %s)"
    for model in (QuestionSettings, Guideline)
)

_FROM_OPEN_BATCHES = """FROM annotation_task t JOIN annotation_batch b ON b.id = t.batch_id {join}
    WHERE b.project_id = %s AND b.state = 'open' AND b.visible AND (%s IS NULL OR b.id = %s)"""

_NOT_YET_ASSIGNED = """(SELECT 1 FROM annotation_assignment a
    WHERE a.task_id = t.id AND a.annotator_id = %s AND a.state <> 'expired' LIMIT 1) IS NULL"""

_ORDER_BY_PRIORITY = "ORDER BY b.priority DESC, b.id, t.priority DESC, t.id LIMIT 1"

_JOIN_OWN_ASSIGNMENT = "JOIN annotation_assignment own ON own.task_id = t.id"

_FIND_OWN_LEASES = f"""SELECT own.id {_FROM_OPEN_BATCHES.format(join=_JOIN_OWN_ASSIGNMENT)}
    AND own.annotator_id = %s AND own.state = 'leased' AND own.id <> %s ORDER BY own.id"""

# Their lease ran out while they had work on it: their draft is waiting, if the task still has room.
_FIND_EXPIRED_WITH_DRAFT = f"""SELECT t.id {_FROM_OPEN_BATCHES.format(join=_JOIN_OWN_ASSIGNMENT)}
    AND own.annotator_id = %s AND own.state = 'expired' AND CAST(own.draft AS TEXT) <> '{{}}'
    AND (t.required_judgments = 0 OR t.open_slots > 0) ORDER BY own.leased_until DESC LIMIT 1"""

_FIND_RESERVED_TASK = f"""SELECT t.id {_FROM_OPEN_BATCHES.format(join="")}
    AND t.reserved_for_id = %s AND (t.required_judgments = 0 OR t.open_slots > 0)
    AND {_NOT_YET_ASSIGNED} {_ORDER_BY_PRIORITY}"""

_FIND_GOLD_TASK = f"""SELECT t.id {_FROM_OPEN_BATCHES.format(join="")}
    AND t.purpose = 'gold' AND t.reserved_for_id IS NULL AND {_NOT_YET_ASSIGNED} {_ORDER_BY_PRIORITY}"""

_LIST_OPEN_BATCHES = """SELECT b.id, b.queue_version, c.priority, c.task_id FROM annotation_batch b
    LEFT JOIN annotation_queuecursor c
    ON c.batch_id = b.id AND c.annotator_id = %s AND c.queue_version = b.queue_version
    WHERE b.project_id = %s AND b.state = 'open' AND b.visible AND (%s IS NULL OR b.id = %s)
    ORDER BY b.priority DESC, b.id"""

_FIND_OPEN_TASK = f"""SELECT t.id, t.priority FROM annotation_task t
    WHERE t.batch_id = %s AND t.open_slots > 0 AND t.reserved_for_id IS NULL
    AND t.priority <= %s AND (t.priority < %s OR t.id > %s) AND {_NOT_YET_ASSIGNED}
    ORDER BY t.priority DESC, t.id LIMIT 1"""

# Above every priority: where a cursor begins.
_MAX_PRIORITY = 2**31 - 1

# How often a claim waits for a row that turns out to be taken before it says that nothing is left.
MAX_LOCK_RETRIES = 20


def _fetch_all(sql: str, params: list[Any], lock: str = "") -> list[tuple[Any, ...]]:
    """Runs a statement, with a row lock where the database has them (SQLite's writers are alone anyway)."""
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} {lock}" if connection.vendor == "postgresql" else sql, params)
        return cursor.fetchall()


def lock_member(actor: User, project: Project) -> None:
    if not _fetch_all(_LOCK_MEMBERSHIP, [project.pk, actor.pk], "FOR NO KEY UPDATE"):
        raise NotAMember("Only members of the project get its tasks.")


def current_versions(project: Project) -> dict[str, int]:
    """Under which settings and guideline a task that is handed out now is judged."""
    [(question, guideline)] = _fetch_all(_CURRENT_VERSIONS, [project.pk, project.pk])
    return {"settings_version": question or 0, "guideline_version": guideline or 0}


def _lock_first(sql: str, params: list[Any], *, waits: bool) -> tuple[Any, ...] | None:
    """The first row the statement finds, locked; without `waits` the first that nobody else has locked."""
    if not waits:
        found = _fetch_all(sql, params, "FOR UPDATE OF t SKIP LOCKED")
        return found[0] if found else None
    for _ in range(MAX_LOCK_RETRIES):
        found = _fetch_all(sql, params)
        if not found:
            return None
        # One row at a time, and looked at again once it is ours; if it is no longer the one, its lock is let go.
        before = transaction.savepoint()
        _fetch_all("SELECT id FROM annotation_task t WHERE id = %s", [found[0][0]], "FOR UPDATE")
        again = _fetch_all(sql, params)
        if again and again[0][0] == found[0][0]:
            transaction.savepoint_commit(before)
            return again[0]
        transaction.savepoint_rollback(before)
    return None


def find_task(actor: User, project: Project, where: list[Any], *, waits: bool) -> int | None:
    """The key of a task that the actor may take, its row locked (gold tasks have no slots to lock)."""
    for sql, params in (
        (_FIND_EXPIRED_WITH_DRAFT, [*where, actor.pk]),
        (_FIND_RESERVED_TASK, [*where, actor.pk, actor.pk]),
    ):
        if row := _lock_first(sql, params, waits=waits):
            return row[0]
    if secrets.randbelow(1_000_000) < project.gold_share * 1_000_000 and (
        found := _fetch_all(_FIND_GOLD_TASK, [*where, actor.pk])
    ):
        return found[0][0]
    for batch_id, queue_version, priority, passed in _fetch_all(_LIST_OPEN_BATCHES, [actor.pk, *where]):
        if (
            task_id := _find_open_task(actor, batch_id, queue_version, priority, passed, waits=waits)
        ) is not None:
            return task_id
    return None


def _find_open_task(
    actor: User, batch_id: int, queue_version: int, priority: int | None, passed: int | None, *, waits: bool
) -> int | None:
    """From the cursor on, then from the top: slots open behind it."""
    starts = [(_MAX_PRIORITY, 0)]
    if priority is not None and passed is not None:
        starts.insert(0, (priority, passed))
    for below, after_id in starts:
        params = [batch_id, below, below, after_id, actor.pk]
        if row := _lock_first(_FIND_OPEN_TASK, params, waits=waits):
            task_id, priority = row
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
            return task_id
    return None
