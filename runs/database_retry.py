"""Database writes that wait for a database that is away: a command must not be lost to a restart of the database."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

logger = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE_UNAVAILABLE_ERRORS = (OperationalError, InterfaceError)
# A database that answers and still refuses the same write this often is not "away": the fault is in the write.
MAX_WRITE_ATTEMPTS = 5


class WorkerStopping(Exception):
    """The worker was asked to stop and the database does not answer: leave; the lease lapses by itself."""


def retry_database_write(
    write: Callable[[], T],
    *,
    description: str,
    pause_seconds: float,
    stop_requested: Callable[[], bool],
    stop_grace_seconds: float,
) -> T:
    """Do a write, waiting for a database that is away. Raises WorkerStopping when the worker was asked to stop and
    has waited for its grace time.
    """
    refusals, since = 0, time.monotonic()
    while True:
        try:
            return write()
        except DATABASE_UNAVAILABLE_ERRORS as error:
            drop_broken_connection()
            refusals += database_is_available()
            if refusals >= MAX_WRITE_ATTEMPTS:
                raise
            if stop_requested() and time.monotonic() - since > stop_grace_seconds:
                raise WorkerStopping from error
            logger.warning("%s: waiting for the database (%s)", description, error)
            time.sleep(pause_seconds)


def drop_broken_connection() -> None:
    if not connection.in_atomic_block:
        connection.close()


def database_is_available() -> bool:
    """Whether a transaction can be opened: on SQLite that takes the write lock, so a locked file is "away" too."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_UNAVAILABLE_ERRORS:
        drop_broken_connection()
        return False
    return True
