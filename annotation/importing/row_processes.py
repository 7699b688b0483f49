"""Rows of a large file read and checked by processes beside the import, which gets them in the order of the file.

Every process reads the whole file and checks every so-manieth block of its rows; the import takes a block from each in
turn. They are forked, open no database and end with the import: what they write into a pipe that nobody reads any more
ends them. Where a process cannot go on (a damaged file), the import itself goes on from there, and fails as it would
have without them.
"""

import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, Protocol

from annotation.importing import file_forms
from annotation.importing.checked_rows import CheckedRow, check_row
from annotation.importing.readers.base import Reader
from annotation.importing.readers.row_extras import RowExtras
from annotation.importing.report import ImportRefused
from annotation.importing.sources import Source
from annotation.importing.watching import ROWS_PER_LOOK, Watch, current_watch, watched_by

# A second of work; below it a process more gains nothing.
BYTES_WORTH_PROCESSES = 8_000_000
MAX_PROCESSES = 3
ROWS_PER_BLOCK = 200
# Read by Python alone: a library's threads do not live on in a fork.
_FORMS = (file_forms.JSON_LINES, file_forms.JSON_ARRAY, file_forms.CSV)


class Notes(Protocol):
    """What a reader notes of rows for the end of the import."""

    def noted(self) -> Any: ...

    def note_also(self, noted: Any) -> None:
        """What another process noted."""


def checked_rows(
    source: Source, reader: Reader, extras: RowExtras, notes: Sequence[Notes] = ()
) -> Iterator[CheckedRow]:
    """Of every row of the files, in their order. Raises ImportRefused, ImportStopped."""
    done = 0
    if (number := _number_of_processes(source)) > 1:
        with _Processes(number, source, reader, extras, notes).running() as processes:
            for checked in processes.rows():
                done += 1
                yield checked
        if processes.came_to_the_end:
            return
    with watched_by(Watch()) if done else watched_by(current_watch()):
        for line, row in itertools.islice(source.rows(), done, None):
            yield check_row(reader, extras, line, row)


def _number_of_processes(source: Source) -> int:
    sizes = [file.path.stat().st_size for file in source.files if file.path.is_file()]
    if sum(sizes) < BYTES_WORTH_PROCESSES or len(sizes) < len(source.files):
        return 1
    # A fork holds whatever another thread has locked, for ever.
    if threading.active_count() > 1 or "fork" not in multiprocessing.get_all_start_methods():
        return 1
    if any(file_forms.find_form(file.path)[0] not in _FORMS for file in source.files):
        return 1
    return min(MAX_PROCESSES, len(os.sched_getaffinity(0)))


class _Processes:
    def __init__(
        self, number: int, source: Source, reader: Reader, extras: RowExtras, notes: Sequence[Notes]
    ) -> None:
        self._number, self._source, self._reader, self._extras = number, source, reader, extras
        self._notes = (*notes, extras)
        self._pipes: list[Connection] = []
        self._processes: list[ForkProcess] = []
        self.came_to_the_end = False

    @contextmanager
    def running(self) -> Iterator["_Processes"]:
        fork = multiprocessing.get_context("fork")
        try:
            for place in range(self._number):
                ours, theirs = fork.Pipe(duplex=False)
                self._pipes.append(ours)
                process = fork.Process(target=self._check, args=(place, theirs), daemon=True)
                process.start()
                self._processes.append(process)
                theirs.close()
            yield self
        finally:
            for process in self._processes:
                process.kill()
                process.join()
            for pipe in self._pipes:
                pipe.close()

    def rows(self) -> Iterator[CheckedRow]:
        """To the end of the file, or to where a process could not go on."""
        watch = current_watch()
        watch.begin("checking rows", watch.rows_expected)
        number = 0
        for place in itertools.cycle(range(self._number)):
            block = self._receive(place)
            if block is None:  # it could not go on
                return
            if not block:  # the end of the file: the others have no block after this one
                self._gather_notes(place)
                self.came_to_the_end = True
                return
            for row in block:
                number += 1
                if number % ROWS_PER_LOOK == 0:
                    watch.advance(ROWS_PER_LOOK)
                yield row

    def _receive(self, place: int) -> Any:
        try:
            return self._pipes[place].recv()
        except (EOFError, OSError) as error:
            self._processes[place].join()
            raise ImportRefused(
                f"The import broke off: a process that checks its rows ended (exit code "
                f"{self._processes[place].exitcode}), and nothing of it counts; import again.",
                code="broke_off",
            ) from error

    def _gather_notes(self, first: int) -> None:
        for place in [*range(first, self._number), *range(first)]:
            if place != first:
                self._receive(place)  # its end of the file
            for mine, noted in zip(self._notes, self._receive(place), strict=True):
                mine.note_also(noted)

    def _check(self, place: int, pipe: Connection) -> None:
        """In the process: blocks of checked rows; at the end an empty one, and the notes."""
        for ours in self._pipes:  # or nobody's end is told to the others
            ours.close()
        try:
            with watched_by(Watch()):
                rows = self._source.rows()
                for number in itertools.count():
                    block = list(itertools.islice(rows, ROWS_PER_BLOCK))
                    if not block:
                        break
                    if number % self._number == place:
                        pipe.send([check_row(self._reader, self._extras, line, row) for line, row in block])
            pipe.send([])
            pipe.send([notes.noted() for notes in self._notes])
        except BrokenPipeError:
            os._exit(1)  # the import is not there any more
        except Exception:  # the import comes to the same place itself, and says what is wrong
            pipe.send(None)
