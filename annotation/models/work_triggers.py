"""Triggers that keep WorkCount and TaskTrouble in the statement that changes what they count; used by migrations.

A row of WorkCount is one person's: whoever inserts their judgment may hold it until the commit. Rows of one statement
are written in the order of their keys. A row of TaskTrouble is written by whoever holds its task.

A migration that makes SQLite build annotation_judgment, annotation_assignment or annotation_task anew loses them: it
runs `remove_count_triggers` before and `install_count_triggers` after, which see to these as well (a test notices).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

# The column `hour` holds the beginning of a quarter of an hour.
_KEY = "batch_id, annotator_id, hour"
_COUNTS = ("judgments", "counted", "counted_reserved", "seconds")
# 1 for a judgment that counts. What came with an import was never in the counts, so that nothing of it is taken away.
_COUNTS_NOW = "(CASE WHEN {j}.withdrawn OR {j}.surplus OR {j}.from_import_id IS NOT NULL THEN 0 ELSE 1 END)"
_GAINED = f"""(CASE WHEN t.purpose NOT IN ('normal', 'head_to_head') THEN 0 ELSE
    {_COUNTS_NOW.format(j="n")} - CASE WHEN s.id IS NULL THEN 0 ELSE {_COUNTS_NOW.format(j="s")} END END)"""
_QUARTER = {
    "postgresql": "date_bin('15 minutes', n.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00')",
    "sqlite": """substr(n.created_at, 1, 14)
        || substr('00153045', CAST(substr(n.created_at, 15, 2) AS INTEGER) / 15 * 2 + 1, 2) || ':00'""",
}


def work_of(
    vendor: str, judgments: str, where: str = "true", *, batch: str = "t.batch_id", sign: str = ""
) -> str:
    """What these judgments are in the counts, as a SELECT of a row for each key."""
    return f"""SELECT {batch}, n.annotator_id, {_QUARTER[vendor]},
        {sign}SUM(CASE WHEN n.supersedes_id IS NULL THEN 1 ELSE 0 END),
        {sign}SUM(CASE WHEN t.reserved_for_id IS NULL THEN {_GAINED} ELSE 0 END),
        {sign}SUM(CASE WHEN t.reserved_for_id IS NULL THEN 0 ELSE {_GAINED} END), {sign}SUM(n.seconds)
    FROM {judgments} JOIN annotation_task t ON t.id = n.task_id
    LEFT JOIN annotation_judgment s ON s.id = n.supersedes_id
    WHERE n.from_import_id IS NULL AND {where} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"""


def add_work(select: str) -> str:
    """A statement that adds them."""
    return f"""INSERT INTO annotation_workcount ({_KEY}, {", ".join(_COUNTS)}) {select}
        ON CONFLICT ({_KEY}) DO UPDATE SET
        {", ".join(f"{name} = annotation_workcount.{name} + excluded.{name}" for name in _COUNTS)};"""


_TROUBLE = """INSERT INTO annotation_tasktrouble (task_id, skipped, expired) SELECT NEW.task_id,
        (CASE WHEN NEW.state = 'skipped' THEN 1 ELSE 0 END) - (CASE WHEN OLD.state = 'skipped' THEN 1 ELSE 0 END),
        CASE WHEN OLD.state = 'leased' AND NEW.state = 'expired' THEN 1 ELSE 0 END
    WHERE true ON CONFLICT (task_id) DO UPDATE SET skipped = annotation_tasktrouble.skipped + excluded.skipped,
        expired = annotation_tasktrouble.expired + excluded.expired;"""
_IS_TROUBLE = """OLD.state <> NEW.state AND (OLD.state = 'skipped' OR NEW.state = 'skipped'
    OR (OLD.state = 'leased' AND NEW.state = 'expired'))"""


def _move(vendor: str) -> str:
    """A task goes to another batch: what was judged of it does too."""
    return "".join(
        add_work(
            work_of(vendor, "annotation_judgment n", "n.task_id = NEW.id", batch=f"{row}.batch_id", sign=sign)
        )
        for row, sign in (("OLD", "-"), ("NEW", ""))
    )


_SQLITE = {
    "judgment_work_insert": f"""AFTER INSERT ON annotation_judgment WHEN NEW.from_import_id IS NULL
        BEGIN {add_work(work_of("sqlite", "annotation_judgment n", "n.id = NEW.id"))} END""",
    "task_work_move": f"""AFTER UPDATE OF batch_id ON annotation_task WHEN OLD.batch_id <> NEW.batch_id
        BEGIN {_move("sqlite")} END""",
    "assignment_trouble_update": f"""AFTER UPDATE OF state ON annotation_assignment WHEN {_IS_TROUBLE}
        BEGIN {_TROUBLE} END""",
}
_POSTGRESQL = {
    "judgment_work_insert": (
        "AFTER INSERT ON annotation_judgment REFERENCING NEW TABLE AS added FOR EACH STATEMENT",
        add_work(work_of("postgresql", "added n")),
    ),
    "task_work_move": (
        "AFTER UPDATE OF batch_id ON annotation_task FOR EACH ROW WHEN (OLD.batch_id <> NEW.batch_id)",
        _move("postgresql"),
    ),
    "assignment_trouble_update": (
        f"AFTER UPDATE OF state ON annotation_assignment FOR EACH ROW WHEN ({_IS_TROUBLE})",
        _TROUBLE,
    ),
}
TRIGGERS = tuple(_SQLITE)


def _table(name: str) -> str:
    return f"annotation_{name.split('_')[0]}"


def install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        for name, body in _SQLITE.items():
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}", params=None)
            schema_editor.execute(f"CREATE TRIGGER {name} {body}", params=None)
        return
    for name, (when, body) in _POSTGRESQL.items():
        schema_editor.execute(
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body} RETURN NULL; END $$",
            params=None,
        )
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name} ON {_table(name)}", params=None)
        schema_editor.execute(f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()", params=None)


def remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for name in TRIGGERS:
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + f" ON {_table(name)}" * is_postgresql)
        if is_postgresql:
            schema_editor.execute(f"DROP FUNCTION IF EXISTS {name}()")


def install_work_triggers() -> migrations.RunPython:
    """A migration operation; backwards it removes them."""
    return migrations.RunPython(install, remove)


def _count_again(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    vendor = schema_editor.connection.vendor
    schema_editor.execute("DELETE FROM annotation_workcount", params=None)
    schema_editor.execute(add_work(work_of(vendor, "annotation_judgment n")).rstrip(";"), params=None)


def count_work_again() -> migrations.RunPython:
    """A migration operation, after a change of how it is counted: what is there is counted anew. Backwards nothing:
    what adds up to the same per quarter does so per hour.
    """
    return migrations.RunPython(_count_again, migrations.RunPython.noop)


def _fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    _count_again(apps, schema_editor)
    schema_editor.execute(
        """INSERT INTO annotation_tasktrouble (task_id, skipped, expired) SELECT task_id,
            SUM(CASE WHEN state = 'skipped' THEN 1 ELSE 0 END), SUM(CASE WHEN state = 'expired' THEN 1 ELSE 0 END)
        FROM annotation_assignment WHERE state IN ('skipped', 'expired') GROUP BY task_id""",
        params=None,
    )


def fill_work_counts() -> migrations.RunPython:
    """A migration operation, once: from the rows that are there."""
    return migrations.RunPython(_fill, migrations.RunPython.noop)
