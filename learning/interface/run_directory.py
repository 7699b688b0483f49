"""The folder between the site and a training process: the site writes inputs, training writes results.

    config.json      what was asked: {schema_version, command, options, environment}; the environment is filled in
                     when the run first starts
    inputs/          record files and manifest.json (sha256, rows, where they came from)
    fence            number of the attempt that may write here (the child finds its own in ROUNDTABLE_FENCE)
    lock             held by the process that works here
    status.json      replaced atomically; this file is the truth, launchers swallow exit codes
    metrics.jsonl    one line a step       samples.jsonl   text worth looking at
    evaluation_samples.jsonl  of those, the answers to the prompts that are the same at each evaluation
    checkpoints/     see learning.checkpoints
    judge.json       what a language model that judges was asked so far, its ties, tokens and cost
    model/           the result            log.txt         result.json   written last: its existence means success

What a training process does with the folder is in learning.run_context.
"""

import dataclasses
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from learning.interface.atomic_files import atomic_folder, write_json_atomically
from learning.interface.former_commands import MOVED
from learning.interface.options import UserError, options_to_dict
from learning.interface.plain_files import open_plain, read_tail
from learning.interface.record_files import write_records
from learning.interface.text import replace_unstorable_characters

SCHEMA_VERSION = 2  # of config.json; raised whenever a key of any options class is renamed or removed
FENCE_VARIABLE = "ROUNDTABLE_FENCE"  # of the environment: the number of the attempt that a process belongs to
LOG_TAIL_BYTES = 256 * 1024
SAMPLES_TAIL_BYTES = 2 * 1024 * 1024
MAX_JSON_BYTES = 64 * 1024 * 1024  # of a file that is read whole

# "paused" is kept for runs that are halted by a person; no command writes it yet.
Outcome = Literal["running", "checkpointed", "paused", "user_error", "failed", "done"]
# Written for a paused run: it is to end, with its best checkpoint.
END_REQUEST = "end_request.json"
JUDGE_FILE = "judge.json"
# Files of answers and verdicts, each complete or extended line by line, that a further start reads again.
KEPT_ANSWERS = (
    "answers/*.jsonl",
    "answers/*.parquet",
    "candidates/*.jsonl",
    "candidates/*.parquet",
    "shards/*.jsonl",
    "rollout_answers/*.jsonl",
    "verdicts.jsonl",
)
EVALUATION_SAMPLES = "evaluation_samples.jsonl"
OUTCOMES: tuple[Outcome, ...] = ("running", "checkpointed", "paused", "user_error", "failed", "done")

Inputs = Mapping[str, tuple[Iterable[Mapping[str, Any]], pa.Schema] | Path]


class StaleFence(Exception):
    """Another attempt may write here now: leave at once, and write nothing."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What status.json says. `fence` is that of the attempt that wrote it; times are ISO 8601 UTC.

    `notes` are sentences for the run's page: what was left out or cut, and how much of it.
    """

    outcome: Outcome
    reason: str = ""
    stage: str = ""
    step: int = 0
    steps_total: int | None = None
    eta_seconds: float | None = None
    heartbeat: str = ""
    fence: int | None = None
    pid: int = 0
    notes: tuple[str, ...] = ()


_STATUS_TYPES: dict[str, tuple[type, ...]] = {
    "outcome": (str,),
    "reason": (str,),
    "stage": (str,),
    "step": (int,),
    "steps_total": (int, type(None)),
    "eta_seconds": (int, float, type(None)),
    "heartbeat": (str,),
    "fence": (int, type(None)),
    "pid": (int,),
    "notes": (list,),
}


class RunDirectory:
    """One run's folder: its configuration, its inputs, its fence, and what the run has written."""

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
        """Make the folder with its configuration and inputs, atomically.

        `command` is a module name (`rewardmodel.training.train`), `config` an options object or its
        mapping. An input is (rows, schema), written as Parquet, or the path of a file to copy;
        `provenance` says in words where an input came from. With `replace` a folder that is there gives
        way once the new one is complete. Raises UserError when the folder exists otherwise, or a row is
        not as its schema says.
        """
        path = Path(path)
        if path.exists() and not replace:
            raise UserError(f"{path}: this run directory exists already; choose another")
        options = config if isinstance(config, Mapping) else options_to_dict(config)
        with atomic_folder(path) as folder:
            (folder / "inputs").mkdir()
            manifest = {
                name: _write_input(folder / "inputs", name, given, (provenance or {}).get(name))
                for name, given in (inputs or {}).items()
            }
            write_json_atomically(folder / "inputs" / "manifest.json", {"files": manifest})
            written = {
                "schema_version": SCHEMA_VERSION,
                "command": command,
                "options": options,
                "environment": None,
            }
            write_json_atomically(folder / "config.json", written)
        return cls(path)

    # -- the configuration -------------------------------------------------------------------------------------

    def command(self) -> str:
        """The module that runs this directory."""
        command = str(self._read_config()["command"])
        return MOVED.get(command, command)

    def config(self) -> dict[str, Any]:
        """The options as they were asked for."""
        return dict(self._read_config()["options"])

    def environment(self) -> dict[str, Any] | None:
        """Where the run was started: versions, processor, threads; None before the first start."""
        return self._read_config()["environment"]

    def record_environment(self, environment: Mapping[str, Any]) -> None:
        """Write down where the run starts. Nothing else of config.json ever changes."""
        config = self._read_config()
        write_json_atomically(self.path / "config.json", {**config, "environment": dict(environment)})

    def _read_config(self) -> dict[str, Any]:
        config = _read_json(self.path / "config.json")
        if config is None:
            raise UserError(f"{self.path}: not a run directory (no config.json)")
        expected = {"schema_version", "command", "options", "environment"}
        if not isinstance(config, dict) or set(config) != expected:
            raise UserError(
                f"{self.path}/config.json: expected exactly the keys {', '.join(sorted(expected))}"
            )
        version = config["schema_version"]
        if version != SCHEMA_VERSION:
            age = "an earlier" if isinstance(version, int) and version < SCHEMA_VERSION else "another"
            raise UserError(
                f"{self.path}/config.json: this run was made by {age} version of the program (schema_version "
                f"{version}, not {SCHEMA_VERSION}); clone the run or start a new one"
            )
        return config

    # -- inputs ------------------------------------------------------------------------------------------------

    def manifest(self) -> dict[str, dict[str, Any]]:
        """Input name -> {file, sha256, rows, source}."""
        path = self.path / "inputs" / "manifest.json"
        manifest = _read_json(path)
        if manifest is None:
            return {}
        files = manifest.get("files") if isinstance(manifest, dict) else None
        described = isinstance(files, dict) and all(
            isinstance(entry, dict) and {"file", "sha256"} <= entry.keys() for entry in files.values()
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
        """From now on only the attempt of this number may write here.

        Raises StaleFence when a later one may.
        """
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

    def is_locked(self) -> bool:
        """Whether a living process works here (it holds the lock until it ends, however it ends)."""
        try:
            with open(self.path / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    # -- watching ----------------------------------------------------------------------------------------------

    def status(self) -> Status | None:
        """What the run last said of itself; None before its first start."""
        found = _read_json(self.path / "status.json")
        if found is None:
            return None
        if not isinstance(found, dict):
            raise UserError(f"{self.path}/status.json: not a JSON object; the run directory is damaged")
        for name, kinds in _STATUS_TYPES.items():
            if name in found and (not isinstance(found[name], kinds) or isinstance(found[name], bool)):
                raise UserError(f"{self.path}/status.json: {name} is of the wrong type")
        known = {field.name for field in dataclasses.fields(Status)}
        return Status(**{name: value for name, value in found.items() if name in known})

    def metrics(
        self, since_offset: int = 0, limit_bytes: int | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """The rows after `since_offset`, of at most `limit_bytes`, and the offset for the next call.

        What is no JSON object is left out, and an unterminated last line is left for the next call. When a resumed
        run has truncated the file below `since_offset`, it begins at the start.
        """
        return _json_lines(self.path / "metrics.jsonl", since_offset, limit_bytes)

    def samples(self, limit: int = 50) -> list[dict[str, Any]]:
        """The last sample texts, oldest first: of the last 2 MB of the file, however long it is."""
        try:
            tail = read_tail(self.path / "samples.jsonl", SAMPLES_TAIL_BYTES)
        except FileNotFoundError:
            return []
        lines = tail.split(b"\n")[:-1]
        if len(tail) == SAMPLES_TAIL_BYTES:
            lines = lines[1:]  # the first one is likely cut
        rows = [_parse_line(line, f"{self.path}/samples.jsonl") for line in lines[-limit:]]
        return [row for row in rows if isinstance(row, dict)]

    def log_tail(self, lines: int = 200) -> str:
        """The last lines of log.txt (of its last 256 KB)."""
        try:
            tail = read_tail(self.path / "log.txt", LOG_TAIL_BYTES).decode(errors="replace")
        except FileNotFoundError:
            return ""
        return replace_unstorable_characters("\n".join(tail.rstrip("\n").split("\n")[-lines:]))

    def result(self) -> dict[str, Any] | None:
        """What the run returned; None while it has not succeeded."""
        return _read_json(self.path / "result.json")

    def judge(self) -> dict[str, Any] | None:
        """What its judge was asked so far, however the run ends; None before that, and without a judge."""
        return _read_json(self.path / JUDGE_FILE)

    def ask_to_end(self, ask: bool = True) -> None:
        """Have a paused run, started again, end with its best checkpoint; or take that back. Nothing may work here."""
        path = self.path / END_REQUEST
        if ask:
            write_json_atomically(path, {"end": "best checkpoint"})
        else:
            path.unlink(missing_ok=True)

    def is_asked_to_end(self) -> bool:
        return (self.path / END_REQUEST).is_file()

    def has_partial_results(self) -> bool:
        """Whether something was computed that a further start would build on."""
        return self.has_checkpoint() or any(self.path.glob("shards/*.parquet"))

    def has_kept_answers(self) -> bool:
        """Whether answers or verdicts lie here that a further start does not ask for again: a server may have been paid
        for them.
        """
        return any(file.stat().st_size for pattern in KEPT_ANSWERS for file in self.path.glob(pattern))

    def has_checkpoint(self) -> bool:
        """Whether a complete checkpoint exists (its contents are verified when it is loaded)."""
        return any(self.path.glob("checkpoints/step-*/complete.json"))


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
        with open_plain(path) as file:
            content = file.read(MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_JSON_BYTES:
        raise UserError(f"{path}: larger than {MAX_JSON_BYTES:,} bytes; the run directory is damaged")
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}); the run directory is damaged") from error


def _json_lines(path: Path, since_offset: int, limit_bytes: int | None) -> tuple[list[dict[str, Any]], int]:
    try:
        with open_plain(path) as file:
            if since_offset > 0:
                file.seek(since_offset - 1)
                if file.read(1) != b"\n":  # truncated since then, and perhaps grown again
                    since_offset = 0
            file.seek(since_offset)
            content = file.read(limit_bytes if limit_bytes is not None else -1)
            if limit_bytes is not None and len(content) == limit_bytes and b"\n" not in content:
                content += file.readline()  # one long line is one row all the same
    except FileNotFoundError:
        return [], 0
    whole = content[: content.rfind(b"\n") + 1]
    rows = []
    for number, line in enumerate(whole.splitlines(), start=1):
        row = _parse_line(line, f"{path}: line {number} after byte {since_offset}")
        if isinstance(row, dict):
            rows.append(row)
    return rows, since_offset + len(whole)


def _parse_line(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is damaged ({error})") from error
