"""Write transactions of the hot paths, queued in turn on SQLite.

SQLite lets one writer in at a time, and those who wait poll for the lock: with fifty threads some waited for longer
than the timeout of 20 s ("database is locked") while others wrote again and again. So the threads of one process
queue here, in front of the database. Processes still share the lock by polling; they are few.
"""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import connection, transaction

P = ParamSpec("P")
R = TypeVar("R")
_turn = threading.RLock()


def in_turn(action: Callable[P, R]) -> Callable[P, R]:
    """Like transaction.atomic as a decorator."""

    @wraps(action)
    def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
        # Inside a transaction the database's lock is held already: to wait for a turn would be to wait for somebody
        # who waits for that lock.
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            with _turn, transaction.atomic():
                return action(*args, **kwargs)
        with transaction.atomic():
            return action(*args, **kwargs)

    return waiting
