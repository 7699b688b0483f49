"""Where a run's command is started. One small interface, so that a cluster's scheduler is one more class."""

import math
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from learning.interface.run_directory import FENCE_VARIABLE
from runs.os_processes import RUN_TAG_VARIABLE, end_processes, process_identity, signal_group

# What a trainer may know of the worker's environment. Everything else stays behind: the database's address,
# the secret key and API tokens are the worker's business.
ENVIRONMENT_ALLOWLIST = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "CC",
    "CXX",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "DS_ACCELERATOR",
    "HF_HOME",
    "HF_HUB_CACHE",
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "HF_DATASETS_OFFLINE",
    "TORCH_EXTENSIONS_DIR",
    "XDG_CACHE_HOME",
)
THREAD_COUNT_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
OUTPUT_FILE = "output.txt"
TORCHRUN_MARGIN_SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Launch:
    """One start of a command on a run directory."""

    module: str
    directory: Path
    working_directory: Path
    tag: str  # unique to the run; every process of it carries it
    fence: int
    processes: int
    threads: int
    stop_grace_seconds: float = 60.0  # from a request to stop until the worker itself ends the command
    environment: tuple[str, ...] = ()  # names of further variables to pass on


@dataclass(frozen=True, kw_only=True)
class Process:
    """What was started, in words that another worker can use."""

    host: str
    pid: int
    identity: str


class Launcher(Protocol):
    host: str

    def start(self, launch: Launch) -> Process:
        """Start the command; OSError when it cannot be started at all."""

    def poll(self, process: Process) -> int | None:
        """Its exit code, negative for a signal; None while it lives. A hint: status.json is the truth."""

    def stop(self, process: Process, launch: Launch, *, force: bool) -> None:
        """Ask it to checkpoint and leave, or (force) end it and all it started."""

    def kill_leftovers(self, tag: str, fence: int, process: Process | None) -> bool:
        """End what is left of a run's attempts up to `fence`; False when something would not die."""


def allowed_environment(source: Mapping[str, str], further: Iterable[str]) -> dict[str, str]:
    """What any process that reads models may know of `source`: the allow-list, and the names of `further`."""
    return {name: source[name] for name in (*ENVIRONMENT_ALLOWLIST, *further) if name in source}


def child_environment(launch: Launch, source: Mapping[str, str]) -> dict[str, str]:
    """The environment of a run's processes: an allow-list of `source`, thread counts, the fence and the run's tag."""
    environment = allowed_environment(source, launch.environment)
    environment |= {name: str(launch.threads) for name in THREAD_COUNT_VARIABLES}
    environment |= {
        # A thread that spins at a barrier keeps its core from the process that its partner waits behind: with one busy
        # neighbor on two cores PPO at width 128 took five times as long with 10,000 spins, and did not end with
        # libgomp's default of 300,000 (docs/decisions.md, 2026-11-28). Spins change no bit of a result.
        "GOMP_SPINCOUNT": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(launch.working_directory),
        # torchrun passes SIGTERM on and kills its ranks 30 s later by default, in the middle of a checkpoint that takes
        # longer. The worker, which waits for it, ends what does not end.
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(math.ceil(launch.stop_grace_seconds) + TORCHRUN_MARGIN_SECONDS),
        FENCE_VARIABLE: str(launch.fence),
        RUN_TAG_VARIABLE: launch.tag,
    }
    return environment


def command_line(launch: Launch) -> list[str]:
    """`python -m MODULE DIRECTORY`; of several processes learning.launch takes care, which is torchrun."""
    if launch.processes == 1:
        return [sys.executable, "-m", launch.module, str(launch.directory)]
    several = [sys.executable, "-m", "learning.launch", str(launch.processes)]
    return [*several, launch.module, str(launch.directory)]


class LocalLauncher:
    """Subprocesses of the worker's machine, each in a session of its own so that they outlive a killed worker
    long enough to be found, and do not get the terminal's Ctrl-C.
    """

    def __init__(self) -> None:
        self.host = socket.gethostname()
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, launch: Launch) -> Process:
        with open(launch.directory / OUTPUT_FILE, "ab") as output:
            child = subprocess.Popen(
                command_line(launch),
                cwd=launch.working_directory,
                env=child_environment(launch, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children[child.pid] = child
        return Process(host=self.host, pid=child.pid, identity=process_identity(child.pid))

    def poll(self, process: Process) -> int | None:
        code = self._children[process.pid].poll()
        if code is not None:
            del self._children[process.pid]
        return code

    def stop(self, process: Process, launch: Launch, *, force: bool) -> None:
        if not force:
            signal_group(process.pid, signal.SIGTERM)
            return
        self.kill_leftovers(launch.tag, launch.fence, process)
        if process.pid in self._children:
            # A child that nobody waits for stays in the table of processes.
            self._children[process.pid].poll()

    def kill_leftovers(self, tag: str, fence: int, process: Process | None) -> bool:
        if process is None or process.host != self.host:
            return end_processes(tag, fence, None, "")
        return end_processes(tag, fence, process.pid, process.identity)
