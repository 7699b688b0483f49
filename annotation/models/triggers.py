"""Triggers that hold what a constraint cannot say: splits never move, text has no NUL; used by migrations.

A migration that alters these tables on SQLite builds them anew and loses their triggers: it has to run
`install_triggers` and `append_only` again at its end (a test of the database's rules notices).
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
