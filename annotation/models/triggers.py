"""Triggers that hold what a constraint cannot say: splits never move, text has no NUL; used by migrations.

A judgment is never changed, and deleted only while the import that brings it in is running: an import that breaks off
leaves nothing behind, and one that is done never runs again.

A migration that alters these tables on SQLite builds them anew and loses their triggers: it has to run
`install_triggers`, `append_only` and then `install_import_triggers` again at its end (a test of the database's rules
notices). One that makes SQLite build annotation_import anew has to remove the import triggers first, which speak of it.
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SQLITE = (
    """CREATE TRIGGER IF NOT EXISTS prompt_split_is_frozen
       BEFORE UPDATE OF split ON annotation_prompt WHEN OLD.split IS NOT NEW.split
       BEGIN SELECT RAISE(ABORT, 'the split of a prompt is frozen'); END""",
    # PostgreSQL cannot store NUL in text; SQLite can, and every reader after it would choke.
    """CREATE TRIGGER IF NOT EXISTS response_insert_without_nul
       BEFORE INSERT ON annotation_response WHEN instr(NEW.text, char(0)) > 0
       BEGIN SELECT RAISE(ABORT, 'a response holds a NUL character'); END""",
    """CREATE TRIGGER IF NOT EXISTS response_update_without_nul
       BEFORE UPDATE OF text ON annotation_response WHEN instr(NEW.text, char(0)) > 0
       BEGIN SELECT RAISE(ABORT, 'a response holds a NUL character'); END""",
)
POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION refuse_split_change() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'the split of a prompt is frozen'
       USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    "DROP TRIGGER IF EXISTS prompt_split_is_frozen ON annotation_prompt",
    """CREATE TRIGGER prompt_split_is_frozen BEFORE UPDATE OF split ON annotation_prompt FOR EACH ROW
       WHEN (OLD.split IS DISTINCT FROM NEW.split) EXECUTE FUNCTION refuse_split_change()""",
)


def _install(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for statement in POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE:
        schema_editor.execute(statement)


def install_triggers() -> migrations.RunPython:
    """A migration operation; where the triggers are there already it changes nothing."""
    return migrations.RunPython(_install, migrations.RunPython.noop)


IMPORT_SQLITE = (
    "DROP TRIGGER IF EXISTS annotation_judgment_no_delete",
    """CREATE TRIGGER annotation_judgment_no_delete BEFORE DELETE ON annotation_judgment
       WHEN NOT EXISTS (SELECT 1 FROM annotation_import WHERE id = OLD.from_import_id AND state = 'running')
       BEGIN SELECT RAISE(ABORT, 'annotation_judgment is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS import_is_done_once BEFORE UPDATE OF state ON annotation_import
       WHEN OLD.state <> 'running' AND NEW.state = 'running'
       BEGIN SELECT RAISE(ABORT, 'an import that is done does not run again'); END""",
)
IMPORT_POSTGRESQL = (
    """CREATE OR REPLACE FUNCTION refuse_judgment_delete() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN
         IF EXISTS (SELECT 1 FROM annotation_import WHERE id = OLD.from_import_id AND state = 'running') THEN
           RETURN OLD;
         END IF;
         RAISE EXCEPTION 'annotation_judgment is append-only' USING ERRCODE = 'integrity_constraint_violation';
       END $$""",
    "DROP TRIGGER IF EXISTS annotation_judgment_no_delete ON annotation_judgment",
    """CREATE TRIGGER annotation_judgment_no_delete BEFORE DELETE ON annotation_judgment FOR EACH ROW
       EXECUTE FUNCTION refuse_judgment_delete()""",
    """CREATE OR REPLACE FUNCTION refuse_second_run() RETURNS trigger LANGUAGE plpgsql AS $$
       BEGIN RAISE EXCEPTION 'an import that is done does not run again'
       USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    "DROP TRIGGER IF EXISTS import_is_done_once ON annotation_import",
    """CREATE TRIGGER import_is_done_once BEFORE UPDATE OF state ON annotation_import FOR EACH ROW
       WHEN (OLD.state <> 'running' AND NEW.state = 'running') EXECUTE FUNCTION refuse_second_run()""",
)
_IMPORT_TRIGGER_TABLES = {
    "annotation_judgment_no_delete": "annotation_judgment",
    "import_is_done_once": "annotation_import",
}


def _install_for_imports(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for statement in IMPORT_POSTGRESQL if is_postgresql else IMPORT_SQLITE:
        schema_editor.execute(statement, params=None)


def _remove_for_imports(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    is_postgresql = schema_editor.connection.vendor == "postgresql"
    for name, table in _IMPORT_TRIGGER_TABLES.items():
        schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}" + f" ON {table}" * is_postgresql)


def install_import_triggers() -> migrations.RunPython:
    """A migration operation; backwards it removes them."""
    return migrations.RunPython(_install_for_imports, _remove_for_imports)
