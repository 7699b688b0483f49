"""The trigger that keeps DayCount in the statement that submits; used by migrations.

It fires for judgments that say their day (those made at the screen), not for imported ones. A migration that makes
SQLite build annotation_assignment anew loses it, and runs `install_day_trigger` at its end (a test notices).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

NAME = "day_count_submit"
_WHEN = "NEW.state = 'submitted' AND OLD.state <> 'submitted' AND NEW.submitted_day IS NOT NULL"
_BODY = """INSERT INTO annotation_daycount (project_id, annotator_id, day, judged)
    SELECT b.project_id, NEW.annotator_id, NEW.submitted_day, 1
    FROM annotation_task t JOIN annotation_batch b ON b.id = t.batch_id
    WHERE t.id = NEW.task_id AND t.purpose <> 'practice'
    ON CONFLICT (project_id, annotator_id, day) DO UPDATE SET judged = annotation_daycount.judged + 1;"""


def _install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor != "postgresql":
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {NAME}", params=None)
        schema_editor.execute(
            f"CREATE TRIGGER {NAME} AFTER UPDATE OF state ON annotation_assignment WHEN {_WHEN} "
            f"BEGIN {_BODY} END",
            params=None,
        )
        return
    schema_editor.execute(
        f"CREATE OR REPLACE FUNCTION {NAME}() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {_BODY} RETURN NULL; END $$",
        params=None,
    )
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {NAME} ON annotation_assignment", params=None)
    schema_editor.execute(
        f"CREATE TRIGGER {NAME} AFTER UPDATE OF state ON annotation_assignment FOR EACH ROW "
        f"WHEN ({_WHEN}) EXECUTE FUNCTION {NAME}()",
        params=None,
    )


def _remove(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(f"DROP TRIGGER IF EXISTS {NAME}" + " ON annotation_assignment" * is_postgresql)
    if is_postgresql:
        schema_editor.execute(f"DROP FUNCTION IF EXISTS {NAME}()")


def install_day_trigger() -> migrations.RunPython:
    """A migration operation; backwards it removes it."""
    return migrations.RunPython(_install, _remove)
