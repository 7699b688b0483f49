"""One worker executing one run: end what is left of earlier attempts, prepare, launch, watch, save the result.

The order keeps two trainers apart: end what an earlier worker left; write the fence file, which also stops what was
left on a machine out of reach; ask the database once more whether the run is still ours; only then start the command.
A worker that resumes after a long pause is stopped by the conditional database update or by the fence file, and so is
any command it has started.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection

from learning.interface.exit_codes import (
    EXIT_BUSY,
    EXIT_CHECKPOINTED,
    EXIT_USER_ERROR,
)
from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory, StaleFence, Status
from runs.artifacts import FileHashes, hash_path
from runs.database_retry import (
    DATABASE_UNAVAILABLE_ERRORS,
    WorkerStopping,
    drop_broken_connection,
    retry_database_write,
)
from runs.exits import describe_error, describe_exit, last_output_line
from runs.freeing import free_intermediates
from runs.launchers import Launch, Launcher, Process
from runs.leases import Claim, LostLease, finish_run, pause_run, record_process, renew, requeue
from runs.options import WorkerOptions
from runs.recorded_models import CheckInterrupted, require_recorded_models
from runs.results import save_result
from runs.run_kinds import RunKind
from runs.states import RunState
from runs.time_limits import TimeLimit
from workspace.errors import ActionError

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RunExecutor:
    """Executes one claimed run to an end, or back into the queue.

    `heartbeat` is called about every heartbeat with no transaction open (the worker's own heartbeat and its tick);
    `stop_requested` says whether the worker was asked to leave.
    """

    def __init__(
        self,
        claim: Claim,
        kind: RunKind,
        *,
        launcher: Launcher,
        options: WorkerOptions,
        heartbeat: Callable[[], None],
        stop_requested: Callable[[], bool],
        hashes: FileHashes | None = None,
    ) -> None:
        self.claim, self.run, self.kind = claim, claim.run, kind
        self.launcher, self.options = launcher, options
        self.heartbeat, self.stop_requested = heartbeat, stop_requested
        self.hashes = hashes or FileHashes()
        self.directory = RunDirectory(self.run.path)
        self.cancel_requested = self.run.cancel_requested

    def execute(self) -> None:
        try:
            self._execute()
        except LostLease:
            logger.warning("run %s: the lease went to another worker; nothing more is written", self.run.pk)
        except WorkerStopping:
            logger.warning("run %s: left while the database did not answer", self.run.pk)

    def _execute(self) -> None:
        if not self.launcher.kill_leftovers(
            self.run.process_tag, self.run.fence - 1, self.claim.previous_process
        ):
            self._requeue(60, "A process of an earlier attempt does not end: waiting for it.")
            return
        self._retry_database_write(
            lambda: record_process(self.run, None, self.options.lease_seconds, self.launcher.host)
        )
        fenced = self._write_fence()
        if self._finish_if_cancelled() or not fenced:
            return
        if self._has_result():
            self._save_result()
        elif self._ready_to_launch():
            self._launch_and_watch()

    # --- before the launch

    def _ready_to_launch(self) -> bool:
        """Inputs are in place and nothing speaks against a start; if not, the run was ended or put back."""
        if self.claim.attempts_exhausted:
            lost = f"The worker was lost in the last of {self.run.max_attempts} attempts"
            self._finish(RunState.FAILED, f"{lost}: retry when the machine is well.")
            return False
        free, floor = shutil.disk_usage(settings.DATA_DIR).free, self.options.min_free_disk_bytes
        if free < floor:
            short = f"Only {free / 1e6:,.0f} MB are free where the runs are kept"
            self._requeue(60, f"{short}, and the floor is {floor / 1e6:,.0f} MB: waiting for space.")
            return False
        if self.stop_requested():
            self._requeue(0, self.run.error)
            return False
        return self._check_models() and self._prepare()

    def _check_models(self) -> bool:
        """The models that the run reads are the recorded ones, at every start: a resumed run reads them again."""

        def say(progress: Mapping[str, Any]) -> None:
            self._renew_if_possible(progress)
            if self.cancel_requested or self.stop_requested():
                raise CheckInterrupted

        try:
            with self._renewing_in_background():
                require_recorded_models(self.run, self.hashes, say, self.options.heartbeat_seconds)
        except CheckInterrupted:
            if not self._finish_if_cancelled():
                self._requeue(0, self.run.error)
        except ActionError as error:
            self._finish(RunState.USER_ERROR, str(error))
        except OSError as error:
            self._retry_or_fail(f"A model of the run cannot be read: {describe_error(error)}")
        else:
            return True
        return False

    def _write_fence(self) -> bool:
        """Close the folder to earlier attempts, wherever they run. False: it could not be, and the run was put back
        (or is about to be cancelled).
        """
        if not self.run.path.is_dir():
            return True
        try:
            self.directory.write_fence(self.run.fence)
        except StaleFence as error:
            raise LostLease from error
        except OSError as error:
            if not self.cancel_requested:
                self._retry_or_fail(f"The run's folder cannot be written: {describe_error(error)}")
            return False
        return True

    def _is_prepared(self) -> bool:
        if not (self.run.path / "config.json").is_file():
            return False
        status = self._status()
        # Refused before anything was computed, and queued again since: what was wrong may be mended in the database.
        refused = status is not None and status.outcome == "user_error"
        return not refused or self.directory.has_partial_results() or self.directory.has_kept_answers()

    def _prepare(self) -> bool:
        if self._is_prepared():
            return True
        try:
            with self._renewing_in_background():
                self.run.path.parent.mkdir(parents=True, exist_ok=True)
                RunDirectory.create(
                    self.run.path,
                    command=self.kind.command,
                    config=self.run.config,
                    inputs=dict(self.kind.build_inputs(self.run)),
                    provenance={"project": self.run.project.slug, "run": str(self.run.pk)},
                    replace=True,
                )
        except (ActionError, UserError) as error:
            self._finish(RunState.USER_ERROR, str(error))
        except (*DATABASE_UNAVAILABLE_ERRORS, LostLease):
            raise
        except Exception as error:
            logger.exception("run %s: its inputs could not be prepared", self.run.pk)
            self._retry_or_fail(f"The inputs could not be prepared: {describe_error(error)}")
        else:
            return True
        return False

    # --- the launch and the watch

    def _launch_and_watch(self) -> None:
        launch = Launch(
            module=self.kind.command,
            directory=self.run.path,
            working_directory=settings.BASE_DIR,
            tag=self.run.process_tag,
            fence=self.run.fence,
            processes=self.run.processes,
            threads=self.run.threads,
            stop_grace_seconds=self.options.stop_grace_seconds,
            environment=(*self.kind.environment, *settings.RUN_ENVIRONMENT_ALLOWLIST),
        )
        if not self._write_fence():
            return
        self._renew()
        try:
            process = self.launcher.start(launch)
        except OSError as error:
            self._retry_or_fail(f"{self.kind.command} could not be started: {describe_error(error)}")
            return
        try:
            self._retry_database_write(lambda: record_process(self.run, process, self.options.lease_seconds))
            code = self._watch(process, launch)
        except BaseException:
            # Whatever ends the watch early - the lease lost, the worker interrupted - no child is left
            # unwatched.
            self.launcher.stop(process, launch, force=True)
            raise
        # Ranks that torchrun started may outlive it; nothing of this attempt may write once the run is
        # somebody's else.
        self.launcher.kill_leftovers(launch.tag, launch.fence, process)
        self._handle_exit(code)

    def _watch(self, process: Process, launch: Launch) -> int:
        """Until the command has ended: renew, copy progress, tick, pass on a cancel or a stop."""
        stop_sent_at: float | None = None
        self.time_limit = TimeLimit(self.run, self.options.heartbeat_seconds)
        self.stopped_by_limit = forced = False
        next_heartbeat = 0.0
        while (code := self.launcher.poll(process)) is None:
            now = time.monotonic()
            if now >= next_heartbeat:
                next_heartbeat = now + self.options.heartbeat_seconds
                self._renew_if_possible()
                with self._renewing_in_background():
                    self.heartbeat()
            stops = self.cancel_requested or self.time_limit.look() or self.stop_requested()
            if stop_sent_at is None and stops:
                stop_sent_at = now
                self.stopped_by_limit = self.time_limit.is_over  # and not only passed after another reason
                self.launcher.stop(process, launch, force=False)
            if (
                stop_sent_at is not None
                and not forced
                and now - stop_sent_at > self.options.stop_grace_seconds
            ):
                forced = True
                self.launcher.stop(process, launch, force=True)
            time.sleep(min(self.options.poll_seconds / 5, self.options.heartbeat_seconds))
        self._renew()
        return code

    def _handle_exit(self, code: int) -> None:
        """What the ended command means for the run. The directory is the truth, the exit code only a hint."""
        if self._finish_if_cancelled():
            return
        if self._has_result():
            self._save_result()
            return
        status = self._status()
        if status is None or status.fence != self.run.fence:
            status = None  # of an earlier attempt: this one ended before it could write one
            # torchrun swallows the exit code; the lock tells the same, for nothing of this attempt lives any more.
            if code == EXIT_BUSY or self.directory.is_locked():
                busy = "Another process works in the run's folder: waiting until it ends."
                self._requeue(self.options.retry_base_seconds, busy)
                return
        outcome_by_exit_code = {EXIT_CHECKPOINTED: "checkpointed", EXIT_USER_ERROR: "user_error"}
        outcome = status.outcome if status else outcome_by_exit_code.get(code, "")
        reason = (status.reason if status else "") or last_output_line(self.run.path)
        if outcome == "user_error":
            self._finish(RunState.USER_ERROR, reason or "The command refused its input and did not say why.")
        elif outcome == "paused":
            self._retry_database_write(lambda: pause_run(self.run, reason))
        elif self.stopped_by_limit:
            self._finish(RunState.FAILED, self.time_limit.sentence(outcome, reason))
        elif outcome == "failed":
            self._retry_or_fail(reason or "The command failed and did not say why.")
        elif outcome == "checkpointed" or self.stop_requested():
            self._requeue(0 if self.stop_requested() else self.options.retry_base_seconds, "")
        else:
            self._retry_or_fail(describe_exit(code, reason))

    # --- the result

    def _has_result(self) -> bool:
        return (self.run.path / "result.json").is_file()

    def _save_result(self) -> None:
        try:
            result = self.directory.result() or {}
            with self._renewing_in_background():
                digests = [(o, hash_path(path)) for o, path in self.kind.outputs_in(self.run.path)]
            if self._retry_database_write(lambda: save_result(self.run, self.kind, result, digests)):
                self.run.refresh_from_db(fields=["state"])
                free_intermediates(self.run)
        except (ActionError, UserError) as error:
            self._finish(RunState.USER_ERROR, str(error))
        except (LostLease, WorkerStopping):
            raise
        except Exception as error:
            logger.exception("run %s: its result could not be saved", self.run.pk)
            self._retry_or_fail(f"The result could not be taken over: {describe_error(error)}")

    # --- ends

    def _finish_if_cancelled(self) -> bool:
        if self.cancel_requested:
            self._finish(RunState.CANCELLED)
        return self.cancel_requested

    def _finish(self, to: RunState, error: str = "") -> None:
        self._retry_database_write(lambda: finish_run(self.run, to, error))

    def _retry_or_fail(self, error: str) -> None:
        if self.run.attempt >= self.run.max_attempts:
            self._finish(RunState.FAILED, error)
            return
        wait = self.options.retry_base_seconds * 2 ** (self.run.attempt - 1)
        seconds = min(wait, self.options.retry_max_seconds)
        self._retry_database_write(
            lambda: requeue(self.run, seconds=seconds, error=error, count_attempt=True)
        )

    def _requeue(self, seconds: float, error: str) -> None:
        self._retry_database_write(
            lambda: requeue(self.run, seconds=seconds, error=error, count_attempt=False)
        )

    # --- the database

    def _progress(self) -> Mapping[str, Any] | None:
        status = self._status()
        return asdict(status) if status is not None else None

    def _status(self) -> Status | None:
        try:
            return self.directory.status()
        except (OSError, UserError) as error:
            logger.warning("run %s: its status cannot be read (%s)", self.run.pk, error)
            return None

    def _renew(self) -> None:
        progress = self._progress()
        self.cancel_requested = self._retry_database_write(
            lambda: renew(self.run, self.options.lease_seconds, progress)
        )

    def _renew_if_possible(self, progress: Mapping[str, Any] | None = None) -> None:
        """As _renew, but not waiting for a database that is gone: the command goes on, fenced."""
        try:
            self.cancel_requested = renew(self.run, self.options.lease_seconds, progress or self._progress())
        except DATABASE_UNAVAILABLE_ERRORS as error:
            logger.warning(
                "run %s: the database does not answer (%s); the command goes on", self.run.pk, error
            )
            drop_broken_connection()

    def _retry_database_write(self, write: Callable[[], T]) -> T:
        return retry_database_write(
            write,
            description=f"run {self.run.pk}",
            pause_seconds=min(1.0, self.options.heartbeat_seconds),
            stop_requested=self.stop_requested,
            stop_grace_seconds=self.options.stop_grace_seconds,
        )

    @contextmanager
    def _renewing_in_background(self) -> Iterator[None]:
        """Keep the lease while this thread works on something long (inputs, hashes, the tick) that
        is not a transaction.

        The first renewal comes after a third of the lease, so that short work costs no thread a connection.
        """
        finished = threading.Event()

        def renew_until_finished() -> None:
            try:
                while not finished.wait(self.options.lease_seconds / 3):
                    try:
                        self.cancel_requested = renew(self.run, self.options.lease_seconds)
                    except LostLease:
                        return  # the main thread learns it from its own next write
                    except DATABASE_UNAVAILABLE_ERRORS:
                        drop_broken_connection()
            finally:
                connection.close()

        thread = threading.Thread(
            target=renew_until_finished, name=f"lease of run {self.run.pk}", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join(timeout=5)
