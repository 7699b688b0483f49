"""The database written into one file as it is at one moment, while people go on judging, and read back.

SQLite: its backup API, one step under one read transaction (a copy of the file alone would miss what is in the -wal).
PostgreSQL: pg_dump and pg_restore of a snapshot that also answers what the backup asks, so that all of it is of one
moment.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection, transaction
from django.db.backends.postgresql.client import DatabaseClient

from maintenance.backups.errors import BackupError
from maintenance.backups.object_store import private_file
from maintenance.backups.references import Query

DATABASE_FILE = "roundtable.sqlite3"
_CLIENT_NAMES = {"PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "TZ"}
# These name a site that is in use; all other rows hang on them, or migrations write them.
TABLES_OF_A_SITE_IN_USE = ("workspace_user", "workspace_project")


@dataclass(frozen=True, kw_only=True)
class DatabaseState:
    """What a database is, for the manifest, and for the comparison after a restore."""

    server_version: str
    migrations: tuple[str, ...]
    rows: dict[str, int]
    triggers: tuple[str, ...]


@contextmanager
def dumped_database(target: Path) -> Iterator[Query]:
    """Writes the dump to `target`; yields a function that asks the very rows that were dumped.

    Raises BackupError when the client programs of PostgreSQL are missing or refuse.
    """
    with _sqlite_dump(target) if connection.vendor == "sqlite" else _postgresql_dump(target) as query:
        yield query


@contextmanager
def _sqlite_dump(target: Path) -> Iterator[Query]:
    private_file(target).close()
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        try:
            with closing(sqlite3.connect(connection.settings_dict["NAME"], timeout=60)) as source:
                # All pages in one step: in several, a write between two of them begins the copy anew, for ever.
                source.backup(copy, pages=-1)
            # One file that needs no other beside it; who opens it next may turn WAL on again.
            copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise BackupError(f"The database could not be copied: {error}.") from error
        yield lambda sql: copy.execute(sql).fetchall()


@contextmanager
def _postgresql_dump(target: Path) -> Iterator[Query]:
    private_file(target).close()
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        snapshot = cursor.fetchone()[0]
        _run_client(
            "pg_dump",
            [
                "--format=custom",
                "--no-owner",
                "--no-privileges",
                f"--snapshot={snapshot}",
                f"--file={target}",
            ],
            "The database could not be dumped",
        )

        def query(sql: str) -> Sequence[Sequence[Any]]:
            cursor.execute(sql)
            return cursor.fetchall()

        yield query


def query_database(sql: str) -> Sequence[Sequence[Any]]:
    """Ask the site's own database."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def describe_database(query: Query) -> DatabaseState:
    if connection.vendor == "sqlite":
        tables = query(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite|_%' ESCAPE '|'"
        )
        triggers = query("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        version = query("SELECT sqlite_version()")
    else:
        tables = query("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
        triggers = query(
            "SELECT t.tgname || ' on ' || c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND n.nspname = current_schema()"
        )
        version = query("SHOW server_version")
    names = sorted(str(name) for (name,) in tables)
    migrations = query("SELECT app, name FROM django_migrations") if "django_migrations" in names else []
    return DatabaseState(
        server_version=str(version[0][0]),
        migrations=tuple(sorted(f"{app}.{name}" for app, name in migrations)),
        rows={name: int(query(f'SELECT count(*) FROM "{name}"')[0][0]) for name in names},
        triggers=tuple(sorted(str(name) for (name,) in triggers)),
    )


def require_empty_database() -> None:
    """Raises BackupError when the site has a user or a project. A freshly migrated database is empty."""
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        return
    tables = connection.introspection.table_names()
    for table in TABLES_OF_A_SITE_IN_USE:
        if table in tables and query_database(f"SELECT 1 FROM {table} LIMIT 1"):
            raise BackupError(
                "The database is in use (it has users or projects): nothing is overwritten. Restore into an empty "
                "database and an empty data folder (ROUNDTABLE_DATABASE_URL, ROUNDTABLE_DATA_DIR)."
            )
    strange = sorted(set(tables) - set(connection.introspection.django_table_names()) - {"django_migrations"})
    if strange:
        raise BackupError(
            f"The database has tables of something else ({', '.join(strange[:3])}): restore into an empty one."
        )


def load_database(dump: Path) -> None:
    """The dump takes the place of the empty database. Raises BackupError; then the database is empty."""
    if connection.vendor == "sqlite":
        connection.close()
        database = Path(connection.settings_dict["NAME"])
        partial = database.with_name(f".{database.name}.restoring")
        partial.unlink(missing_ok=True)
        with open(dump, "rb") as source, private_file(partial) as target:
            shutil.copyfileobj(source, target, 1024 * 1024)
            target.flush()
            os.fsync(target.fileno())
        for beside in ("-wal", "-shm", "-journal"):
            database.with_name(database.name + beside).unlink(missing_ok=True)
        partial.replace(database)
        return
    _drop_everything()
    connection.close()
    _run_client(
        "pg_restore",
        ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction", str(dump)],
        "The database could not be restored",
        database_option=True,
    )


def _drop_everything() -> None:
    """What `migrate` made in the empty database: the dump brings its own."""
    with transaction.atomic(durable=True), connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"DROP TABLE IF EXISTS {connection.ops.quote_name(table)} CASCADE")
        cursor.execute(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname = current_schema() AND p.prokind = 'f' AND NOT EXISTS "
            "(SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
        )
        for (function,) in cursor.fetchall():
            cursor.execute(f"DROP FUNCTION IF EXISTS {function} CASCADE")


def dump_fault(vendor: str, dump: Path) -> str | None:
    """Why a dump whose hash is right cannot be read all the same; None when it can."""
    if vendor == "sqlite":
        with closing(sqlite3.connect(f"{dump.absolute().as_uri()}?immutable=1", uri=True)) as opened:
            try:
                answer = opened.execute("PRAGMA quick_check").fetchone()[0]
            except sqlite3.Error as error:
                answer = str(error)
        return None if answer == "ok" else f"the database in it is damaged: {answer}"
    program = shutil.which("pg_restore")
    if program is None:
        return None
    done = subprocess.run([program, "--list", str(dump)], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"the database in it is damaged: {_last_line(done.stderr)}"


def require_client_programs() -> None:
    """Raises BackupError when PostgreSQL's pg_dump and pg_restore are not on this machine."""
    if connection.vendor == "postgresql":
        for name in ("pg_dump", "pg_restore"):
            if shutil.which(name) is None:
                raise BackupError(
                    f"{name} is not installed here: install PostgreSQL's client programs of the server's version or a "
                    "later one (Debian: apt-get install postgresql-client)."
                )


def _client_environment(source: Mapping[str, str]) -> dict[str, str]:
    """What PostgreSQL's programs are told: where things lie, the language, their own settings; none of our secrets."""
    return {name: value for name, value in source.items() if name in _CLIENT_NAMES or name.startswith("PG")}


def _run_client(name: str, arguments: list[str], what: str, *, database_option: bool = False) -> None:
    """Raises BackupError with the program's own last words. Passwords go through the environment."""
    require_client_programs()
    database = connection.settings_dict
    options, environment = DatabaseClient.settings_to_cmd_args_env(database, [])
    place = options[1:-1] + [f"--dbname={options[-1]}"] if database_option else options[1:]
    # Options come before names: some builds stop reading options at the first name.
    command = (
        [name, "--no-password", *place, *arguments]
        if database_option
        else [name, "--no-password", *arguments, *place]
    )
    done = subprocess.run(
        command,
        env=_client_environment(os.environ) | (environment or {}),
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise BackupError(f"{what}: {_last_line(done.stderr) or f'{name} ended with {done.returncode}'}.")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    # The first error is the cause; the lines after it are what followed from it.
    found = [line for line in lines if "error:" in line] or lines[-1:]
    return found[0].rstrip(".")[:400] if found else ""
