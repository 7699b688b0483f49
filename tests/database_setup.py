"""How the tests' database is made and emptied. All migrations take thirteen seconds of a processor, and every test
process needs a database; every transactional test needs it empty again.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.core.management.commands import flush
from django.db.backends.postgresql.operations import DatabaseOperations as PostgreSQLOperations
from django.db.backends.sqlite3.base import DatabaseOperations as SQLiteOperations
from django.db.backends.sqlite3.creation import DatabaseCreation as SQLiteCreation

# What migrations and `migrate` itself put there; no test changes it, and the next test wants it.
KEPT_TABLES = ("django_content_type", "auth_permission")


def migrations_digest() -> str:
    """Of Django's version and every migration of every installed app: another digest, another database."""
    digest = hashlib.sha256(django.get_version().encode())
    for app in apps.get_app_configs():
        for path in sorted(Path(app.path).glob("migrations/*.py")):
            digest.update(f"\0{app.label}/{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:20]


@contextmanager
def sqlite_database_from_a_file(folder: Path) -> Iterator[None]:
    """The first test process migrates an empty SQLite database and leaves a copy in the folder; all others begin with
    the copy, those of later runs too. `migrate` still looks at it: what is missing would be made.
    """
    template = folder / f"{migrations_digest()}.sqlite3"
    create_empty, create = SQLiteCreation._create_test_db, SQLiteCreation.create_test_db

    def create_from_template(self: SQLiteCreation, *arguments: Any, **options: Any) -> str:
        name = create_empty(self, *arguments, **options)
        if template.is_file():
            shutil.copyfile(template, name)
        return name

    def create_once(self: SQLiteCreation, *arguments: Any, **options: Any) -> str:
        with open(folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            name = create(self, *arguments, **options)
            if not template.is_file():
                for old in folder.glob("*.sqlite3*"):
                    old.unlink()
                new = template.with_suffix(".sqlite3-new")
                with self.connection.cursor() as cursor:
                    cursor.execute("VACUUM INTO %s", [str(new)])
                os.replace(new, template)
        return name

    SQLiteCreation._create_test_db = create_from_template
    SQLiteCreation.create_test_db = create_once
    try:
        yield
    finally:
        SQLiteCreation._create_test_db, SQLiteCreation.create_test_db = create_empty, create


@contextmanager
def quick_flush() -> Iterator[None]:
    """A transactional test empties every table at its end, by DELETE on SQLite and TRUNCATE on PostgreSQL, which the
    append-only triggers refuse: they step aside for the flush alone. Content types and permissions stay, so that they
    need not be made again. On PostgreSQL, where a TRUNCATE of a hundred empty tables writes hundreds of files, rows are
    deleted (by a superuser, as .ci/with-postgres has it: nobody else may be a replica).
    """
    flush_sqlite, flush_postgresql = (
        SQLiteOperations.execute_sql_flush,
        PostgreSQLOperations.execute_sql_flush,
    )
    emit = flush.emit_post_migrate_signal

    def by_delete(self: SQLiteOperations, sql_list: list[str]) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
            triggers = cursor.fetchall()
            for name, _ in triggers:
                cursor.execute(f'DROP TRIGGER "{name}"')
        try:
            flush_sqlite(
                self, [sql for sql in sql_list if not any(f'"{name}"' in sql for name in KEPT_TABLES)]
            )
        finally:
            with self.connection.cursor() as cursor:
                for _, sql in triggers:
                    cursor.execute(sql)

    def without_triggers(self: PostgreSQLOperations, sql_list: list[str]) -> None:
        tables = self.connection.introspection.django_table_names(only_existing=True, include_views=False)
        deletes = [f'DELETE FROM "{name}"' for name in tables if name not in KEPT_TABLES]
        # A replica checks no foreign key either: the order does not matter, everything goes.
        with self.connection.cursor() as cursor:
            cursor.execute(
                ";".join(["BEGIN", "SET LOCAL session_replication_role = replica", *deletes, "COMMIT"])
            )

    SQLiteOperations.execute_sql_flush = by_delete  # type: ignore[method-assign]
    PostgreSQLOperations.execute_sql_flush = without_triggers  # type: ignore[method-assign]
    flush.emit_post_migrate_signal = lambda *arguments, **options: None
    try:
        yield
    finally:
        SQLiteOperations.execute_sql_flush, PostgreSQLOperations.execute_sql_flush = (
            flush_sqlite,
            flush_postgresql,
        )  # type: ignore[method-assign]
        flush.emit_post_migrate_signal = emit
