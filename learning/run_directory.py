"""The folder through which the site and a training process talk: the site writes inputs, training writes results.

    config.json      what was asked: {schema_version, command, options, environment}; the environment is filled in
                     when the run first starts
    inputs/          record files and manifest.json (sha256, rows, where they came from)
    fence            number of the attempt that may write here (the child finds its own in ROUNDTABLE_FENCE)
    lock             held by the process that works here
    status.json      replaced atomically; this file is the truth, launchers swallow exit codes
    metrics.jsonl    one line a step       samples.jsonl   text worth looking at
    checkpoints/     see learning.checkpoints
    model/           the result            log.txt         result.json   written last: its existence means success

This module is light: no torch, no Django. What a training process does with the folder is in learning.attempts.
"""

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from learning.attempts import (
    FENCE_VARIABLE,
    OUTCOMES,
    Attempt,
    Outcome,
    RunDirectoryBusy,
    StaleFence,
    Status,
    StopRequested,
)
from learning.durable import sync_folder, write_json_atomically
from learning.options import UserError, load_options, options_to_mapping
from learning.records import write_records

__all__ = [  # the site imports this module and none of those behind it
    "FENCE_VARIABLE",
    "OUTCOMES",
    "Attempt",
    "Outcome",
    "RunDirectory",
    "RunDirectoryBusy",
    "StaleFence",
    "Status",
    "StopRequested",
]

SCHEMA_VERSION = 1
# What must be unchanged for a resumed run to give the same bits; code_version is recorded and not compared.
COMPARED_ENVIRONMENT = ("python", "packages", "cpu_capability", "device", "threads", "processes", "dtype")
LOG_TAIL_BYTES = 256 * 1024

T = TypeVar("T")
Inputs = Mapping[str, tuple[Iterable[Mapping[str, Any]], pa.Schema] | Path]


class RunDirectory:
    """One run's folder, seen from the site (create, fence, watch) and at the start of a training process (begin)."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def model_path(self) -> Path:
        return self.path / "model"

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        command: str,
        config: Any,
        inputs: Inputs | None = None,
        provenance: Mapping[str, str] | None = None,
        replace: bool = False,
    ) -> "RunDirectory":
        """Make the folder with its configuration and inputs; it appears whole or not at all.

        `command` is a module name (`rewardmodel.training.train`), `config` an options object or its mapping.
        An input is (rows, schema), written as Parquet, or the path of a file to copy; `provenance` says in words
        where an input came from. With `replace` a folder that is there gives way once the new one is complete.
        Raises UserError when the folder exists otherwise, or a row is not as its schema says.
        """
        path = Path(path)
        if path.exists() and not replace:
            raise UserError(f"{path}: this run directory exists already; choose another")
        options = config if isinstance(config, Mapping) else options_to_mapping(config)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            (temporary / "inputs").mkdir(parents=True)
            manifest = {
                name: _write_input(temporary / "inputs", name, given, (provenance or {}).get(name))
                for name, given in (inputs or {}).items()
            }
            write_json_atomically(temporary / "inputs" / "manifest.json", {"files": manifest})
            envelope = {
                "schema_version": SCHEMA_VERSION,
                "command": command,
                "options": options,
                "environment": None,
            }
            write_json_atomically(temporary / "config.json", envelope)
            if path.exists():
                shutil.rmtree(path)
            os.rename(temporary, path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return cls(path)

    # -- the configuration -------------------------------------------------------------------------------------

    def command(self) -> str:
        """The module that runs this directory."""
        return str(self._envelope()["command"])

    def config(self) -> dict[str, Any]:
        """The options as they were asked for."""
        return dict(self._envelope()["options"])

    def environment(self) -> dict[str, Any] | None:
        """Where the run was started: versions, processor, threads; None before the first start."""
        return self._envelope()["environment"]

    def _envelope(self) -> dict[str, Any]:
        envelope = _read_json(self.path / "config.json")
        if envelope is None:
            raise UserError(f"{self.path}: not a run directory (no config.json)")
        expected = {"schema_version", "command", "options", "environment"}
        if not isinstance(envelope, dict) or set(envelope) != expected:
            raise UserError(
                f"{self.path}/config.json: expected exactly the keys {', '.join(sorted(expected))}"
            )
        if envelope["schema_version"] != SCHEMA_VERSION:
            raise UserError(
                f"{self.path}/config.json: schema_version {envelope['schema_version']} cannot be run by this "
                f"version ({SCHEMA_VERSION}); clone this run"
            )
        return envelope

    # -- inputs ------------------------------------------------------------------------------------------------

    def manifest(self) -> dict[str, dict[str, Any]]:
        """Input name -> {file, sha256, rows, source}."""
        path = self.path / "inputs" / "manifest.json"
        manifest = _read_json(path)
        if manifest is None:
            return {}
        files = manifest.get("files") if isinstance(manifest, dict) else None
        described = isinstance(files, dict) and all(
            isinstance(one, dict) and {"file", "sha256"} <= one.keys() for one in files.values()
        )
        if not described:
            raise UserError(f'{path}: expected {{"files": {{name: {{"file": ..., "sha256": ...}}}}}}')
        return dict(files or {})

    def has_input(self, name: str) -> bool:
        return name in self.manifest()

    def input_path(self, name: str) -> Path:
        manifest = self.manifest()
        if name not in manifest:
            raise UserError(
                f"{self.path}: the input {name!r} is missing; found {', '.join(manifest) or 'none'}"
            )
        return self.path / "inputs" / manifest[name]["file"]

    # -- the fence ---------------------------------------------------------------------------------------------

    def write_fence(self, number: int) -> None:
        """From now on only the attempt of this number may write here. Raises StaleFence when a later one may."""
        try:
            current = self.read_fence()
        except UserError:
            current = None  # a damaged file: what is written now mends it
        if current is not None and current > number:
            raise StaleFence(f"{self.path}: attempt {number} was overtaken by attempt {current}")
        write_json_atomically(self.path / "fence", number)

    def read_fence(self) -> int | None:
        number = _read_json(self.path / "fence")
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise UserError(f"{self.path}/fence: expected a whole number, found {number!r}")
        return number

    # -- watching ----------------------------------------------------------------------------------------------

    def status(self) -> Status | None:
        """What the run last said of itself; None before its first start."""
        found = _read_json(self.path / "status.json")
        if found is None:
            return None
        known = {field.name for field in dataclasses.fields(Status)}
        return Status(**{name: value for name, value in found.items() if name in known})

    def metrics(self, since_offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The rows after `since_offset`, and the offset for the next call.

        An unterminated last line is left for the next call. When a resumed run has truncated the file below
        `since_offset`, everything is returned from the start.
        """
        return _json_lines(self.path / "metrics.jsonl", since_offset)

    def samples(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last sample texts, oldest first."""
        return _json_lines(self.path / "samples.jsonl", 0)[0][-limit:]

    def log_tail(self, lines: int = 200) -> str:
        """The last lines of log.txt (of its last 256 KB)."""
        try:
            with open(self.path / "log.txt", "rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - LOG_TAIL_BYTES))
                tail = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(tail.rstrip("\n").split("\n")[-lines:]).replace("\x00", "\ufffd")

    def result(self) -> dict[str, Any] | None:
        """What the run returned; None while it has not succeeded."""
        return _read_json(self.path / "result.json")

    def has_part_results(self) -> bool:
        """Whether something was computed that a further start would build on."""
        return self.has_checkpoint() or any(self.path.glob("parts/*.parquet"))

    def has_checkpoint(self) -> bool:
        """Whether a complete checkpoint exists (its contents are verified when it is loaded)."""
        return any(self.path.glob("checkpoints/step-*/complete.json"))

    # -- starting ----------------------------------------------------------------------------------------------

    def begin(
        self,
        options_cls: type[T],
        *,
        command: str | None = None,
        describe_environment: Callable[[T], Mapping[str, Any]] | None = None,
        fence_wait_seconds: float = 20.0,
    ) -> Attempt[T]:
        """Become the process that works here: take the lock, check the fence, load the options strictly.

        Rank 0 of several processes does this for all; the other ranks only read. `command` is the module that begins.
        A fenced attempt waits `fence_wait_seconds` for its predecessor to notice that it is stale and leave. Raises
        UserError (bad configuration, another environment than the checkpoints were made in), RunDirectoryBusy,
        StaleFence.
        """
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such run directory")
        if not (
            self.path / "config.json"
        ).is_file():  # nothing may be written into a folder that is something else
            raise UserError(f"{self.path}: not a run directory (no config.json)")
        rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        fence = self._own_fence()
        lock = self._take_lock(fence, fence_wait_seconds) if rank == 0 else None
        attempt: Attempt[Any] = Attempt(self, rank=rank, world_size=world_size, fence=fence, lock=lock)
        try:
            envelope = self._envelope()
            if command is not None and envelope["command"] != command:
                raise UserError(
                    f"{self.path}/config.json: this run directory was made for {envelope['command']}; run that, not "
                    f"{command}"
                )
            options = load_options(options_cls, envelope["options"], where="config")
            if rank == 0 and describe_environment is not None:
                self._settle_environment(dict(describe_environment(options)))
        except UserError as error:
            attempt.end("user_error", str(error))
            raise
        attempt.start(options)
        return attempt

    def _own_fence(self) -> int | None:
        """The fence this process was started with; started by hand, it goes by what the folder says now."""
        given = os.environ.get(FENCE_VARIABLE)
        current = self.read_fence()
        if given is None:
            return current
        if not given.isdigit():
            raise UserError(f"{FENCE_VARIABLE}: expected a whole number, found {given!r}")
        if current != int(given):
            raise StaleFence(f"{self.path}: attempt {given} may not write here, the fence is {current}")
        return int(given)

    def _take_lock(self, fence: int | None, wait_seconds: float) -> IO[bytes]:
        lock = open(self.path / "lock", "ab")  # noqa: SIM115 - held until the process ends
        deadline = time.monotonic() + (wait_seconds if FENCE_VARIABLE in os.environ else 0.0)
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
            except BlockingIOError:
                if self.read_fence() != fence:
                    lock.close()
                    raise StaleFence(f"{self.path}: attempt {fence} was overtaken while it waited") from None
                if time.monotonic() >= deadline:
                    lock.close()
                    raise RunDirectoryBusy(
                        f"{self.path}: another process is working in this run directory; wait for it or stop it"
                    ) from None
                time.sleep(0.1)

    def _settle_environment(self, present: dict[str, Any]) -> None:
        """Record where the run starts, or refuse to go on from checkpoints that were made elsewhere."""
        envelope = self._envelope()
        recorded = envelope["environment"]
        if recorded == present:
            return
        if recorded is not None and self.has_part_results():
            differences = _differences(recorded, present)
            if differences:
                raise UserError(
                    f"{self.path}: the checkpoints were made with {differences}; resuming would not give the "
                    "same result, so clone this run to start it anew"
                )
            return
        # Nothing that was computed elsewhere goes into the result, so this is the run's first start.
        write_json_atomically(self.path / "config.json", {**envelope, "environment": present})


def _differences(recorded: Mapping[str, Any], present: Mapping[str, Any]) -> str:
    parts = []
    for key in COMPARED_ENVIRONMENT:
        before, now = recorded.get(key), present.get(key)
        if isinstance(before, dict) and isinstance(now, dict):
            for name in sorted(before.keys() | now.keys()):
                if before.get(name) != now.get(name):
                    parts.append(f"{name} {before.get(name)} (now {now.get(name)})")
        elif before != now:
            parts.append(f"{key} {before} (now {now})")
    return ", ".join(parts)


def _write_input(folder: Path, name: str, given: Any, source: str | None) -> dict[str, Any]:
    if not name.replace("_", "").isalnum():
        raise ValueError(f"{name!r} cannot name an input")
    if isinstance(given, (str, Path)):
        given = Path(given)
        if not given.is_file():
            raise UserError(f"{given}: no such file to use as the input {name!r}")
        target = folder / f"{name}{''.join(given.suffixes[-2:]) if given.suffix == '.gz' else given.suffix}"
        shutil.copyfile(given, target)
        rows = pq.ParquetFile(target).metadata.num_rows if target.suffix == ".parquet" else None
    else:
        target = folder / f"{name}.parquet"
        rows = write_records(target, given[0], given[1])
    with open(target, "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return {"file": target.name, "sha256": sha256, "rows": rows, "source": source}


def _read_json(path: Path) -> Any:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise UserError(f"{path}: not readable as JSON ({error}); the run directory is damaged") from error


def _json_lines(path: Path, since_offset: int) -> tuple[list[dict[str, Any]], int]:
    try:
        with open(path, "rb") as file:
            if since_offset > 0:
                file.seek(since_offset - 1)
                if file.read(1) != b"\n":  # truncated since then, and perhaps grown again
                    since_offset = 0
            file.seek(since_offset)
            content = file.read()
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise UserError(
                f"{path}: line {number} after byte {since_offset} is damaged ({error})"
            ) from error
    return rows, since_offset + len(whole)
