"""Chunks of an import stored by several processes, each with a connection of its own, where the database takes several
writers: two threads would share Python's lock, and making rows is half of the work.

Storing a chunk has steps, a transaction each. Those in turn are done for one chunk after the other, in the order of the
chunks: a prompt is stored by the first chunk that has it, and keys are in the order of the file. The last waits for
nobody. The processes are forked. After an error in one of them no further step in turn is begun; what is in stays with
the import, which nobody sees before it is done.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from types import TracebackType
from typing import Any, Self

from django.db import connection, connections

from annotation.importing.report import ImportRefused
from workspace.web_server import end_with_parent

MAX_PROCESSES = 3  # what is in turn takes a quarter of a chunk's time each
_TURN = b"your turn"


def can_store_beside() -> bool:
    """Whether this process can fork others that write into its database."""
    return (
        connection.vendor == "postgresql"
        # Nobody else sees what a caller's transaction has written.
        and not connection.in_atomic_block
        # A fork holds whatever another thread has locked, for ever.
        and threading.active_count() == 1
        and "fork" in multiprocessing.get_all_start_methods()
    )


class _GaveUp(Exception):
    """Another process goes no further."""


class StoringProcesses:
    """With `with`: at its end every chunk is stored, or the first error is raised and all processes have ended.

    `prepare` makes of a chunk what the first of `in_turn` gets; each further step gets that and what the steps before
    it made, `last` too. `number`: of processes; without it one more than there are processors, for while one waits for
    its turn or for the disk, at most MAX_PROCESSES.
    """

    def __init__(
        self,
        prepare: Callable[[Any], Any],
        in_turn: Sequence[Callable[..., Any]],
        last: Callable[..., None],
        *,
        number: int | None = None,
    ) -> None:
        self._prepare, self._in_turn, self._last = prepare, in_turn, last
        self._n_processes = number or min(MAX_PROCESSES, len(os.sched_getaffinity(0)) + 1)
        self._processes: list[ForkProcess] = []
        self._ends: list[Connection] = []  # all of them: a process closes those that are not its own
        self._chunks: list[Connection] = []
        self._results: list[Connection] = []
        self._number = 0
        self._waiting: list[int] = []  # rows of the chunks that each process has, in the order of processes
        self._stored = 0

    def __enter__(self) -> Self:
        # A connection cannot be shared with a fork: each opens its own, and this process its next.
        connection.close()
        try:
            self._start()
        except BaseException:  # some of them were started
            for end in self._ends:
                end.close()
            for process in self._processes:
                process.join()
            raise
        return self

    def _start(self) -> None:
        fork = multiprocessing.get_context("fork")
        parent = os.getpid()
        number = self._n_processes
        chunks = [self._pipe() for _ in range(number)]
        results = [self._pipe() for _ in range(number)]
        # Of each step in turn, by whose turn it becomes.
        turns = [[self._pipe() for _ in range(number)] for _ in self._in_turn]
        for step in turns:
            step[0][1].send_bytes(_TURN)
        for place in range(number):
            after = (place + 1) % number
            mine = [step[place][0] for step in turns], [step[after][1] for step in turns]
            process = fork.Process(
                target=self._store, args=(parent, chunks[place][0], results[place][1], *mine), daemon=True
            )
            process.start()
            self._processes.append(process)
        self._chunks = [ours for _, ours in chunks]
        self._results = [ours for ours, _ in results]
        for end in self._ends:
            if end not in (*self._chunks, *self._results):
                end.close()
        self._waiting = [0] * number

    def _pipe(self) -> tuple[Connection, Connection]:
        ends = multiprocessing.get_context("fork").Pipe(duplex=False)
        self._ends += ends
        return ends

    def store(self, chunk: Any, rows: int) -> int:
        """Hands a chunk over and says how many rows were stored since the last call. Raises what a step raised."""
        place = self._number % self._n_processes
        self._receive(place)
        try:
            self._chunks[place].send(chunk)
        except OSError:
            self._fail()
        self._waiting[place] = rows
        self._number += 1
        return self._take_stored()

    def finish(self) -> int:
        """Waits for the chunks that were handed over; how many rows they have."""
        for after in range(self._n_processes):
            self._receive((self._number + after) % self._n_processes)
        return self._take_stored()

    def _take_stored(self) -> int:
        stored, self._stored = self._stored, 0
        return stored

    def _receive(self, place: int) -> None:
        """Waits for the chunk that the process has, if it has one."""
        if not self._waiting[place]:
            return
        try:
            problem = self._results[place].recv()
        except (EOFError, OSError):
            self._fail()
        if problem is not None:
            raise problem
        self._stored += self._waiting[place]
        self._waiting[place] = 0

    def _fail(self) -> None:
        """One of them has ended: it tells why, the others that they gave up; one that was killed tells nothing."""
        self._end()
        for results in self._results:
            while True:
                try:
                    problem = results.recv()
                except (EOFError, OSError):
                    break
                if problem is not None:
                    raise problem
        codes = " and ".join(str(process.exitcode) for process in self._processes)
        raise ImportRefused(
            f"The import broke off: a process that stores its rows ended (exit codes {codes}), and nothing of it "
            "counts; import again.",
            code="broke_off",
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            self._end()
            for results in self._results:
                results.close()

    def _end(self) -> None:
        """Each ends the chunk that it has. They are not killed: their transactions must have ended, one way or the
        other, before what they stored is cleared.
        """
        for chunks in self._chunks:
            chunks.close()
        for process in self._processes:
            process.join()

    def _store(
        self,
        parent: int,
        chunks: Connection,
        results: Connection,
        turns: list[Connection],
        next_turns: list[Connection],
    ) -> None:
        """In the process."""
        end_with_parent(parent)
        own = (chunks, results, *turns, *next_turns)
        for end in self._ends:
            if end not in own:  # or nobody's end is told to the others
                end.close()
        try:
            while True:
                try:
                    chunk = chunks.recv()
                except EOFError:
                    return
                made = [self._prepare(chunk)]
                for step, turn, next_turn in zip(self._in_turn, turns, next_turns, strict=True):
                    _wait(turn)
                    made.append(step(*made))
                    _pass_on(next_turn)
                self._last(*made)
                results.send(None)
        except _GaveUp:
            return
        except BaseException as problem:  # raised in the import
            results.send(problem)
        finally:
            connections.close_all()


def _wait(turn: Connection) -> None:
    try:
        turn.recv_bytes()
    except EOFError as error:
        raise _GaveUp from error


def _pass_on(turn: Connection) -> None:
    with suppress(OSError):  # it has no further chunk
        turn.send_bytes(_TURN)
