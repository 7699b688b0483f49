"""Leaves SQLite to others between the long transactions of an import, or of whatever writes as much.

SQLite has one writer, and who waits for it looks every tenth of a second whether it is free. An import that wrote again
at once kept fifty people waiting for 24 s, until it had ended. PostgreSQL needs nothing of this.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

# As long as SQLite lets a waiting writer sleep before it looks again.
LOOK_S = 0.1


class Turns:
    """Where somebody else has written since the last transaction, others have the database after the next one, as long
    as they go on writing, at most as long as the transaction took. Nobody there costs nothing.
    """

    def __init__(self) -> None:
        self._shares = connection.vendor == "sqlite" and not connection.in_atomic_block
        self._version = self._read_version()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around one transaction, not inside it."""
        begun = time.monotonic()
        yield
        if self._shares:
            self._let_others_write(time.monotonic() - begun)

    def _let_others_write(self, seconds: float) -> None:
        until = time.monotonic() + max(seconds, LOOK_S)
        while self._others_wrote() and time.monotonic() < until:
            time.sleep(LOOK_S)

    def _others_wrote(self) -> bool:
        """Since this was asked last."""
        before, self._version = self._version, self._read_version()
        return before != self._version

    def _read_version(self) -> int:
        """It changes with what other connections write, and not with what this one does."""
        if not self._shares:
            return 0
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            return int(cursor.fetchone()[0])
