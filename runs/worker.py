"""The worker's loop: claim a run, execute it, look again; tick in between.

Any number of workers on any number of hosts share one table. A worker executes one run at a time; several at once
means several workers. What a run is, how it is prepared and what its result means is the RunKinds' business.
"""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from types import FrameType
from typing import Any

from django.db import close_old_connections, transaction
from django.db.models.functions import Now

from runs.artifacts import FileHashes
from runs.database_retry import DATABASE_UNAVAILABLE_ERRORS, drop_broken_connection
from runs.executor import RunExecutor
from runs.launchers import Launcher, LocalLauncher
from runs.leases import Claim, LeaseWatch, claim_run
from runs.models import Run, Worker
from runs.options import WorkerOptions
from runs.run_kinds import RunKind

logger = logging.getLogger(__name__)

KEEP_STOPPED_WORKERS = timedelta(days=1)


def run_worker(
    kinds: Sequence[RunKind],
    tick: Callable[[], object] | None = None,
    *,
    once: bool = False,
    stop_when_idle: bool = False,
    only: Collection[str] | None = None,
    options: WorkerOptions | None = None,
    launcher: Launcher | None = None,
    install_signals: bool = True,
) -> int:
    """Execute runs of these kinds until asked to stop (SIGTERM, SIGINT); the answer is how many.

    `once`: at most one run. `stop_when_idle`: until nothing of these kinds is queued or running and `tick`
    has nothing to do. `only`: names of the kinds to take. `tick` is called in this thread, outside a
    transaction, about every tick_seconds, also while a run is going on; it returns something true when it
    changed anything. What it raises is logged, and the next tick tries again.
    """
    known = {kind.name: kind for kind in kinds}
    if only is not None:
        unknown = sorted(set(only) - set(known))
        if unknown:
            raise ValueError(f"unknown kinds {', '.join(unknown)}: there are {', '.join(sorted(known))}")
        known = {name: kind for name, kind in known.items() if name in only}
    loop = WorkerLoop(
        known,
        tick,
        options=options or WorkerOptions.from_settings(),
        launcher=launcher or LocalLauncher(),
    )
    with loop.stopped_by_signals() if install_signals else nullcontext():
        return loop.run(once=once, stop_when_idle=stop_when_idle)


class WorkerLoop:
    """One worker: its row, its signals, its loop of claiming and executing."""

    def __init__(
        self,
        kinds: dict[str, RunKind],
        tick: Callable[[], object] | None,
        *,
        options: WorkerOptions,
        launcher: Launcher,
    ) -> None:
        self.kinds, self.tick, self.options, self.launcher = kinds, tick, options, launcher
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self.stop = threading.Event()
        self.watch = LeaseWatch()
        self.hashes = FileHashes()
        self._next_tick = 0.0
        self._current: Run | None = None

    def run(self, *, once: bool, stop_when_idle: bool) -> int:
        n_executed = 0
        while not self.stop.is_set():
            try:
                self._heartbeat()
                advanced = self._tick(now=once or stop_when_idle)
                claim = self._claim()
                idle = claim is None and not advanced and not self._has_active_runs()
            except DATABASE_UNAVAILABLE_ERRORS as error:
                logger.warning("worker %s: waiting for the database (%s)", self.name, error)
                drop_broken_connection()
                if once:
                    raise
                self.stop.wait(self.options.poll_seconds)
                continue
            if claim is not None:
                self._execute(claim)
                n_executed += 1
                self._next_tick = 0.0  # a round may have waited for this run
            if once or (stop_when_idle and idle):
                break
            if claim is None and not advanced:
                self.stop.wait(self.options.poll_seconds)
        self._deregister()
        return n_executed

    @contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask the loop to leave: the command checkpoints and the run is handed back."""

        def ask(number: int, frame: FrameType | None) -> None:
            self.stop.set()

        before: dict[int, Any] = {n: signal.signal(n, ask) for n in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _claim(self) -> Claim | None:
        return claim_run(
            kinds=self.kinds,
            worker_name=self.name,
            host=self.launcher.host,
            lease_seconds=self.options.lease_seconds,
            watch=self.watch,
        )

    def _execute(self, claim: Claim) -> None:
        self._current = run = claim.run
        logger.info("run %s begins: %s (attempt %s)", run.pk, run.title, run.attempt)
        try:
            RunExecutor(
                claim,
                self.kinds[claim.run.kind],
                launcher=self.launcher,
                options=self.options,
                heartbeat=self._heartbeat_during_run,
                stop_requested=self.stop.is_set,
                hashes=self.hashes,
            ).execute()
            run.refresh_from_db(fields=["state", "error"])
            logger.info(
                "run %s is %s%s", run.pk, run.get_state_display().lower(), run.error and f": {run.error}"
            )
        except Exception:
            # Nothing more can be done for this run here. Its lease lapses, its attempts are counted, and
            # the worker that finds them used up writes it off; every other run goes on.
            logger.exception("run %s: dropped by worker %s", claim.run.pk, self.name)
            drop_broken_connection()
        finally:
            self._current = None

    def _heartbeat_during_run(self) -> None:
        try:
            self._heartbeat()
            self._tick(now=False)
        except DATABASE_UNAVAILABLE_ERRORS as error:
            logger.warning("worker %s: the database does not answer (%s)", self.name, error)
            drop_broken_connection()

    def _heartbeat(self) -> None:
        close_old_connections()
        known = Worker.objects.filter(name=self.name).update(
            heartbeat_at=Now(), current_run=self._current, stopped_at=None
        )
        if known:
            return
        with transaction.atomic():
            Worker.objects.filter(heartbeat_at__lt=Now() - KEEP_STOPPED_WORKERS).delete()
            Worker.objects.create(
                name=self.name,
                host=socket.gethostname()[:120],
                pid=os.getpid(),
                kinds=sorted(self.kinds),
                current_run=self._current,
            )

    def _tick(self, *, now: bool) -> bool:
        """Call the tick when it is due (or now); whether it changed anything."""
        if self.tick is None or (not now and time.monotonic() < self._next_tick):
            return False
        changed = False
        try:
            changed = bool(self.tick())
        except DATABASE_UNAVAILABLE_ERRORS:
            raise
        except Exception:
            # A round that cannot advance must not stop the trainings of every other project.
            logger.exception("worker %s: the tick failed", self.name)
        finally:
            # What moved a round into its next stage has not started that stage's work yet.
            self._next_tick = 0.0 if changed else time.monotonic() + self.options.tick_seconds
        return changed

    def _has_active_runs(self) -> bool:
        return Run.objects.active().filter(kind__in=self.kinds).exists()

    def _deregister(self) -> None:
        try:
            Worker.objects.filter(name=self.name).update(
                heartbeat_at=Now(), current_run=None, stopped_at=Now()
            )
        except DATABASE_UNAVAILABLE_ERRORS:
            logger.warning("worker %s: left while the database did not answer", self.name)
