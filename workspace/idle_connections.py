"""A web worker's database connections, given back where nobody asks for pages.

Each thread keeps its connection, which costs nothing a request; a pool of connections took 0.2 ms of each. But Django
looks at a connection's age only when its thread serves again, so that after a busy hour a site would keep as many as
it has threads from everybody else, for good.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

IDLE_SECONDS = 60.0

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class _ThreadConnection:
    """The connection of one thread. Whoever holds `lock` may use it, or close it; a thread that serves need not."""

    def __init__(self, database: BaseDatabaseWrapper) -> None:
        self.database = database
        self.lock = threading.Lock()
        self.serves = False
        self.used_at = time.monotonic()
        # Closed by another thread, and only while its own serves nothing.
        database.inc_thread_sharing()


class GivesBackIdleConnections:
    """Wraps the application; after `idle_seconds` without a request a thread's connection is closed."""

    def __init__(self, application: Application, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self.application, self.idle_seconds = application, idle_seconds
        self._own = threading.local()
        self._all: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._guard = threading.Lock()
        self._watched = False

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        own: _ThreadConnection | None = getattr(self._own, "connection", None)
        if own is None:
            own = self._own.connection = _ThreadConnection(connections[connection.alias])
            self._register(own)
        with own.lock:
            own.serves = True
        try:
            response = self.application(environ, start_response)
            if getattr(response, "streaming", False):
                # A file: the server reads and closes it, maybe in another thread; the database is asked no more.
                return response
            # The server would close it in another thread, where Django looked after that thread's connection.
            try:
                return [b"".join(response)]
            finally:
                response.close()  # type: ignore[attr-defined]
        finally:
            own.used_at, own.serves = time.monotonic(), False

    def _register(self, own: _ThreadConnection) -> None:
        with self._guard:
            self._all.add(own)
            if not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, name="idle-connections", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(self.idle_seconds / 4)
            self.close_idle()

    def close_idle(self) -> int:
        """How many were closed."""
        with self._guard:
            known = list(self._all)
        closed = 0
        for own in known:
            with own.lock:
                idle = not own.serves and time.monotonic() - own.used_at >= self.idle_seconds
                if idle and own.database.connection is not None:
                    own.database.close()
                    closed += 1
        return closed
