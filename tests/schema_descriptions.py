"""What a database consists of, in an order that does not depend on the way it was made."""

from collections.abc import Iterator

from django.apps import apps
from django.db import connection
from django.db.models import BaseConstraint, Index, Model

# Each row: table, name, what it is. The order of columns is no part of it.
COLUMNS = """
SELECT table_name, column_name, concat_ws(' ', udt_name, character_maximum_length, is_nullable, column_default,
       is_identity, identity_generation, is_generated)
FROM information_schema.columns WHERE table_schema = current_schema()
"""
INDEXES = """
SELECT tablename, indexname, replace(indexdef, indexname, '') FROM pg_indexes WHERE schemaname = current_schema()
"""
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = current_schema()::regnamespace
"""
TRIGGERS = """
SELECT tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION SELECT '', proname, pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
"""


def describe_schema() -> list[str]:
    """A sorted line for each column, constraint, index, trigger and function.

    Without the names of constraints and indexes that no model names: the database chooses them by the names that table
    and column had at the time.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # sqlite_stat1 is there where somebody analysed.
            cursor.execute(
                "SELECT tbl_name, type, sql FROM sqlite_master "
                "WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'sqlite|_%' ESCAPE '|'"
            )
            parts = [part for row in cursor.fetchall() for part in _sqlite_parts(*row)]
        else:
            parts = []
            chosen = {item.name for model in apps.get_models() for item in _named(model)}
            for query in (COLUMNS, TRIGGERS, INDEXES, CONSTRAINTS):
                cursor.execute(query)
                keeps_all = query in (COLUMNS, TRIGGERS)
                for table, name, what in cursor.fetchall():
                    parts.append(f"{table} | {name if keeps_all or name in chosen else ''} | {what}")
    return sorted(" ".join(part.split()) for part in parts)


def _named(model: type[Model]) -> list[BaseConstraint | Index]:
    return [*model._meta.constraints, *model._meta.indexes]


def _sqlite_parts(table: str, kind: str, sql: str) -> Iterator[str]:
    if kind != "table":
        yield f"{table} | {sql}"
        return
    depth, quote, part = 0, "", ""
    for character in sql[sql.index("(") + 1 : sql.rindex(")")]:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        depth += (character == "(") - (character == ")") if not quote else 0
        if character == "," and depth == 0 and not quote:
            yield f"{table} | {part}"
            part = ""
        else:
            part += character
    yield f"{table} | {part}"
