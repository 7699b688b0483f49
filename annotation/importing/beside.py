"""Calls in a thread with a database connection of its own, one after the other, beside the thread that gives them."""

import queue
from collections.abc import Callable
from threading import Thread
from types import TracebackType
from typing import Self

from django.db import connection


class Beside:
    """With `with`: at its end all calls are done, or the first error among them is raised; after an error, here or
    there, no further call is begun. A caller is at most one call ahead of the one that waits.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue(maxsize=1)
        self._problem: BaseException | None = None
        self._given_up = False
        self._thread = Thread(target=self._run, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def call(self, function: Callable[[], None]) -> None:
        """Raises what an earlier call raised."""
        self._calls.put(function)
        if self._problem is not None:
            raise self._problem

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up = error is not None
        self._calls.put(None)
        self._thread.join()
        if error is None and self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            while (function := self._calls.get()) is not None:
                if self._problem is None and not self._given_up:
                    try:
                        function()
                    except BaseException as problem:  # raised in the thread that gave the call
                        self._problem = problem
        finally:
            connection.close()
