"""Who watches an import from outside: how far it is, whether it should stop, and whether it should only be checked.

Commands watch nothing. The worker's process puts a Watch around an import; the import tells it where it stands, and
ends where the watch says so. What it has written by then is cleared as after any failure.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from annotation.importing.report import ImportReport
from runs.models import Run

ROWS_PER_LOOK = 500


class ImportStopped(Exception):
    """The watch asked the import to leave; nothing of it stays."""


class OnlyChecked(Exception):
    """Every row was read and checked, and that was all that was wanted; `report` has what was found."""

    def __init__(self, report: ImportReport) -> None:
        super().__init__("only checked")
        self.report = report


@dataclass
class Watch:
    """`say(stage, done, total)` is called every few hundred rows; `stop_requested` is asked then."""

    check_only: bool = False
    run: Run | None = None  # that brings the rows in: the import's row names it
    say: Callable[[str, int, int | None], None] = lambda stage, done, total: None
    stop_requested: Callable[[], bool] = lambda: False
    rows_expected: int | None = None
    _stage: str = ""
    _done: int = 0
    _total: int | None = None

    def begin(self, stage: str, total: int | None) -> None:
        self._stage, self._done, self._total = stage, 0, total
        self._look()

    def advance(self, number: int) -> None:
        self._done += number
        self._look()

    def _look(self) -> None:
        if self.stop_requested():
            raise ImportStopped
        self.say(self._stage, self._done, self._total)


_current: ContextVar[Watch | None] = ContextVar("watch of the import", default=None)


def current_watch() -> Watch:
    return _current.get() or Watch()


@contextmanager
def watched_by(watch: Watch) -> Iterator[None]:
    token = _current.set(watch)
    try:
        yield
    finally:
        _current.reset(token)


def end_check(report: ImportReport) -> None:
    """Call it where all is checked and nothing is written yet. Raises OnlyChecked where no more is wanted."""
    if current_watch().check_only:
        raise OnlyChecked(report)
