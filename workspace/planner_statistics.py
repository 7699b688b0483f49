"""What the database knows of its tables when it chooses how to answer a query."""

from collections.abc import Iterable
from queue import Empty, SimpleQueue
from threading import Thread

from django.apps import apps
from django.db import DatabaseError, connection, models

# SQLite looks at so many rows of each index, and no more, however large the table is.
SQLITE_ROWS_AN_INDEX = 1000


def refresh_statistics(
    tables: Iterable[type[models.Model]] | None = None, *, two_at_once: bool = False
) -> None:
    """Count anew what planning goes by, for `tables` or all of the site. Not in a transaction.

    SQLite never does it by itself: without it, lists over a project of 100,000 judgments took ten times as long.
    PostgreSQL does within minutes of a large change, too late for what follows an import at once. Statistics change no
    result, so a database that is busy or away keeps those that it has. `two_at_once`: for somebody who waits, on
    PostgreSQL by a second connection.
    """
    quote = connection.ops.quote_name
    names: SimpleQueue[str] = SimpleQueue()
    for model in sorted(tables or apps.get_models(), key=lambda model: model._meta.db_table):
        if model._meta.managed:
            names.put(quote(model._meta.db_table))
    if connection.vendor != "postgresql" or not two_at_once:
        _look_at(names)
        return
    other = Thread(target=_look_at_beside, args=(names,), name="planner statistics")
    other.start()
    try:
        _look_at(names)
    finally:
        other.join()


def _look_at(names: SimpleQueue[str]) -> None:
    """Those that are left. One statement a table: nobody who writes waits for all of them."""
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute(f"PRAGMA analysis_limit = {SQLITE_ROWS_AN_INDEX}")
            while True:
                cursor.execute(f"ANALYZE {names.get_nowait()}")
    except (DatabaseError, Empty):
        return


def _look_at_beside(names: SimpleQueue[str]) -> None:
    try:
        _look_at(names)
    finally:
        connection.close()
