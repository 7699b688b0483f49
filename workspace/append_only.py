"""Triggers that make the database itself refuse UPDATE and DELETE on a table; used by migrations.

Two ways around them are shut elsewhere: SQLite's INSERT OR REPLACE deletes a row without its triggers unless
`recursive_triggers` is on (config.settings turns it on for every connection of ours), and PostgreSQL's TRUNCATE, which
fires no trigger of a row, has one of its own (`refuse_truncate`). What is left is the owner of the tables, who can
remove any trigger: the site may use a role that owns nothing (docs/architecture.md).
"""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

SQLITE = """
CREATE TRIGGER IF NOT EXISTS {table}_no_{verb} BEFORE {VERB} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
POSTGRESQL_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$
"""
POSTGRESQL = """
DROP TRIGGER IF EXISTS {table}_no_{verb} ON {table};
CREATE TRIGGER {table}_no_{verb} BEFORE {VERB} ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change()
"""


def append_only(table: str) -> migrations.RunPython:
    """A migration operation: rows of `table` can be inserted, never changed or deleted.

    Both databases raise django.db.IntegrityError. Where the triggers are there already nothing changes; a migration
    that makes SQLite build the table anew, and so lose them, runs this again at its end.
    """

    def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        postgresql = schema_editor.connection.vendor == "postgresql"
        if postgresql:
            schema_editor.execute(POSTGRESQL_FUNCTION, params=None)
        for verb in ("update", "delete"):
            sql = POSTGRESQL if postgresql else SQLITE
            schema_editor.execute(sql.format(table=table, verb=verb, VERB=verb.upper()))

    return migrations.RunPython(forwards, migrations.RunPython.noop)


TRUNCATE = """
DROP TRIGGER IF EXISTS {table}_no_truncate ON {table};
CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def refuse_truncate(table: str) -> migrations.RunPython:
    """A migration operation: PostgreSQL refuses TRUNCATE of `table`, also as part of a CASCADE. SQLite has none."""

    def forwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(POSTGRESQL_FUNCTION, params=None)
            schema_editor.execute(TRUNCATE.format(table=table))

    def backwards(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        if schema_editor.connection.vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {table}_no_truncate ON {table}")

    return migrations.RunPython(forwards, backwards)
