"""The database's clock, and write transactions that wait in order.

SQLite allows one writer, and waiting writers poll for its lock: with fifty threads some waited longer than the
timeout of 20 s ("database is locked") while others wrote again and again. `write_transaction` makes the threads of one
process wait in order instead. Processes still share the lock by polling; they are few.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

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


def database_now_plus(seconds: float) -> Combinable:
    """`seconds` from now by the database's clock, as an expression for a query or an update."""
    return Now() + timedelta(seconds=seconds)
