"""The database's clock, and write transactions that wait in order.

SQLite allows one writer, and waiting writers poll for its lock: with fifty threads some waited longer than the
timeout of 20 s ("database is locked") while others wrote again and again. `write_transaction` makes the threads of one
process wait in order instead. Processes still share the lock by polling; they are few.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from django.db import connection, models, transaction
from django.db.models.expressions import Combinable
from django.db.models.functions import Now
from psycopg import Cursor

P = ParamSpec("P")
R = TypeVar("R")
_writer_lock = threading.RLock()


def write_transaction(action: Callable[P, R]) -> Callable[P, R]:
    """Like transaction.atomic as a decorator, for actions that many threads call at once."""

    @wraps(action)
    def in_transaction(*args: P.args, **kwargs: P.kwargs) -> R:
        # Inside a transaction the database's lock is held already: to wait here would be to wait for a thread that
        # waits for that lock.
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            with _writer_lock, transaction.atomic():
                return action(*args, **kwargs)
        with transaction.atomic():
            return action(*args, **kwargs)

    return in_transaction


def database_now() -> datetime:
    """The database's clock: processes on several machines would not agree on when a lease ends."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # clock_timestamp() moves on while a transaction waits for a lock; now() does not.
            cursor.execute("SELECT clock_timestamp()")
            return cursor.fetchone()[0]
        cursor.execute("SELECT strftime('%%Y-%%m-%%dT%%H:%%M:%%f', 'now')", [])
        return datetime.fromisoformat(cursor.fetchone()[0]).replace(tzinfo=UTC)


def run_prepared(sql: str, params: Sequence[Any] | Mapping[str, Any]) -> tuple[list[tuple[Any, ...]], int]:
    """Runs a constant statement; its rows, and how many it changed or found.

    PostgreSQL plans it once a connection, not each time: that takes longer than a search over several tables itself.
    Parameters have to be cast where their type does not follow from what they are compared with.
    """
    if connection.vendor != "postgresql" or connection.queries_logged or connection.execute_wrappers:
        with connection.cursor() as cursor:
            cursor.execute(sql, params)
            return (cursor.fetchall() if cursor.description else []), cursor.rowcount
    # The driver's own cursor: Django's puts the parameters into the text, so that no two statements are the same.
    connection.validate_no_broken_transaction()
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as own:
        own.execute(sql, params, prepare=True)
        return (own.fetchall() if own.description else []), own.rowcount


@cache
def _insertion(model: type[models.Model]) -> tuple[str, list[models.Field]]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    places = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({places})", fields


def insert_row(row: models.Model, *, on_conflict: str = "", returning: str = "") -> tuple[Any, ...] | None:
    """What `row.save(force_insert=True)` does, at a quarter of its cost: for what every judgment writes.

    Sets the row's key, and returns the further columns named by `returning` (None where nothing was inserted). Sends no
    signals, and makes no savepoint: an IntegrityError ends the caller's transaction.
    """
    sql, fields = _insertion(type(row))
    values = [field.get_db_prep_save(field.pre_save(row, True), connection) for field in fields]
    rows, _ = run_prepared(f"{sql} {on_conflict} RETURNING id{', ' + returning if returning else ''}", values)
    if not rows:
        return None
    found = rows[0]
    row.pk, row._state.adding, row._state.db = found[0], False, connection.alias
    return found[1:]


def database_now_plus(seconds: float) -> Combinable:
    """`seconds` from now by the database's clock, as an expression for a query or an update."""
    return Now() + timedelta(seconds=seconds)
