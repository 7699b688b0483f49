"""Triggers that keep TaskCount in the statement that changes what it counts; used by migrations.

Whoever changes an assignment's state or a task's slots holds the task's row, so a trigger sees all that belongs to it.
Lines of many rows at once (imports) are one row a batch on PostgreSQL.

A migration that makes SQLite build annotation_task or annotation_assignment anew loses them, and is stopped by those
that speak of the table: it runs `remove_count_triggers` before and `install_count_triggers` after (a test notices).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from annotation.models import work_triggers

# An assignment in another state keeps its task from being offered to the same person again.
_BLOCKS = "{a}.state NOT IN ('expired', 'taken_back')"
_ADD = "INSERT INTO annotation_taskcount (batch_id, annotator_id, available, submitted)"


def _blocks(alias: str) -> str:
    return _BLOCKS.format(a=alias)


def _task_counts(row: str, sign: str) -> str:
    """Adds (or with "-" takes away) what a task with an open slot is in the counts."""
    own = f"FROM annotation_assignment a WHERE a.task_id = {row}.id AND {_blocks('a')}"
    return f"""{_ADD}
        SELECT {row}.batch_id, COALESCE({row}.reserved_for_id, 0), {sign}1, 0 WHERE {row}.open_slots > 0
            AND ({row}.reserved_for_id IS NULL
                OR NOT EXISTS (SELECT 1 {own} AND a.annotator_id = {row}.reserved_for_id))
        UNION ALL SELECT {row}.batch_id, a.annotator_id, -({sign}1), 0 {own}
            AND {row}.open_slots > 0 AND {row}.reserved_for_id IS NULL;"""


def _submitted_counts(row: str, sign: str) -> str:
    """The same for the submitted assignments of a task."""
    return f"""{_ADD}
        SELECT {row}.batch_id, a.annotator_id, 0, {sign}1 FROM annotation_assignment a
        WHERE a.task_id = {row}.id AND a.state = 'submitted';"""


def _assignment_counts(row: str, sign: str) -> str:
    """The same for an assignment: it blocks its task for its person, and may be submitted."""
    return f"""{_ADD}
        SELECT t.batch_id, {row}.annotator_id,
            CASE WHEN {_blocks(row)} AND t.open_slots > 0
                AND (t.reserved_for_id IS NULL OR t.reserved_for_id = {row}.annotator_id) THEN -({sign}1) ELSE 0 END,
            CASE WHEN {row}.state = 'submitted' THEN {sign}1 ELSE 0 END
        FROM annotation_task t WHERE t.id = {row}.task_id AND ({row}.state = 'submitted' OR ({_blocks(row)}
            AND t.open_slots > 0 AND (t.reserved_for_id IS NULL OR t.reserved_for_id = {row}.annotator_id)));"""


# Of an assignment that goes from one state to another: the difference, no row where there is none.
_STATE_CHANGE = f"""{_ADD}
    SELECT t.batch_id, NEW.annotator_id,
        CASE WHEN t.open_slots > 0 AND (t.reserved_for_id IS NULL OR t.reserved_for_id = NEW.annotator_id)
            THEN (CASE WHEN {_blocks("OLD")} THEN 1 ELSE 0 END) - (CASE WHEN {_blocks("NEW")} THEN 1 ELSE 0 END)
            ELSE 0 END,
        (CASE WHEN NEW.state = 'submitted' THEN 1 ELSE 0 END) - (CASE WHEN OLD.state = 'submitted' THEN 1 ELSE 0 END)
    FROM annotation_task t WHERE t.id = NEW.task_id
        AND ((OLD.state = 'submitted' OR NEW.state = 'submitted') OR (t.open_slots > 0
            AND (CASE WHEN {_blocks("OLD")} THEN 1 ELSE 0 END) <> (CASE WHEN {_blocks("NEW")} THEN 1 ELSE 0 END)));"""

_OPENS_OR_MOVES = """(OLD.open_slots > 0) IS {not_equal} (NEW.open_slots > 0)
    OR OLD.batch_id <> NEW.batch_id OR OLD.reserved_for_id IS {not_equal} NEW.reserved_for_id"""
_TASK_CHANGE = _task_counts("OLD", "-") + _task_counts("NEW", "+")
_TASK_MOVE = _submitted_counts("OLD", "-") + _submitted_counts("NEW", "+")

_SQLITE = {
    "task_count_insert": f"AFTER INSERT ON annotation_task BEGIN {_task_counts('NEW', '+')} END",
    "task_count_delete": f"AFTER DELETE ON annotation_task BEGIN {_task_counts('OLD', '-')} END",
    "task_count_update": f"""AFTER UPDATE OF open_slots, batch_id, reserved_for_id ON annotation_task
        WHEN {_OPENS_OR_MOVES.format(not_equal="NOT")} BEGIN {_TASK_CHANGE} END""",
    "task_count_move": f"""AFTER UPDATE OF batch_id ON annotation_task WHEN OLD.batch_id <> NEW.batch_id
        BEGIN {_TASK_MOVE} END""",
    "assignment_count_insert": f"""AFTER INSERT ON annotation_assignment
        BEGIN {_assignment_counts("NEW", "+")} END""",
    "assignment_count_delete": f"""AFTER DELETE ON annotation_assignment
        BEGIN {_assignment_counts("OLD", "-")} END""",
    "assignment_count_update": f"""AFTER UPDATE OF state ON annotation_assignment WHEN OLD.state <> NEW.state
        BEGIN {_STATE_CHANGE} END""",
}

# name: (when, for each, body)
_POSTGRESQL = {
    "task_count_insert": (
        "AFTER INSERT ON annotation_task REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        # A new task has no assignments.
        f"""{_ADD} SELECT n.batch_id, COALESCE(n.reserved_for_id, 0), count(*), 0 FROM added n WHERE n.open_slots > 0
            GROUP BY n.batch_id, COALESCE(n.reserved_for_id, 0);""",
    ),
    "task_count_delete": (
        "AFTER DELETE ON annotation_task FOR EACH ROW",
        _task_counts("OLD", "-"),
    ),
    "task_count_update": (
        f"""AFTER UPDATE OF open_slots, batch_id, reserved_for_id ON annotation_task FOR EACH ROW
            WHEN ({_OPENS_OR_MOVES.format(not_equal="DISTINCT FROM")})""",
        _TASK_CHANGE,
    ),
    "task_count_move": (
        """AFTER UPDATE OF batch_id ON annotation_task FOR EACH ROW WHEN (OLD.batch_id <> NEW.batch_id)""",
        _TASK_MOVE,
    ),
    "assignment_count_insert": (
        "AFTER INSERT ON annotation_assignment REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        f"""{_ADD} SELECT t.batch_id, n.annotator_id,
                -count(*) FILTER (WHERE {_blocks("n")} AND t.open_slots > 0
                    AND (t.reserved_for_id IS NULL OR t.reserved_for_id = n.annotator_id)),
                count(*) FILTER (WHERE n.state = 'submitted')
            FROM added n JOIN annotation_task t ON t.id = n.task_id
            WHERE n.state = 'submitted' OR (t.open_slots > 0 AND {_blocks("n")}
                AND (t.reserved_for_id IS NULL OR t.reserved_for_id = n.annotator_id))
            GROUP BY t.batch_id, n.annotator_id;""",
    ),
    "assignment_count_delete": (
        "AFTER DELETE ON annotation_assignment FOR EACH ROW",
        _assignment_counts("OLD", "-"),
    ),
    "assignment_count_update": (
        "AFTER UPDATE OF state ON annotation_assignment FOR EACH ROW WHEN (OLD.state <> NEW.state)",
        _STATE_CHANGE,
    ),
}


def _table(name: str) -> str:
    return f"annotation_{name.split('_')[0]}"


def _install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        for name, body in _SQLITE.items():
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}", params=None)
            schema_editor.execute(f"CREATE TRIGGER {name} {body}", params=None)
        _install_of_work(apps, schema_editor)
        return
    for name, (when, body) in _POSTGRESQL.items():
        schema_editor.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body} RETURN NULL; END $$",
            params=None,
        )
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {_table(name)}", params=None)
        # A condition stands between FOR EACH ROW and EXECUTE.
        schema_editor.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()", params=None)
    _install_of_work(apps, schema_editor)


def _install_of_work(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Those of work speak of the same tables, and came later."""
    if "annotation_workcount" in schema_editor.connection.introspection.table_names():
        work_triggers.install(apps, schema_editor)


def _remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    work_triggers.remove(apps, schema_editor)
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for name in _SQLITE:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + f" ON {_table(name)}" * is_postgresql)
        if is_postgresql:
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}()")


def install_count_triggers() -> migrations.RunPython:
    """A migration operation; backwards it removes them."""
    return migrations.RunPython(_install, _remove)


def remove_count_triggers() -> migrations.RunPython:
    """The opposite."""
    return migrations.RunPython(_remove, _install)
