"""The SQL that finds an annotator's next task and takes a slot of it.

It is written in SQL because it runs before every task, and the ORM takes longer to build these statements than the
database to run them. Every column is written with its table's alias: a test compares them with the models.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model
from django.utils.translation import gettext

from annotation.errors import MemberPaused, NotAMember
from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    GoldJudgment,
    Import,
    Judgment,
    QueueCursor,
    Task,
    TaskCount,
)
from annotation.queue import copies
from annotation.queue.copies import COPY_IS_NEW, COPY_IS_OFFERED, COPY_IS_UNLOCKED
from annotation.queue.eligibility import (
    IS_OFFERED,
    IS_UNLOCKED,
    LEFT_OF_OWN_QUOTA,
    STANDING,
    Standing,
    standing_of,
    today_in,
)
from annotation.queue.positions import Kind, kind_at, tasks_ahead
from workspace.database import insert_row, run_prepared
from workspace.models import Guideline, Membership, Project, QuestionSettings, User

ALIASES: dict[str, type[Model]] = {
    "a": Assignment,
    "own": Assignment,
    "b": Batch,
    "c": QueueCursor,
    "cur": CurrentJudgment,
    "alike": Batch,
    "other": Task,
    "needs": Batch,
    "excluded": QueueCursor,
    "g": Guideline,
    "i": Import,
    "j": Judgment,
    "k": TaskCount,
    "known": GoldJudgment,
    "m": Membership,
    "q": QuestionSettings,
    "t": Task,
} | copies.ALIASES
_TABLE = {alias: f"{model._meta.db_table} {alias}" for alias, model in ALIASES.items()}

_LOCK_MEMBERSHIP = f"""SELECT m.id, {{now}}, m.paused_at IS NOT NULL FROM {_TABLE["m"]}
    WHERE m.project_id = %(project)s AND m.user_id = %(actor)s {{lock}}"""

_CURRENT_VERSIONS = f"""SELECT
    (SELECT MAX(q.version) FROM {_TABLE["q"]} WHERE q.project_id = %(project)s),
    (SELECT MAX(g.version) FROM {_TABLE["g"]} WHERE g.project_id = %(project)s)"""

_IN_OPEN_BATCHES = f"""b.project_id = %(project)s AND b.state = 'open' AND b.visible AND {IS_UNLOCKED}
    AND (CAST(%(batch)s AS bigint) IS NULL OR b.id = CAST(%(batch)s AS bigint))"""

# Those that the actor is offered new tasks of.
_IN_OFFERED_BATCHES = f"{_IN_OPEN_BATCHES} AND {IS_OFFERED}"

_FROM_OPEN_BATCHES = f"FROM {_TABLE['t']} JOIN {_TABLE['b']} ON b.id = t.batch_id"

_JOIN_OWN_ASSIGNMENT = f"JOIN {_TABLE['own']} ON own.task_id = t.id"

_NOT_YET_ASSIGNED = f"""(SELECT 1 FROM {_TABLE["a"]} WHERE a.task_id = t.id AND a.annotator_id = %(actor)s
    AND a.state NOT IN ('expired', 'taken_back') LIMIT 1) IS NULL"""

# Tasks of purposes that use no slots (gold, repeats) require no judgments and always have room.
_HAS_ROOM = "(t.required_judgments = 0 OR t.open_slots > 0)"

_ORDER_BY_PRIORITY = "ORDER BY b.priority DESC, b.id, t.priority DESC, t.id LIMIT 1"

_FROM_OWN_LEASES = f"""{_FROM_OPEN_BATCHES} {_JOIN_OWN_ASSIGNMENT}
    WHERE own.annotator_id = %(actor)s AND own.state = 'leased' AND {_IN_OPEN_BATCHES} AND {COPY_IS_UNLOCKED}"""

# An expired assignment of this annotator that has a draft, on a task with an open slot.
_FIND_EXPIRED_WITH_DRAFT = f"""SELECT t.id {_FROM_OPEN_BATCHES} {_JOIN_OWN_ASSIGNMENT}
    WHERE {_IN_OFFERED_BATCHES} AND {COPY_IS_OFFERED} AND own.annotator_id = %(actor)s AND own.state = 'expired'
    AND CAST(own.draft AS TEXT) <> '{{}}' AND {_HAS_ROOM} ORDER BY own.leased_until DESC LIMIT 1"""

_FIND_RESERVED_TASK = f"""SELECT t.id {_FROM_OPEN_BATCHES}
    WHERE {_IN_OPEN_BATCHES} AND t.reserved_for_id = %(actor)s AND {_HAS_ROOM} AND t.purpose <> 'repeat'
    AND {_NOT_YET_ASSIGNED} {_ORDER_BY_PRIORITY}"""

# Of the kind of work that is open. A copy waits until its own task is handed out no more.
_FIND_GOLD_TASK = f"""SELECT t.id {_FROM_OPEN_BATCHES}
    WHERE {_IN_OFFERED_BATCHES} AND t.purpose = 'gold' AND t.reserved_for_id IS NULL AND {_NOT_YET_ASSIGNED}
    AND EXISTS (SELECT 1 FROM {_TABLE["alike"]} JOIN {_TABLE["other"]} ON other.batch_id = alike.id
        WHERE alike.project_id = b.project_id AND alike.state = 'open' AND alike.visible
        AND alike.criterion_id = b.criterion_id AND alike.kind = b.kind AND other.open_slots > 0)
    AND {COPY_IS_NEW} AND {COPY_IS_OFFERED} {_ORDER_BY_PRIORITY}"""

_FIND_REPEAT = f"""SELECT t.id {_FROM_OPEN_BATCHES}
    WHERE {_IN_OPEN_BATCHES} AND t.reserved_for_id = %(actor)s AND t.purpose = 'repeat'
    AND {_NOT_YET_ASSIGNED} ORDER BY t.id LIMIT 1"""

# The next practice task of a try: what the person has not seen yet comes first.
_FIND_PRACTICE = f"""SELECT t.id {_FROM_OPEN_BATCHES}
    JOIN {_TABLE["tr"]} ON tr.batch_id = b.id JOIN {_TABLE["known"]} ON known.task_id = t.id
    LEFT JOIN {_TABLE["ql"]} ON ql.training_id = tr.id AND ql.annotator_id = %(actor)s
    WHERE {_IN_OPEN_BATCHES} AND tr.is_on AND t.purpose = 'practice' AND (ql.id IS NULL OR ql.state = 'open')
    AND (tr.for_everybody OR EXISTS (SELECT 1 FROM {_TABLE["needs"]}
        WHERE needs.required_training_id = tr.id AND needs.state = 'open' AND needs.visible))
    AND COALESCE(ql.answered, 0) + (SELECT COUNT(*) FROM {_TABLE["a"]} JOIN {_TABLE["other"]}
        ON other.id = a.task_id WHERE a.annotator_id = %(actor)s AND a.state = 'leased'
        AND other.batch_id = b.id) < tr.items
    AND {_NOT_YET_ASSIGNED} AND {COPY_IS_UNLOCKED}
    ORDER BY tr.id, (SELECT COUNT(*) FROM {_TABLE["a"]} WHERE a.task_id = t.id AND a.annotator_id = %(actor)s),
    t.id LIMIT 1"""

# The last judgment that can still be changed, among the person's latest. A limit at each step keeps their order: a
# planner that knows nothing of the tables yet begins with all tasks of the batch.
_LAST_ASSIGNMENT = f"""SELECT judged2.public1 FROM (SELECT a.public_id AS public1, a.task_id AS task1, judged1.judgment1
        FROM (SELECT j.id AS judgment1, j.assignment_id AS assignment1, j.from_import_id AS import1
            FROM (SELECT cur.judgment_id AS latest2 FROM {_TABLE["cur"]} WHERE cur.annotator_id = %(actor)s
                ORDER BY cur.judgment_id DESC LIMIT {{latest}}) latest1 JOIN {_TABLE["j"]} ON j.id = latest1.latest2
            WHERE NOT j.withdrawn LIMIT {{latest}}
        ) judged1 JOIN {_TABLE["a"]} ON a.id = judged1.assignment1 LEFT JOIN {_TABLE["i"]} ON i.id = judged1.import1
        WHERE judged1.import1 IS NULL OR i.state = 'done' LIMIT {{latest}}
    ) judged2 JOIN {_TABLE["t"]} ON t.id = judged2.task1 JOIN {_TABLE["b"]} ON b.id = t.batch_id
    WHERE b.project_id = %(project)s AND b.state = 'open' AND t.purpose <> 'practice'
    ORDER BY judged2.judgment1 DESC LIMIT 1"""

# What a person has done and can be given, from counts alone; `parts` is of how many rows more than one for each count.
_ANNOTATOR_COUNTS = f"""SELECT COALESCE(SUM(sums1.judged1), 0) AS judged1, COALESCE(SUM(sums1.parts), 0) AS parts,
        COALESCE(SUM(CASE WHEN NOT (b.state = 'open' AND b.visible AND {IS_UNLOCKED} AND {IS_OFFERED}) THEN 0
            WHEN b.person_quota IS NOT NULL AND {LEFT_OF_OWN_QUOTA} < sums1.available1 THEN {LEFT_OF_OWN_QUOTA}
            ELSE sums1.available1 END), 0) AS left_for_actor
    FROM (SELECT k.batch_id AS batch1, SUM(CASE WHEN k.annotator_id = 0 THEN 0 ELSE k.submitted END) AS judged1,
            SUM(k.available) AS available1, COUNT(*) - 2 AS parts
        FROM {_TABLE["b"]} JOIN {_TABLE["k"]} ON k.batch_id = b.id
        WHERE b.project_id = %(project)s AND k.annotator_id IN (0, %(actor)s) GROUP BY k.batch_id
    ) sums1 JOIN {_TABLE["b"]} ON b.id = sums1.batch1"""

_LEASED = f"SELECT COUNT(*) {_FROM_OWN_LEASES}"

# All that a claim decides by, in one statement: a row for each open batch, or one without a batch.
_CLAIM_OPTIONS = f"""SELECT counts1.judged1, counts1.left_for_actor, counts1.parts,
    ({_LEASED}),
    ({_LAST_ASSIGNMENT.format(latest=100)}),
    (SELECT own.id {_FROM_OWN_LEASES} AND own.public_id <> %(after)s ORDER BY own.id LIMIT 1),
    ({_FIND_EXPIRED_WITH_DRAFT}),
    ({_FIND_RESERVED_TASK}),
    ({_FIND_PRACTICE}),
    {STANDING},
    b.id, b.queue_version, c.priority, c.task_id
    FROM ({_ANNOTATOR_COUNTS}) counts1 LEFT JOIN {_TABLE["b"]} ON {_IN_OFFERED_BATCHES}
    LEFT JOIN {_TABLE["c"]} ON c.batch_id = b.id AND c.annotator_id = %(actor)s AND c.queue_version = b.queue_version
    ORDER BY b.priority DESC, b.id"""

_WHERE_OPEN = f"""t.batch_id = %(of_batch)s AND t.open_slots > 0 AND t.reserved_for_id IS NULL
    AND t.priority <= %(priority)s AND (t.priority < %(priority)s OR t.id > %(after)s) AND {_NOT_YET_ASSIGNED}
    ORDER BY t.priority DESC, t.id LIMIT 1"""

_FIND_OPEN_TASK = f"SELECT t.id, t.priority, t.required_judgments FROM {_TABLE['t']} WHERE {_WHERE_OPEN}"

# Found, locked and its slot taken at once; rows that somebody else holds are passed over. `special`: a statement for a
# known answer or repeat that is due (they use no slot), or NULL; where none fits a usual task comes at the same cost.
_TAKE_OPEN_TASK = f"""UPDATE {Task._meta.db_table}
    SET open_slots = open_slots - (CASE WHEN required_judgments > 0 THEN 1 ELSE 0 END)
    WHERE id = COALESCE(({{special}}), (SELECT t.id FROM {_TABLE["t"]} WHERE {_WHERE_OPEN} {{lock}}))
    RETURNING id, priority, required_judgments"""

_TAKE_SLOT = f"""UPDATE {Task._meta.db_table} SET open_slots = open_slots - 1
    WHERE id = %(task)s AND required_judgments > 0"""

_LOCK_TASK = f"SELECT t.id FROM {_TABLE['t']} WHERE t.id = %(task)s"

# Above every priority: where a cursor begins.
_MAX_PRIORITY = 2**31 - 1

# A cursor is moved when the search has come so much further: one row less to write for most claims.
CURSOR_STRIDE = 16

# How often a claim waits for a row that turns out to be taken before it says that nothing is left.
MAX_LOCK_RETRIES = 20

_MOVE_CURSOR = """ON CONFLICT (annotator_id, batch_id) DO UPDATE SET
    queue_version = excluded.queue_version, priority = excluded.priority, task_id = excluded.task_id"""

_NOBODY = UUID(int=0)

# Counts of more rows than this are summed by whoever reads them.
MAX_COUNT_PARTS = 400


@dataclass(frozen=True, kw_only=True)
class TaskSearch:
    """Whose next task is looked for, and where. With `waits` it waits for locked rows instead of passing over them."""

    actor: User
    project: Project
    batch: Batch | None
    waits: bool

    @property
    def params(self) -> dict[str, Any]:
        batch_id = self.batch.pk if self.batch else None
        today = today_in(self.project).isoformat()
        return {"project": self.project.pk, "actor": self.actor.pk, "batch": batch_id, "today": today}


@dataclass(frozen=True)
class AnnotatorCounts:
    """What a person has judged in a project, what they can still be given, and what they can change."""

    judged: int
    remaining: int  # the tasks they hold included, and those without slots that will come between
    position: int  # of their next task, by what they were given so far
    is_available: bool  # whether a task with an open slot is left
    last_assignment: UUID | None
    is_long: bool  # its counts are of so many rows that they should be summed


@dataclass(frozen=True)
class ClaimOptions:
    counts: AnnotatorCounts
    standing: Standing
    own_lease: int | None  # key of an assignment
    expired_with_draft: int | None  # key of a task
    reserved: int | None  # key of a task
    practice: int | None  # key of a task
    batches: list[tuple[int, int, int | None, int | None]]  # key, queue version, priority and task of cursor


def lock_member(actor: User, project: Project, *, takes_task: bool = False) -> datetime:
    """Holds the actor's membership until the transaction ends; returns the database's clock.

    Raises NotAMember, and for who wants a task MemberPaused.
    """
    is_postgresql = connection.vendor == "postgresql"
    sql = _LOCK_MEMBERSHIP.format(
        now="clock_timestamp()" if is_postgresql else "strftime('%%Y-%%m-%%dT%%H:%%M:%%f', 'now')",
        lock="FOR NO KEY UPDATE" if is_postgresql else "",
    )
    rows = _fetch_all(sql, {"project": project.pk, "actor": actor.pk})
    if not rows:
        raise NotAMember(gettext("Only members of the project get its tasks."))
    if takes_task and rows[0][2]:
        raise MemberPaused(
            gettext("A manager has paused you on this project: you get no tasks until they resume you.")
        )
    now = rows[0][1]
    return now if is_postgresql else datetime.fromisoformat(now).replace(tzinfo=UTC)


def current_versions(project: Project) -> dict[str, int]:
    """Under which settings and guideline a task that is handed out now is judged."""
    [(settings_version, guideline_version)] = _fetch_all(_CURRENT_VERSIONS, {"project": project.pk})
    return {"settings_version": settings_version or 0, "guideline_version": guideline_version or 0}


def find_claim_options(search: TaskSearch, *, after: UUID | None) -> ClaimOptions:
    """Where the actor stands and may be given tasks; `after` is the assignment that is on their screen already."""
    rows = _fetch_all(_CLAIM_OPTIONS, search.params | {"after": _uuid_param(after or _NOBODY)})
    judged, available, parts, leased, last, own_lease, expired, reserved, practice = rows[0][:9]
    standing = standing_of(leased, *rows[0][9:14])
    available = max(0, int(available)) if standing.may_get_more else 0
    return ClaimOptions(
        _annotator_counts(search, standing, int(judged), available, int(parts), last),
        standing,
        own_lease,
        expired,
        reserved,
        practice,
        [row[14:] for row in rows if row[14] is not None],
    )


def read_annotator_counts(actor: User, project: Project) -> AnnotatorCounts:
    """Where the actor stands in the project, by itself."""
    search = TaskSearch(actor=actor, project=project, batch=None, waits=False)
    return find_claim_options(search, after=None).counts


def _annotator_counts(
    search: TaskSearch, standing: Standing, judged: int, available: int, parts: int, last: Any
) -> AnnotatorCounts:
    last_assignment = last if last is None or isinstance(last, UUID) else UUID(last)
    position = judged + standing.held
    remaining = standing.held + tasks_ahead(search.project, search.actor, position, available)
    if standing.left_today is not None:
        remaining = max(standing.held, min(remaining, standing.left_today))
    return AnnotatorCounts(
        judged=judged,
        remaining=remaining,
        position=position,
        is_available=available > 0,
        last_assignment=last_assignment,
        is_long=parts > MAX_COUNT_PARTS,
    )


def _uuid_param(value: UUID) -> UUID | str:
    return value if connection.features.has_native_uuid_field else value.hex


def take_task(search: TaskSearch, found: ClaimOptions) -> int | None:
    """The key of a task that the actor may take, a slot of it taken (gold tasks and repeats use none)."""
    if found.practice:
        return found.practice
    if found.expired_with_draft or found.reserved:
        # Looked for again under its lock; seldom.
        for sql in (_FIND_EXPIRED_WITH_DRAFT, _FIND_RESERVED_TASK):
            if row := _lock_first(sql, search.params, waits=search.waits):
                run_prepared(_TAKE_SLOT, {"task": row[0]})
                return row[0]
    special = ""
    # Only among other work: what came when nothing else is left would be known for what it is.
    if found.counts.is_available:
        kind = kind_at(search.project, search.actor, found.counts.position)
        special = {Kind.GOLD: _FIND_GOLD_TASK, Kind.REPEAT: _FIND_REPEAT}.get(kind, "")
        if special and search.waits:
            # A task that is waited for is looked at again under its lock: that is of a usual one alone.
            if rows := _fetch_all(special, search.params):
                return rows[0][0]
            special = ""
    for batch_id, queue_version, priority, cursor_task_id in found.batches:
        # From the cursor on, then from the top: slots open behind it.
        starts = [(_MAX_PRIORITY, 0)]
        if priority is not None and cursor_task_id is not None:
            starts.insert(0, (priority, cursor_task_id))
        for start in starts:
            row, special = _take_open_task(search, batch_id, *start, special=special), ""
            if row:
                is_near = priority == row[1] and 0 <= row[0] - (cursor_task_id or 0) < CURSOR_STRIDE
                if row[2] and not is_near:
                    _move_cursor(search.actor, batch_id, queue_version, *row[:2])
                return row[0]
    return None


def _take_open_task(
    search: TaskSearch, batch_id: int, priority: int, after_id: int, *, special: str = ""
) -> tuple[int, int, int] | None:
    """(key, priority, required judgments) of the first task with an open slot at this priority behind that key, or
    below the priority; with `special` of what that statement finds, before it.
    """
    params = search.params | {"of_batch": batch_id, "priority": priority, "after": after_id}
    if search.waits:
        row = _lock_first(_FIND_OPEN_TASK, params, waits=True)
        if row is not None:
            run_prepared(_TAKE_SLOT, {"task": row[0]})
    else:
        lock = "FOR NO KEY UPDATE OF t SKIP LOCKED" if connection.vendor == "postgresql" else ""
        rows = _fetch_all(_TAKE_OPEN_TASK.format(lock=lock, special=special or "NULL"), params)
        row = rows[0] if rows else None
    return (row[0], row[1], row[2]) if row else None


def _move_cursor(actor: User, batch_id: int, queue_version: int, task_id: int, priority: int) -> None:
    cursor = QueueCursor(
        annotator_id=actor.pk,
        batch_id=batch_id,
        queue_version=queue_version,
        priority=priority,
        task_id=task_id,
    )
    insert_row(cursor, on_conflict=_MOVE_CURSOR)


def _lock_first(sql: str, params: dict[str, Any], *, waits: bool) -> tuple[Any, ...] | None:
    """The first row the statement finds, locked; without `waits` the first that nobody else has locked."""
    if not waits:
        rows = _fetch_all(sql, params, "FOR NO KEY UPDATE OF t SKIP LOCKED")
        return rows[0] if rows else None
    for _ in range(MAX_LOCK_RETRIES):
        rows = _fetch_all(sql, params)
        if not rows:
            return None
        # One row at a time, and looked at again once it is locked; if it is no longer the first, its lock is let go.
        savepoint = transaction.savepoint()
        _fetch_all(_LOCK_TASK, {"task": rows[0][0]}, "FOR NO KEY UPDATE")
        rechecked = _fetch_all(sql, params)
        if rechecked and rechecked[0][0] == rows[0][0]:
            transaction.savepoint_commit(savepoint)
            return rechecked[0]
        transaction.savepoint_rollback(savepoint)
    return None


def _fetch_all(sql: str, params: dict[str, Any], lock: str = "") -> list[tuple[Any, ...]]:
    """Runs a statement, with a row lock where the database has them (SQLite has one writer at a time anyway)."""
    return run_prepared(f"{sql} {lock}" if connection.vendor == "postgresql" else sql, params)[0]
