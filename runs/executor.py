"""One worker carrying one run: clear the ground, prepare, launch, watch, adopt.

The order that keeps two trainers apart: end what an earlier worker left; write the fence file, which also
stops what was left on a machine out of reach; ask the database once more whether the run is still ours; only
then start the command. A worker frozen between any two of these steps finds, when it thaws, either the
database or the fence file saying that it is too late - and so does the command it starts.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from learning.interface.exit_codes import EXIT_CHECKPOINTED, EXIT_STALE_FENCE, EXIT_USER_ERROR
from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory, StaleFence, Status
from runs.artifacts import Digest, hash_path, stored_path
from runs.launchers import OUTPUT_FILE, Launch, Launcher, Process
from runs.leases import Claim, LostLease, end_run, give_back, owned, record_process, renew
from runs.models import Artifact, Run
from runs.options import SupervisorOptions
from runs.run_kinds import Output, RunKind
from runs.states import RunState
from workspace.errors import ActionError

logger = logging.getLogger(__name__)
T = TypeVar("T")

DATABASE_TROUBLE = (OperationalError, InterfaceError)
# A database that answers and still refuses the same write this often is not "gone": the fault is in the
# write.
REFUSALS_BEFORE_GIVING_UP = 5


class WorkerLeaves(Exception):
    """The worker was asked to stop and the database does not answer: leave; the lease lapses by itself."""


class Attempt:
    """Carries one claimed run to an end, or back into the queue.

    `beat` is called about every heartbeat with no transaction open (the worker's own heartbeat and its tick);
    `stopping` says whether the worker was asked to leave.
    """

    def __init__(
        self,
        claim: Claim,
        kind: RunKind,
        *,
        launcher: Launcher,
        options: SupervisorOptions,
        beat: Callable[[], None],
        stopping: Callable[[], bool],
    ) -> None:
        self.claim, self.run, self.kind = claim, claim.run, kind
        self.launcher, self.options = launcher, options
        self.beat, self.stopping = beat, stopping
        self.directory = RunDirectory(self.run.path)
        self.cancel_requested = self.run.cancel_requested

    def carry(self) -> None:
        try:
            self._carry()
        except LostLease:
            logger.warning("run %s: the lease went to another worker; nothing more is written", self.run.pk)
        except WorkerLeaves:
            logger.warning("run %s: left behind while the database did not answer", self.run.pk)

    def _carry(self) -> None:
        if not self.launcher.clear(self.run.directory, self.run.fence - 1, self.claim.previous):
            self._wait_in_queue(60, "A process of an earlier attempt does not end: waiting for it.")
            return
        self.persist(lambda: record_process(self.run, None, self.options.lease_seconds, self.launcher.host))
        fenced = self._fence_off()
        if self._cancelled() or not fenced:
            return
        if self._has_result():
            self._adopt()
        elif self._ready_to_launch():
            self._launch_and_watch()

    # --- before the launch

    def _ready_to_launch(self) -> bool:
        """Inputs are in place and nothing speaks against a start; if not, the run was ended or put back."""
        if self.claim.exhausted:
            lost = f"The worker was lost in the last of {self.run.max_attempts} attempts"
            self._end(RunState.FAILED, f"{lost}: retry when the machine is well.")
            return False
        free, floor = shutil.disk_usage(settings.DATA_DIR).free, self.options.disk_floor_bytes
        if free < floor:
            short = f"Only {free / 1e9:.1f} GB are free where the runs are kept"
            self._wait_in_queue(60, f"{short}, and the floor is {floor / 1e9:.1f} GB: waiting for space.")
            return False
        if self.stopping():
            self._wait_in_queue(0, self.run.error)
            return False
        return self._prepare()

    def _fence_off(self) -> bool:
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
                self._failed(f"The run's folder cannot be written: {_sentence(error)}")
            return False
        return True

    def _is_prepared(self) -> bool:
        if not (self.run.path / "config.json").is_file():
            return False
        status = self._status()
        # Refused before anything was computed, and queued again since: what was wrong may be mended in the database.
        refused = (
            status is not None and status.outcome == "user_error" and not self.directory.has_partial_results()
        )
        return not refused

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
            self._end(RunState.USER_ERROR, str(error))
        except (*DATABASE_TROUBLE, LostLease):
            raise
        except Exception as error:
            logger.exception("run %s: its inputs could not be prepared", self.run.pk)
            self._failed(f"The inputs could not be prepared: {_sentence(error)}")
        else:
            return True
        return False

    # --- the launch and the watch

    def _launch_and_watch(self) -> None:
        launch = Launch(
            module=self.kind.command,
            directory=self.run.path,
            working_directory=settings.BASE_DIR,
            mark=self.run.directory,
            fence=self.run.fence,
            processes=self.run.processes,
            threads=self.run.threads,
            environment=(*self.kind.environment, *settings.RUN_PASS_ENVIRONMENT),
        )
        if not self._fence_off():
            return
        self._renew()
        try:
            process = self.launcher.start(launch)
        except OSError as error:
            self._failed(f"{self.kind.command} could not be started: {_sentence(error)}")
            return
        try:
            self.persist(lambda: record_process(self.run, process, self.options.lease_seconds))
            code = self._watch(process, launch)
        except BaseException:
            # Whatever ends the watch early - the lease lost, the worker interrupted - no child is left
            # unwatched.
            self.launcher.stop(process, launch, force=True)
            raise
        # Ranks that torchrun started may outlive it; nothing of this attempt may write once the run is
        # somebody's else.
        self.launcher.clear(launch.mark, launch.fence, process)
        self._conclude(code)

    def _watch(self, process: Process, launch: Launch) -> int:
        """Until the command has ended: renew, copy progress, tick, pass on a cancel or a stop."""
        asked_at: float | None = None
        forced = False
        next_beat = 0.0
        while (code := self.launcher.poll(process)) is None:
            now = time.monotonic()
            if now >= next_beat:
                next_beat = now + self.options.heartbeat_seconds
                self._renew_if_possible()
                with self._renewing_in_background():
                    self.beat()
            if asked_at is None and (self.cancel_requested or self.stopping()):
                asked_at = now
                self.launcher.stop(process, launch, force=False)
            if asked_at is not None and not forced and now - asked_at > self.options.stop_grace_seconds:
                forced = True
                self.launcher.stop(process, launch, force=True)
            time.sleep(min(self.options.poll_seconds / 5, self.options.heartbeat_seconds))
        self._renew()
        return code

    def _conclude(self, code: int) -> None:
        """What the ended command means for the run. The directory is the truth, the exit code only a hint."""
        if self._cancelled():
            return
        if self._has_result():
            self._adopt()
            return
        status = self._status()
        if status is not None and status.fence != self.run.fence:
            status = None  # of an earlier attempt: this one ended before it could speak
        silent = {EXIT_CHECKPOINTED: "checkpointed", EXIT_USER_ERROR: "user_error"}
        outcome = status.outcome if status else silent.get(code, "")
        reason = (status.reason if status else "") or self._last_words()
        if outcome == "user_error":
            self._end(
                RunState.USER_ERROR,
                reason or "The command refused its input and did not say why.",
            )
        elif outcome == "failed":
            self._failed(reason or "The command failed and did not say why.")
        elif outcome in ("checkpointed", "paused") or self.stopping():
            self._wait_in_queue(0 if self.stopping() else self.options.retry_base_seconds, "")
        else:
            self._failed(_unexplained(code, reason))

    def _last_words(self) -> str:
        """The last line the command printed: all there is when it ended before it could write a status."""
        try:
            with open(self.run.path / OUTPUT_FILE, "rb") as output:
                output.seek(max(0, output.seek(0, 2) - 4000))
                lines = output.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    # --- the result

    def _has_result(self) -> bool:
        return (self.run.path / "result.json").is_file()

    def _adopt(self) -> None:
        try:
            result = self.directory.result() or {}
            with self._renewing_in_background():
                digests = [(output, hash_path(self.run.path / output.path)) for output in self.kind.outputs]
            self.persist(lambda: adopt_result(self.run, self.kind, result, digests))
        except (ActionError, UserError) as error:
            self._end(RunState.USER_ERROR, str(error))
        except (LostLease, WorkerLeaves):
            raise
        except Exception as error:
            logger.exception("run %s: its result could not be adopted", self.run.pk)
            self._failed(f"The result could not be taken over: {_sentence(error)}")

    # --- ends

    def _cancelled(self) -> bool:
        if self.cancel_requested:
            self._end(RunState.CANCELLED)
        return self.cancel_requested

    def _end(self, to: RunState, error: str = "") -> None:
        self.persist(lambda: end_run(self.run, to, error))

    def _failed(self, error: str) -> None:
        if self.run.attempt >= self.run.max_attempts:
            self._end(RunState.FAILED, error)
            return
        wait = self.options.retry_base_seconds * 2 ** (self.run.attempt - 1)
        seconds = min(wait, self.options.retry_cap_seconds)
        self.persist(lambda: give_back(self.run, seconds=seconds, error=error, count_attempt=True))

    def _wait_in_queue(self, seconds: float, error: str) -> None:
        self.persist(lambda: give_back(self.run, seconds=seconds, error=error, count_attempt=False))

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
        self.cancel_requested = self.persist(lambda: renew(self.run, self.options.lease_seconds, progress))

    def _renew_if_possible(self) -> None:
        """As _renew, but not waiting for a database that is gone: the command goes on, fenced."""
        try:
            self.cancel_requested = renew(self.run, self.options.lease_seconds, self._progress())
        except DATABASE_TROUBLE as error:
            logger.warning(
                "run %s: the database does not answer (%s); the command goes on", self.run.pk, error
            )
            drop_broken_connection()

    def persist(self, write: Callable[[], T]) -> T:
        """Do a database write, waiting for a database that is gone; a leaving worker waits one grace time."""
        refusals, since = 0, time.monotonic()
        while True:
            try:
                return write()
            except DATABASE_TROUBLE as error:
                drop_broken_connection()
                refusals += database_answers()
                if refusals >= REFUSALS_BEFORE_GIVING_UP:
                    raise
                if self.stopping() and time.monotonic() - since > self.options.stop_grace_seconds:
                    raise WorkerLeaves from error
                logger.warning("run %s: waiting for the database (%s)", self.run.pk, error)
                time.sleep(min(1.0, self.options.heartbeat_seconds))

    @contextmanager
    def _renewing_in_background(self) -> Iterator[None]:
        """Keep the lease while this thread works on something long (inputs, hashes, the tick) that is not a
        transaction.

        The first renewal comes after a third of the lease, so that short work costs no thread a connection.
        """
        over = threading.Event()

        def renew_until_over() -> None:
            try:
                while not over.wait(self.options.lease_seconds / 3):
                    try:
                        self.cancel_requested = renew(self.run, self.options.lease_seconds)
                    except LostLease:
                        return  # the main thread learns it from its own next write
                    except DATABASE_TROUBLE:
                        drop_broken_connection()
            finally:
                connection.close()

        thread = threading.Thread(target=renew_until_over, name=f"lease of run {self.run.pk}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=5)


def adopt_result(
    run: Run, kind: RunKind, result: Mapping[str, Any], digests: Sequence[tuple[Output, Digest]]
) -> bool:
    """The result becomes rows and the run is done, in one transaction that only the run's owner can commit.

    False: a cancel arrived first, the run is cancelled and nothing is adopted. Raises LostLease when the
    run is not this worker's any more, in particular when it has been adopted already.
    """
    with transaction.atomic():
        locked = owned(run).select_for_update(of=("self",)).select_related("project", "requested_by").first()
        if locked is None:
            raise LostLease
        if locked.cancel_requested:
            end_run(locked, RunState.CANCELLED)
            return False
        for output, digest in digests:
            Artifact.objects.update_or_create(
                project=locked.project,
                kind=output.kind,
                path=stored_path(locked.path / output.path),
                defaults={"sha256": digest.sha256, "size_bytes": digest.size_bytes, "made_by": locked},
            )
        kind.adopt(locked, result)
        end_run(locked, RunState.DONE)
        return True


def drop_broken_connection() -> None:
    if not connection.in_atomic_block:
        connection.close()


def database_answers() -> bool:
    """Whether a transaction can be opened: on SQLite that takes the write lock, so a locked file is "gone" too."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DATABASE_TROUBLE:
        drop_broken_connection()
        return False
    return True


def _unexplained(code: int, last_words: str) -> str:
    if code == EXIT_STALE_FENCE:
        return "The command left because the fence file named another attempt."
    if code < 0:
        hint = " (often: the machine ran out of memory)" if code == -9 else ""
        return f"The command was ended by signal {-code}{hint}."
    return f"The command ended with exit code {code}{': ' + last_words if last_words else ' without a word'}."


def _sentence(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
