"""What a training process reads from and writes to its run directory. No torch.

Every write first checks the fence: an attempt that was given up for dead and overtaken must not write any
more. Of several processes only rank 0 writes; calls on the others do nothing, so that recipes need not ask.
"""

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import pyarrow as pa

from learning.interface.atomic_files import is_disk_full, write_json_atomically
from learning.interface.former_defaults import with_former_defaults
from learning.interface.json_lines import json_line
from learning.interface.moved_paths import follow_moved_paths
from learning.interface.options import UserError, load_options
from learning.interface.record_checks import ExtraColumns
from learning.interface.record_files import read_records
from learning.interface.record_rows import iso_utc
from learning.interface.run_directory import (
    EVALUATION_SAMPLES,
    FENCE_VARIABLE,
    Outcome,
    RunDirectory,
    StaleFence,
    Status,
)
from learning.interface.text import replace_unstorable_characters
from learning.recorded_environment import check_environment

HEARTBEAT_SECONDS = 2.0

T = TypeVar("T")


class StopRequested(Exception):
    """The run was asked to stop and has saved what it needs to go on."""


class PauseRequested(Exception):
    """The run found something that a person should decide on, and has saved what it needs to go on."""


class RunDirectoryBusy(UserError):
    """Another process holds the lock of the run directory."""


class RunContext(Generic[T]):
    """One attempt at a run. Given to a recipe's `main` by `learning.recipe_runner.run_recipe`."""

    options: T
    options_as_asked: T  # as config.json has them; `options` has the paths of a folder that was moved since

    def __init__(
        self,
        run_directory: RunDirectory,
        *,
        rank: int,
        world_size: int,
        fence: int | None,
        lock: IO[bytes] | None,
    ) -> None:
        self.run_directory = run_directory
        self.path = run_directory.path
        self.rank = rank
        self.world_size = world_size
        self.fence = fence
        self.stop_requested = False  # set by the signal handler; recipes stop through Checkpoints.after_step
        self._lock = lock
        self._streams: dict[str, IO[bytes]] = {}
        self._offsets = {"metrics.jsonl": 0, "samples.jsonl": 0, EVALUATION_SAMPLES: 0}
        self._status = Status(outcome="running", fence=fence, pid=os.getpid())
        self._attempt_notes: tuple[str, ...] = ()  # stand before what a recipe notes
        self._heartbeat_at = 0.0
        self._eta_origin: tuple[str, int, float] | None = None  # stage, step and time the pace counts from

    @property
    def is_main(self) -> bool:
        """Whether this process is rank 0, which alone writes."""
        return self.rank == 0

    @classmethod
    def open(
        cls,
        run_directory: RunDirectory,
        options_cls: type[T],
        *,
        command: str | None = None,
        describe_environment: Callable[[T], Mapping[str, Any]] | None = None,
        fence_wait_seconds: float = 20.0,
    ) -> "RunContext[T]":
        """Become the process that works here: take the lock, check the fence, load the options strictly.

        Rank 0 of several processes does this for all; the other ranks only read. `command` is the module
        that runs. A fenced attempt waits `fence_wait_seconds` for its predecessor to notice that it is
        stale and leave. Raises UserError (bad configuration, another environment than the checkpoints were
        made in), RunDirectoryBusy, StaleFence.
        """
        path = run_directory.path
        if not path.is_dir():
            raise UserError(f"{path}: no such run directory")
        if not (
            path / "config.json"
        ).is_file():  # nothing may be written into a folder that is something else
            raise UserError(f"{path}: not a run directory (no config.json)")
        rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        fence = _fence_from_environment(run_directory)
        lock = _take_lock(run_directory, fence, fence_wait_seconds) if rank == 0 else None
        context = cls(run_directory, rank=rank, world_size=world_size, fence=fence, lock=lock)
        try:
            made_for = run_directory.command()
            if command is not None and made_for != command:
                raise UserError(
                    f"{path}/config.json: this run directory was made for {made_for}; run that, not {command}"
                )
            asked = run_directory.config()
            if run_directory.has_partial_results():
                asked = with_former_defaults(options_cls, asked, run_directory.environment())
            options = load_options(options_cls, asked, where="config")
            context.options_as_asked = options
            moved = follow_moved_paths(asked, path)
            if moved is not None:
                options = load_options(options_cls, moved, where="config")
            if rank == 0 and describe_environment is not None:
                notes = check_environment(run_directory, dict(describe_environment(options)))
                context._attempt_notes = notes
                context._status = replace(context._status, notes=notes)
        except UserError as error:
            context.close("user_error", str(error))
            raise
        context.options = options
        context._write_status()
        return context

    # -- inputs ------------------------------------------------------------------------------------------------

    def has_input(self, name: str) -> bool:
        return self.run_directory.has_input(name)

    def input_path(self, name: str) -> Path:
        """The input's file, after its sha256 was compared with the manifest. Raises UserError."""
        path = self.run_directory.input_path(name)
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise UserError(f"{path}: the input {name!r} cannot be read ({error.strerror})") from error
        if found != self.run_directory.manifest()[name]["sha256"]:
            raise UserError(f"{path}: the input {name!r} is not what the manifest says; create the run again")
        return path

    def read_input(
        self, name: str, schema: pa.Schema, *, extra_columns: ExtraColumns = "refuse"
    ) -> list[dict[str, Any]]:
        """All rows of an input, checked. Raises UserError."""
        return read_records(self.input_path(name), schema, extra_columns=extra_columns)

    # -- writing -----------------------------------------------------------------------------------------------

    def require_current(self) -> None:
        """To be called before each step and each long write.

        Raises StaleFence when the attempt was overtaken.
        """
        self._require_fence()
        if self.is_main and time.monotonic() - self._heartbeat_at >= HEARTBEAT_SECONDS:
            self._write_status()

    def stop_if_requested(self) -> None:
        """For work that has no checkpoint of its own, between its pieces: the fence, the heartbeat, and a stop.

        Raises StopRequested when the run was asked to stop; started again it does that work anew.
        """
        self.require_current()
        if self.stop_requested:
            raise StopRequested("asked to stop; started again it begins this part anew")

    def write_models(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """models.json: how large the models of the run are (learning.models.sizes), for its page."""
        if self.is_main:
            self._require_fence()
            write_json_atomically(self.path / "models.json", {"models": [dict(row) for row in rows]})

    def log_metrics(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line. Numbers that are not finite are written as text ("nan"), which JSON cannot say."""
        self._append("metrics.jsonl", _to_json_value({"step": step, **values}))

    def log_sample(self, step: int, **texts: Any) -> None:
        """Append one sample: short named texts (prompt, response), numbers, or mappings of texts whose names somebody
        else gave.
        """
        self._append("samples.jsonl", _to_json_value({"step": step, **texts}))

    def log_evaluation_sample(self, step: int, **texts: Any) -> None:
        """A sample whose prompt is the same at each evaluation: also in a file of such, where it is found again."""
        self.log_sample(step, **texts)
        if EVALUATION_SAMPLES in self._offsets:
            self._append(EVALUATION_SAMPLES, _to_json_value({"step": step, **texts}))

    def set_status(
        self,
        *,
        stage: str | None = None,
        step: int | None = None,
        steps_total: int | None = None,
        reason: str | None = None,
        notes: Sequence[str] | None = None,
    ) -> None:
        """Write where the run stands; what is not given stays as it was. The ETA follows from the pace."""
        given: dict[str, Any] = {"stage": stage, "step": step, "steps_total": steps_total, "reason": reason}
        given["notes"] = None if notes is None else (*self._attempt_notes, *notes)
        changed: Any = {name: value for name, value in given.items() if value is not None}
        if stage is not None and stage != self._status.stage:
            changed = {"steps_total": None, "step": 0, **changed}
        self._status = replace(self._status, **changed)
        self._status = replace(self._status, eta_seconds=self._eta_seconds())
        if self.is_main:
            self._require_fence()
            self._write_status()

    def finish(self, result: Mapping[str, Any]) -> None:
        """The last write of a successful run."""
        if self.is_main:
            self._require_fence()
            write_json_atomically(self.path / "result.json", dict(result))
        self.close("done", "")

    def close(self, outcome: Outcome, reason: str) -> None:
        """Write how the attempt ended and release the folder.

        A rank other than 0 may report a failure, since rank 0 only learns that a peer is gone; the first
        failure that was reported stays.
        """
        failed = outcome in ("failed", "user_error")
        try:
            self._require_fence()
            earlier = self.run_directory.status() if failed else None
            is_second = earlier is not None and earlier.outcome in ("failed", "user_error")
            if (self.is_main or failed) and not (is_second and self._status_is_ours(earlier)):
                self._status = replace(self._status, outcome=outcome, reason=reason, eta_seconds=None)
                self._write_status()
        except StaleFence:
            pass  # the folder belongs to another attempt, whose status stands
        finally:
            self.release()

    def release(self) -> None:
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # -- what checkpoints need -----------------------------------------------------------------------------------

    def log_offsets(self) -> dict[str, int]:
        """Lengths of the metrics and samples written so far, now safe on disk."""
        for name in self._offsets:
            os.fsync(self._stream(name).fileno())
        return {name: self._stream(name).tell() for name in self._offsets}

    def truncate_logs(self, offsets: Mapping[str, int]) -> None:
        """Forget metrics and samples written after a checkpoint; before the first write of this attempt.

        A run whose checkpoint is from before there was a file of evaluations' samples goes on without one, so that
        what is in that file is always all of them.
        """
        if self._streams:
            raise RuntimeError("metrics were already written in this attempt")
        kept = [name for name in self._offsets if name != EVALUATION_SAMPLES or name in offsets]
        self._offsets = {name: offsets[name] for name in kept}

    # -- inside --------------------------------------------------------------------------------------------------

    def _status_is_ours(self, status: Status | None) -> bool:
        # At its start the attempt said "running", so a failure found now is of this attempt, if it began at all.
        return status is not None and status.fence == self.fence and hasattr(self, "options")

    def _require_fence(self) -> None:
        current = self.run_directory.read_fence()
        if current != self.fence:
            raise StaleFence(f"{self.path}: attempt {self.fence} was overtaken by attempt {current}")

    def _stream(self, name: str) -> IO[bytes]:
        if name not in self._streams:
            stream = open(self.path / name, "ab", buffering=0)  # noqa: SIM115 - closed by release
            if stream.tell() < self._offsets[name]:
                stream.close()
                raise UserError(
                    f"{self.path / name}: shorter than the checkpoint says ({self._offsets[name]} bytes); "
                    "clone this run"
                )
            # What an earlier attempt wrote after the point where this one goes on, a torn line included.
            stream.truncate(self._offsets[name])
            stream.seek(0, os.SEEK_END)
            self._streams[name] = stream
        return self._streams[name]

    def _append(self, name: str, row: Mapping[str, Any]) -> None:
        if not self.is_main:
            return
        self._require_fence()
        line = json_line(row)
        written = self._stream(name).write(line)
        if written != len(line):  # a nearly full disk takes a part; the next write would say so, too late
            self._stream(name).write(line[written:])

    def _eta_seconds(self) -> float | None:
        status, now = self._status, time.monotonic()
        if status.steps_total is None:
            return None
        if self._eta_origin is None or self._eta_origin[0] != status.stage:
            self._eta_origin = (status.stage, status.step, now)
        done = status.step - self._eta_origin[1]
        if done <= 0:
            return None
        left = max(0, status.steps_total - status.step)
        return round((now - self._eta_origin[2]) / done * left, 1)

    def _write_status(self) -> None:
        self._heartbeat_at = time.monotonic()
        self._status = replace(self._status, heartbeat=iso_utc(datetime.now(UTC)))
        path = self.path / "status.json"
        try:
            # No sync: fifty a second would wear the disk, and after a crash the supervisor looks at the process.
            write_json_atomically(path, asdict(self._status), sync=False)
        except OSError as error:
            if not is_disk_full(error) or not path.exists():
                raise
            _overwrite_in_place(path, asdict(self._status))


def _fence_from_environment(run_directory: RunDirectory) -> int | None:
    """The fence this process was started with; without one (started by hand) the one in the folder."""
    given = os.environ.get(FENCE_VARIABLE)
    current = run_directory.read_fence()
    if given is None:
        return current
    if not given.isdigit():
        raise UserError(f"{FENCE_VARIABLE}: expected a whole number, found {given!r}")
    if current != int(given):
        raise StaleFence(f"{run_directory.path}: attempt {given} may not write here, the fence is {current}")
    return int(given)


def _take_lock(run_directory: RunDirectory, fence: int | None, wait_seconds: float) -> IO[bytes]:
    lock = open(run_directory.path / "lock", "ab")  # noqa: SIM115 - held until the process ends
    deadline = time.monotonic() + (wait_seconds if FENCE_VARIABLE in os.environ else 0.0)
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        except BlockingIOError:
            if run_directory.read_fence() != fence:
                lock.close()
                raise StaleFence(
                    f"{run_directory.path}: attempt {fence} was overtaken while it waited"
                ) from None
            if time.monotonic() >= deadline:
                lock.close()
                raise RunDirectoryBusy(
                    f"{run_directory.path}: another process is working in this run directory; wait for it or stop it"
                ) from None
            time.sleep(0.1)


def _overwrite_in_place(path: Path, status: dict[str, Any]) -> None:
    """The last resort on a full disk: the blocks that the old status takes can still be written."""
    room = path.stat().st_size
    content = json.dumps(status, ensure_ascii=False).encode()
    while len(content) > room and status["reason"]:
        status = {**status, "reason": status["reason"][:-10]}
        content = json.dumps(status, ensure_ascii=False).encode()
    with open(path, "r+b", buffering=0) as file:
        file.write(content.ljust(room))


def _to_json_value(value: Any) -> Any:
    """A JSON value: tensors and NumPy scalars become numbers, numbers that are not finite become text."""
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        # Samples may hold anything a model says.
        return replace_unstorable_characters(value)
    if isinstance(value, dict):
        return {_to_json_value(key): _to_json_value(inner) for key, inner in value.items()}
    return value
