"""SQLite's statements of many rows in a thread, while the thread that made their rows goes on with the next ones.

SQLite stores without Python's lock: on two processors making rows and storing them take as long as the longer of both.
One connection, one transaction, and every statement in the order in which it was given: rows of `insert_values` and
savepoints wait in a queue; whatever else writes waits until the queue is empty, and so does whoever reads a table that
has rows in it. What SQLite refuses is raised by the next that waits, at the latest at the end of the transaction.
"""

import queue
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any

from django.db import connection, transaction

MAX_WAITING = 32  # statements; of 200 rows each
# After each statement the thread waits for Python's lock, by default up to 5 ms, as long as it stored.
SWITCH_SECONDS = 0.0005
PAGES_PER_CHECKPOINT = 16_000  # 64 MB of SQLite's log

_of_thread = threading.local()


def current_writes() -> "WritesBeside | None":
    """Those that take this thread's statements now."""
    return getattr(_of_thread, "writes", None)


class WritesBeside:
    """Begun by `writes_beside`; takes statements within `transaction` only."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[tuple[str, str, Sequence[Any]] | None] = queue.Queue(maxsize=MAX_WAITING)
        self._tables: set[str] = set()  # that have rows in the queue
        self._last_keys: dict[str, int] | None = None
        self._problem: BaseException | None = None
        self._discards = False
        self._thread = Thread(target=self._run, name="writes beside")

    def start(self) -> None:
        connection.ensure_connection()
        self._connection = connection.connection
        self._thread.start()

    def end(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Inside `transaction.atomic`, around everything of it: at its end all is stored, or nothing waits any more."""
        if _of_thread.writes is not None or not connection.in_atomic_block or self._discards:
            raise transaction.TransactionManagementError(
                "Writes go beside in one transaction at a time, and not after one that failed."
            )
        _of_thread.writes = self
        try:
            with connection.execute_wrapper(self._execute):
                yield
            self.wait()
        except BaseException:
            self._discards = True
            self._waiting.join()
            raise
        finally:
            _of_thread.writes = None

    def insert(self, table: str, statement: str, values: Sequence[Any], *, with_keys: bool) -> None:
        self._tables.add(table)
        if not with_keys and self._last_keys is not None:
            self._last_keys.pop(table, None)
        self._waiting.put((table, statement, values))

    def reserve_keys(self, table: str, number: int) -> list[int]:
        """As bulk_insert.reserve_keys: the transaction's lock keeps them, and rows that wait have theirs already."""
        if self._last_keys is None or table not in self._last_keys:
            self.wait()
            with connection.cursor() as cursor:
                cursor.execute("SELECT name, seq FROM sqlite_sequence")
                found = dict(cursor.fetchall())
            self._last_keys = {name: found.get(name, 0) for name in {*found, table}}
        last = self._last_keys[table]
        self._last_keys[table] = last + number
        return list(range(last + 1, last + number + 1))

    def wait(self) -> None:
        """Until everything is stored. Raises what a statement raised, as Django does."""
        self._waiting.join()
        self._tables.clear()
        self._last_keys = None
        if self._problem is not None:
            with connection.wrap_database_errors:
                raise self._problem

    def _execute(
        self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        """Of every statement of Django's in the transaction."""
        if sql.startswith(("SAVEPOINT ", "RELEASE SAVEPOINT ")):
            self._waiting.put(("", sql, ()))
            return None
        if sql.split(None, 1)[0] != "SELECT" or any(table in sql for table in self._tables):
            self.wait()
        return execute(sql, params, many, context)

    def _run(self) -> None:
        while (item := self._waiting.get()) is not None:
            try:
                if self._problem is None and not self._discards:
                    self._connection.execute(*item[1:])
            except BaseException as problem:  # raised in the thread that waits
                self._problem = problem
            finally:
                self._waiting.task_done()


@contextmanager
def writes_beside() -> Iterator[WritesBeside]:
    """On SQLite, around several transactions; after an error in one of them nothing more can be written here."""
    writes = WritesBeside()
    _of_thread.writes = None
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    writes.start()
    try:
        yield writes
    finally:
        writes.end()
        sys.setswitchinterval(before)


@contextmanager
def rare_checkpoints() -> Iterator[None]:
    """SQLite moves what is written from its log into the database more seldom meanwhile: a page of an index by hash is
    written anew by nearly every chunk.
    """
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint")
        (usual,) = cursor.fetchone()
        cursor.execute(f"PRAGMA wal_autocheckpoint = {PAGES_PER_CHECKPOINT}")
        try:
            yield
        finally:
            cursor.execute(f"PRAGMA wal_autocheckpoint = {usual}")
