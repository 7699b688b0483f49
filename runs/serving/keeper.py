"""Keeps servers for models that are served: a thread of a worker, beside the run that the worker executes.

It claims services that wait, starts a server for each, renews leases, asks each server how it is, starts one again that
has died, and ends those that nobody uses, that a manager stopped or that make room. Of a worker that is killed the
next one finds the services when their leases have lapsed: it ends what is left of their servers and starts its own.
Where nobody comes, an orphaned server ends by itself.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from django.db import close_old_connections, connection

from learning.interface.exit_codes import EXIT_USER_ERROR
from learning.interface.options import UserError
from runs.artifacts import FileHashes
from runs.database_retry import DATABASE_UNAVAILABLE_ERRORS, drop_broken_connection
from runs.exits import describe_error, describe_exit, last_output_line
from runs.launchers import Launcher, LocalLauncher
from runs.options import WorkerOptions
from runs.recorded_models import require_recorded
from runs.serving.client import ServerUnreachable
from runs.serving.leases import (
    LostService,
    ServiceClaim,
    claim_service,
    end_service,
    forget_failures,
    record_ready,
    record_server,
    renew,
)
from runs.serving.server_process import ServerProcess, service_tag
from runs.serving.service import Service, ServiceKind
from workspace.database import database_now_plus
from workspace.errors import ActionError

logger = logging.getLogger(__name__)
State = Service.State

LOADING_SECONDS = 1800.0  # a server that has not loaded its model by then is ended
SILENT_SECONDS = 60.0  # one that has not said how it is for so long is ended, and another one started
STOP_SECONDS = (
    10.0  # for what waits in a server that is told to end; a worker that leaves has to wait for it, too
)
DRAIN_SECONDS = 300.0  # for what is being written to come to its end before another model gets the room
HELD_SECONDS = 60.0  # after which earlier failures are forgotten


@contextmanager
def keeping_services(kinds: Sequence[ServiceKind], options: WorkerOptions | None = None) -> Iterator[None]:
    """Servers are kept while the block runs; at its end they are told to end, and waited for."""
    kept = [kind for kind in kinds if kind.max_models()]
    if not kept:
        yield
        return
    keeper = ServiceKeeper(kept, options or WorkerOptions.from_settings())
    stop = threading.Event()
    thread = threading.Thread(target=keeper.run, args=(stop,), name="services", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@dataclass
class Kept:
    kind: ServiceKind
    service: Service
    server: ServerProcess
    since: float  # when it was started, or became ready; by time.monotonic()
    is_ready: bool = False
    answered_at: float = 0.0
    next_heartbeat: float = 0.0
    has_held: bool = False
    drains_since: float | None = None  # since when it takes nothing new

    @property
    def key(self) -> tuple[str, int]:
        return self.kind.name, self.service.pk


class ServiceKeeper:
    def __init__(
        self, kinds: Sequence[ServiceKind], options: WorkerOptions, launcher: Launcher | None = None
    ) -> None:
        self.kinds = kinds
        self.options = options
        self.launcher = launcher or LocalLauncher()
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}"
        self.hashes = FileHashes()
        self.kept: dict[tuple[str, int], Kept] = {}
        self.ending: list[tuple[ServerProcess, float]] = []  # with when to kill it

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
            for kind in self.kinds:
                self._claim_all(kind)
        except DATABASE_UNAVAILABLE_ERRORS as error:
            # The servers go on; who cannot reach the database is answered by nobody anyway.
            logger.warning("services: the database does not answer (%s)", error)
            drop_broken_connection()
        except Exception:
            logger.exception("services: a look failed")
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

    def _claim_all(self, kind: ServiceKind) -> None:
        try:
            while claim := self._claim(kind):
                self._take_over(kind, claim)
        except DATABASE_UNAVAILABLE_ERRORS:
            raise
        except Exception:
            # The other kinds are looked after all the same.
            logger.exception("services: no %s could be claimed", kind.noun)
            drop_broken_connection()

    def _claim(self, kind: ServiceKind) -> ServiceClaim | None:
        return claim_service(
            kind, worker_name=self.name, host=self.launcher.host, lease_seconds=self.options.lease_seconds
        )

    def _take_over(self, kind: ServiceKind, claim: ServiceClaim) -> None:
        service = claim.service
        try:
            server = ServerProcess(
                kind,
                service,
                self.launcher,
                stop_grace_seconds=min(STOP_SECONDS, self.options.stop_grace_seconds),
            )
            kept = Kept(kind, service, server, since=time.monotonic())
            self.kept[kind.name, service.pk] = kept
            self._start(kept, claim)
        except LostService:
            self._forget(kind, service)
        except (ActionError, UserError) as error:
            self._give_back(kind, service, State.FAILED, str(error))
        except OSError as error:
            self._give_back(
                kind,
                service,
                State.WAITING,
                f"The {kind.server_noun} could not be started: {describe_error(error)}",
            )
        except DATABASE_UNAVAILABLE_ERRORS:
            # No failure of the server: the service is claimed again when its lease has lapsed.
            self._forget(kind, service)
            raise
        except Exception as error:
            # Whatever nobody thought of counts as well, or a server that cannot start would be tried for ever.
            logger.exception(
                "%s %s: its %s could not be started", kind.noun, service.subject, kind.server_noun
            )
            self._give_back(
                kind,
                service,
                State.WAITING,
                f"The {kind.server_noun} could not be started: {describe_error(error)}",
            )
        except BaseException:
            self._forget(kind, service)
            raise

    def _start(self, kept: Kept, claim: ServiceClaim) -> None:
        service = claim.service
        if not self.launcher.kill_leftovers(
            service_tag(kept.kind, service), service.fence - 1, claim.previous_process
        ):
            self._end(
                kept, State.FAILED, error=f"A {kept.kind.server_noun} of an earlier start does not end."
            )
            return
        record_server(service, None, self.launcher.host, self.options.lease_seconds)
        if service.stop_requested:
            self._end(kept, State.STOPPED, reason="asked for")
            return
        require_recorded(service.artifact, self.hashes, lambda count: self._renew_all())
        process = kept.server.start(kept.kind.config(service, 2 * self.options.lease_seconds))
        record_server(service, process, self.launcher.host, self.options.lease_seconds)
        logger.info("%s %s: a %s is being started", kept.kind.noun, service.subject, kept.kind.server_noun)

    def _give_back(self, kind: ServiceKind, service: Service, to: str, error: str) -> None:
        """What could not be started; it counts as a failure."""
        try:
            with suppress(LostService):
                end_service(service, to, error=error)
        finally:
            self._forget(kind, service)

    def _forget(self, kind: ServiceKind, service: Service) -> None:
        if kept := self.kept.get((kind.name, service.pk)):
            self._let_go(kept)

    def _renew_all(self) -> None:
        """While something long goes on. One that is lost is found out by its own next look."""
        for kept in self.kept.values():
            if time.monotonic() >= kept.next_heartbeat:
                kept.next_heartbeat = time.monotonic() + self.options.heartbeat_seconds
                with suppress(LostService):
                    renew(kept.service, self.options.lease_seconds)

    def _watch(self, kept: Kept) -> None:
        try:
            code = kept.server.poll()
            if code is not None:
                self._handle_exit(kept, code)
                return
            if not kept.is_ready:
                self._look_whether_ready(kept)
            is_due = kept.drains_since is not None or time.monotonic() >= kept.next_heartbeat
            if kept.key in self.kept and is_due:
                kept.next_heartbeat = time.monotonic() + self.options.heartbeat_seconds
                self._beat(kept)
        except LostService:
            logger.warning("%s %s: served by another worker now", kept.kind.noun, kept.service.subject)
            self._let_go(kept)
        except DATABASE_UNAVAILABLE_ERRORS:
            raise
        except Exception as error:
            # It counts as a failure, and the others are looked after all the same.
            logger.exception("%s %s: could not be looked after", kept.kind.noun, kept.service.subject)
            drop_broken_connection()
            said = f"The {kept.kind.server_noun} could not be looked after: {describe_error(error)}"
            self._end(kept, State.WAITING, error=said)

    def _look_whether_ready(self, kept: Kept) -> None:
        address = kept.server.read_address()
        if address:
            record_ready(
                kept.service,
                address=address,
                secret=kept.server.secret,
                lease_seconds=self.options.lease_seconds,
                counts=dict.fromkeys(kept.kind.counts({}), 0),
            )
            kept.is_ready, kept.since = True, time.monotonic()
            kept.answered_at = kept.since
            logger.info("%s %s: served at %s", kept.kind.noun, kept.service.subject, address)
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
                status = kept.server.status()
            except ServerUnreachable as error:
                if time.monotonic() - kept.answered_at > SILENT_SECONDS:
                    said = f"The {kept.kind.server_noun} did not say how it is: {error}."
                    self._end(kept, State.WAITING, error=said, force=True)
                    return
            else:
                kept.answered_at = time.monotonic()
                idle_seconds = float(status["idle_seconds"])
                changes = dict(kept.kind.counts(status))
                if changes["n_requests"]:
                    changes["last_used_at"] = database_now_plus(-idle_seconds)
        stop_requested = renew(kept.service, self.options.lease_seconds, **changes)
        if stop_requested:
            if self._is_settled(kept):
                self._end(kept, State.STOPPED, reason="asked for, or to make room")
        elif idle_seconds > kept.kind.idle_minutes() * 60:
            self._end(kept, State.STOPPED, reason=f"unused for {kept.kind.idle_minutes():g} minutes")
        elif kept.is_ready and not kept.has_held and time.monotonic() - kept.since > HELD_SECONDS:
            kept.has_held = True
            forget_failures(kept.service)

    def _is_settled(self, kept: Kept) -> bool:
        """Whether it may end: it writes nothing any more that somebody waits for. It is told to take nothing new."""
        if not (kept.kind.drains and kept.is_ready):
            return True
        if kept.drains_since is None:
            kept.drains_since = time.monotonic()
        if time.monotonic() - kept.drains_since > DRAIN_SECONDS:
            return True
        try:
            return int(kept.server.drain()["unsettled"]) == 0
        except ServerUnreachable:
            return False  # silent for long, it is ended by the next looks

    def _handle_exit(self, kept: Kept, code: int) -> None:
        """It ended and was not told to."""
        said = last_output_line(kept.server.directory)
        refused = code == EXIT_USER_ERROR and not kept.is_ready
        error = (said if refused else "") or describe_exit(code, said)
        logger.warning("%s %s: %s", kept.kind.noun, kept.service.subject, error)
        kept.server.kill()
        self._end(kept, State.FAILED if refused else State.WAITING, error=error)

    def _end(self, kept: Kept, to: str, *, reason: str = "", error: str = "", force: bool = False) -> None:
        """The row first: nobody is sent to a server that has been told to end."""
        with suppress(LostService):
            end_service(kept.service, to, reason=reason, error=error)
        self._let_go(kept, force=force)

    def _let_go(self, kept: Kept, *, force: bool = False) -> None:
        self.kept.pop(kept.key, None)
        if force:
            kept.server.kill()
            return
        kept.server.ask_to_stop()
        self.ending.append((kept.server, time.monotonic() + kept.server.launch.stop_grace_seconds))

    def _end_those_asked(self) -> None:
        left = []
        for server, deadline in self.ending:
            try:
                if self._has_ended(server, deadline):
                    continue
            except Exception:
                # The thread goes on: nobody else renews what is served.
                logger.exception("services: a server that was told to end could not be looked after")
                if time.monotonic() > deadline:
                    continue
            left.append((server, deadline))
        self.ending = left

    def _has_ended(self, server: ServerProcess, deadline: float) -> bool:
        if server.process is None:
            server.forget_folder()
        elif server.poll() is not None:
            server.process = None
            server.forget_folder()
        elif time.monotonic() > deadline:
            server.kill()
        else:
            return False
        return True
