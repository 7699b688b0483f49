"""Keeps scorers for reward models that are served: a thread of a worker, beside the run that the worker executes.

It claims services that wait, starts a scorer for each, renews leases, asks each scorer how it is, starts one again that
has died, and ends those that nobody uses, that a manager stopped or that make room. Of a worker that is killed the
next one finds the services when their leases have lapsed: it ends what is left of their scorers and starts its own.
Where nobody comes, an orphaned scorer ends by itself.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.conf import settings
from django.db import close_old_connections, connection

from learning.interface.exit_codes import EXIT_USER_ERROR
from learning.interface.options import UserError
from rewardmodel.models import Serving
from rewardmodel.serving.client import ScorerUnreachable
from rewardmodel.serving.leases import (
    LostServing,
    ServingClaim,
    claim_serving,
    end_serving,
    forget_failures,
    record_ready,
    record_scorer,
    renew,
)
from rewardmodel.serving.scorer_process import ScorerProcess, serve_config, serving_tag
from runs.artifacts import FileHashes
from runs.database_retry import DATABASE_UNAVAILABLE_ERRORS, drop_broken_connection
from runs.exits import describe_error, describe_exit, last_output_line
from runs.launchers import Launcher, LocalLauncher
from runs.options import WorkerOptions
from runs.recorded_models import require_recorded
from workspace.database import database_now_plus
from workspace.errors import ActionError

logger = logging.getLogger(__name__)
State = Serving.State

LOADING_SECONDS = 1800.0  # a scorer that has not loaded its model by then is ended
SILENT_SECONDS = 60.0  # one that has not said how it is for so long is ended, and another one started
STOP_SECONDS = (
    10.0  # for what waits in a scorer that is told to end; a worker that leaves has to wait for it, too
)
HELD_SECONDS = 60.0  # after which earlier failures are forgotten


@contextmanager
def keeping_scorers(options: WorkerOptions | None = None) -> Iterator[None]:
    """Scorers are kept while the block runs; at its end they are told to end, and waited for."""
    if not settings.SCORER_MAX_MODELS:
        yield
        return
    keeper = ScorerKeeper(options or WorkerOptions.from_settings())
    stop = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(stop,), name="scorers", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass
class Kept:
    serving: Serving
    scorer: ScorerProcess
    since: float  # when it was started, or became ready; by time.monotonic()
    is_ready: bool = False
    answered_at: float = 0.0
    next_heartbeat: float = 0.0
    has_held: bool = False


class ScorerKeeper:
    def __init__(self, options: WorkerOptions, launcher: Launcher | None = None) -> None:
        self.options = options
        self.launcher = launcher or LocalLauncher()
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self.hashes = FileHashes()
        self.kept: dict[int, Kept] = {}
        self.ending: list[tuple[ScorerProcess, float]] = []  # with when to kill it

    def run(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                self.step()
                stop.wait(self.options.poll_seconds)
            self.leave()
        finally:
            connection.close()

    def step(self) -> None:
        """Look once after everything."""
        try:
            close_old_connections()
            for kept in list(self.kept.values()):
                self._watch(kept)
            while claim := self._claim():
                self._take_over(claim)
        except DATABASE_UNAVAILABLE_ERRORS as error:
            # The scorers go on; who cannot reach the database is answered by nobody anyway.
            logger.warning("scorers: the database does not answer (%s)", error)
            drop_broken_connection()
        except Exception:
            logger.exception("scorers: a look failed")
            drop_broken_connection()
        self._end_those_asked()

    def leave(self) -> None:
        """Tell all to end and wait for them. What is served is left to another worker."""
        for kept in list(self.kept.values()):
            try:
                self._end(kept, State.WAITING)
            except DATABASE_UNAVAILABLE_ERRORS:
                self._let_go(kept)
        while self.ending:
            self._end_those_asked()
            time.sleep(min(0.1, self.options.poll_seconds))

    def _claim(self) -> ServingClaim | None:
        return claim_serving(
            worker_name=self.name, host=self.launcher.host, lease_seconds=self.options.lease_seconds
        )

    def _take_over(self, claim: ServingClaim) -> None:
        serving = claim.serving
        try:
            scorer = ScorerProcess(
                serving,
                self.launcher,
                stop_grace_seconds=min(STOP_SECONDS, self.options.stop_grace_seconds),
            )
            kept = Kept(serving, scorer, since=time.monotonic())
            self.kept[serving.pk] = kept
            self._start(kept, claim)
        except LostServing:
            self._forget(serving)
        except (ActionError, UserError) as error:
            self._give_back(serving, State.FAILED, str(error))
        except OSError as error:
            self._give_back(
                serving, State.WAITING, f"The scorer could not be started: {describe_error(error)}"
            )
        except DATABASE_UNAVAILABLE_ERRORS:
            # No failure of the scorer: the service is claimed again when its lease has lapsed.
            self._forget(serving)
            raise
        except Exception as error:
            # Whatever nobody thought of counts as well, or a scorer that cannot start would be tried for ever.
            logger.exception("reward model %s: its scorer could not be started", serving.reward_model_id)
            self._give_back(
                serving, State.WAITING, f"The scorer could not be started: {describe_error(error)}"
            )
        except BaseException:
            self._forget(serving)
            raise

    def _start(self, kept: Kept, claim: ServingClaim) -> None:
        serving = claim.serving
        if not self.launcher.kill_leftovers(serving_tag(serving), serving.fence - 1, claim.previous_process):
            self._end(kept, State.FAILED, error="A scorer of an earlier start does not end.")
            return
        record_scorer(serving, None, self.launcher.host, self.options.lease_seconds)
        if serving.stop_requested:
            self._end(kept, State.STOPPED, reason="asked for")
            return
        require_recorded(serving.reward_model.artifact, self.hashes, lambda count: self._renew_all())
        process = kept.scorer.start(
            serve_config(serving.reward_model, orphaned_after_seconds=2 * self.options.lease_seconds)
        )
        record_scorer(serving, process, self.launcher.host, self.options.lease_seconds)
        logger.info("reward model %s: a scorer is being started", serving.reward_model_id)

    def _give_back(self, serving: Serving, to: str, error: str) -> None:
        """What could not be started; it counts as a failure."""
        try:
            with suppress(LostServing):
                end_serving(serving, to, error=error)
        finally:
            self._forget(serving)

    def _forget(self, serving: Serving) -> None:
        if kept := self.kept.get(serving.pk):
            self._let_go(kept)

    def _renew_all(self) -> None:
        """While something long goes on. One that is lost is found out by its own next look."""
        for kept in self.kept.values():
            if time.monotonic() >= kept.next_heartbeat:
                kept.next_heartbeat = time.monotonic() + self.options.heartbeat_seconds
                with suppress(LostServing):
                    renew(kept.serving, self.options.lease_seconds)

    def _watch(self, kept: Kept) -> None:
        try:
            code = kept.scorer.poll()
            if code is not None:
                self._handle_exit(kept, code)
                return
            if not kept.is_ready:
                self._look_whether_ready(kept)
            if kept.serving.pk in self.kept and time.monotonic() >= kept.next_heartbeat:
                kept.next_heartbeat = time.monotonic() + self.options.heartbeat_seconds
                self._beat(kept)
        except LostServing:
            logger.warning("reward model %s: served by another worker now", kept.serving.reward_model_id)
            self._let_go(kept)

    def _look_whether_ready(self, kept: Kept) -> None:
        address = kept.scorer.read_address()
        if address:
            record_ready(
                kept.serving,
                address=address,
                secret=kept.scorer.secret,
                lease_seconds=self.options.lease_seconds,
            )
            kept.is_ready, kept.since = True, time.monotonic()
            kept.answered_at = kept.since
            logger.info("reward model %s: served at %s", kept.serving.reward_model_id, address)
        elif time.monotonic() - kept.since > LOADING_SECONDS:
            self._end(
                kept,
                State.WAITING,
                error=f"The model was not loaded within {LOADING_SECONDS / 60:.0f} minutes.",
            )

    def _beat(self, kept: Kept) -> None:
        changes: dict[str, object] = {}
        idle_seconds = 0.0
        if kept.is_ready:
            try:
                status = kept.scorer.status()
            except ScorerUnreachable as error:
                if time.monotonic() - kept.answered_at > SILENT_SECONDS:
                    self._end(
                        kept, State.WAITING, error=f"The scorer did not say how it is: {error}.", force=True
                    )
                    return
            else:
                kept.answered_at = time.monotonic()
                idle_seconds = float(status["idle_seconds"])
                changes = {"n_requests": int(status["requests"]), "n_rewards": int(status["rewards"])}
                if changes["n_requests"]:
                    changes["last_used_at"] = database_now_plus(-idle_seconds)
        stop_requested = renew(kept.serving, self.options.lease_seconds, **changes)
        if stop_requested:
            self._end(kept, State.STOPPED, reason="asked for, or to make room")
        elif idle_seconds > settings.SCORER_IDLE_MINUTES * 60:
            self._end(kept, State.STOPPED, reason=f"unused for {settings.SCORER_IDLE_MINUTES:g} minutes")
        elif kept.is_ready and not kept.has_held and time.monotonic() - kept.since > HELD_SECONDS:
            kept.has_held = True
            forget_failures(kept.serving)

    def _handle_exit(self, kept: Kept, code: int) -> None:
        """It ended and was not told to."""
        said = last_output_line(kept.scorer.directory)
        refused = code == EXIT_USER_ERROR and not kept.is_ready
        error = (said if refused else "") or describe_exit(code, said)
        logger.warning("reward model %s: %s", kept.serving.reward_model_id, error)
        kept.scorer.kill()
        self._end(kept, State.FAILED if refused else State.WAITING, error=error)

    def _end(self, kept: Kept, to: str, *, reason: str = "", error: str = "", force: bool = False) -> None:
        """The row first: nobody is sent to a scorer that has been told to end."""
        with suppress(LostServing):
            end_serving(kept.serving, to, reason=reason, error=error)
        self._let_go(kept, force=force)

    def _let_go(self, kept: Kept, *, force: bool = False) -> None:
        self.kept.pop(kept.serving.pk, None)
        if force:
            kept.scorer.kill()
            return
        kept.scorer.ask_to_stop()
        self.ending.append((kept.scorer, time.monotonic() + kept.scorer.launch.stop_grace_seconds))

    def _end_those_asked(self) -> None:
        left = []
        for scorer, deadline in self.ending:
            if scorer.process is None:
                scorer.forget_folder()
            elif scorer.poll() is not None:
                scorer.process = None
                scorer.forget_folder()
            elif time.monotonic() > deadline:
                scorer.kill()
            else:
                left.append((scorer, deadline))
        self.ending = left
