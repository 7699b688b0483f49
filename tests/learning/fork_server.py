"""Real commands in real processes without seconds of imports each: every one is forked from a process that has imported
what they need. Each attempt is as `python -m COMMAND RUN_DIR`, alone or as several ranks over gloo, and may be ended by
SIGKILL at a chosen point of its own code.

    python -m tests.learning.fork_server MODULE...     reads requests on stdin, a JSON line each

That a recipe starts from nothing at all is shown where workers start it (tests/runs/test_training_runs.py and others).
"""

import atexit
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, LlamaConfig

from learning.interface.run_directory import RunDirectory

ROOT = Path(__file__).resolve().parents[2]
OWN_CODE = tuple(f"{ROOT / name}/" for name in ("learning", "rewardmodel", "policy_training"))
SECONDS = 1200.0  # a busy machine is slow; a wait without end is none


@dataclass(frozen=True)
class KillPoint:
    """Where a process ends itself: `calls` calls of its own code after it came for the `nth` time to `function`
    (a qualified name, with its first argument after a colon if that is to be looked at; "": to its start). Counted are
    calls to and from functions of the program; of what they call inside other libraries nothing.

    `half_a_line`: it first writes half of the line that `RunContext._append` was called for.
    """

    function: str = ""
    nth: int = 1
    calls: int = 0
    half_a_line: bool = False


class ForkServer:
    def __init__(self, *modules: str) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment |= {"HF_HUB_OFFLINE": "1", "DS_ACCELERATOR": "cpu", "PYTHONPATH": str(ROOT)}
        # Nothing may be compiled.
        environment |= {"CXX": "/nowhere/c++", "TORCH_EXTENSIONS_DIR": "/nowhere/extensions"}
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "ROUNDTABLE_FENCE"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.learning.fork_server", *modules],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(
        self, run: RunDirectory, *, processes: int = 1, kill: KillPoint | None = None, expected: int = 0
    ) -> str:
        """One attempt at the run, to its end; what it wrote to stderr. Of several ranks the first that fails counts."""
        errors = run.path.with_name(f"{run.path.name}.stderr")
        return self.call(
            run.command(), str(run.path), errors=errors, processes=processes, kill=kill, expected=expected
        )

    def call(
        self,
        command: str,
        *arguments: str,
        errors: Path,
        processes: int = 1,
        kill: KillPoint | None = None,
        expected: int = 0,
    ) -> str:
        """The same of any module. `errors`: a file for stderr."""
        request = {
            "command": command,
            "arguments": arguments,
            "errors": str(errors),
            "processes": processes,
            "kill": None if kill is None else asdict(kill),
        }
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS + 60)
        answer = self._process.stdout.readline() if ready else b""
        assert answer, f"{command}: the process that forks gave no answer; {errors.read_text()[-3000:]}"
        code, said = json.loads(answer), errors.read_text()
        assert code == expected, f"{command} ended with {code} and not {expected}; {said[-3000:]}"
        return said

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@functools.cache
def shared_fork_server() -> ForkServer:
    """One of this test process, for every recipe."""
    server = ForkServer("peft")
    atexit.register(server.close)
    return server


def serve(modules: list[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    warm_up()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a command prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        importlib.import_module(request["command"])
        if request["processes"] > 1:
            importlib.import_module("deepspeed")
        answers.write(json.dumps(attempt(request)) + "\n")
        answers.flush()


def warm_up() -> None:
    """What loading a model imports and compiles the first time is inherited by every fork."""
    with tempfile.TemporaryDirectory() as folder:
        shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
        AutoModelForCausalLM.from_config(LlamaConfig(vocab_size=8, **shape)).save_pretrained(folder)
        for kind in (AutoModelForCausalLM, AutoModelForSequenceClassification):
            kind.from_pretrained(folder)


def attempt(request: dict[str, Any]) -> int:
    """The exit status, negative for a signal, of the first rank that failed, or 0."""
    ranks: dict[int, int] = {}
    ports = free_port() if request["processes"] > 1 else None
    Path(request["errors"]).write_bytes(b"")
    for rank in range(request["processes"]):
        pid = os.fork()
        if pid == 0:
            work(request, rank, ports)
        ranks[pid] = rank
    deadline, failed = time.monotonic() + SECONDS, 0
    while ranks:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            del ranks[pid]
            failed = failed or os.waitstatus_to_exitcode(status)
        if ranks and (failed or time.monotonic() > deadline):  # the others wait for it
            for other in ranks:
                os.kill(other, signal.SIGKILL)
            failed = failed or -signal.SIGALRM
        if not pid:
            time.sleep(0.002)
    return failed


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def work(request: dict[str, Any], rank: int, port: int | None) -> None:
    """In the child: the command, as if it had been started; never returns."""
    code = 70
    try:
        errors = os.open(request["errors"], os.O_WRONLY | os.O_APPEND)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        if port is not None:
            os.environ |= {
                "RANK": str(rank),
                "LOCAL_RANK": str(rank),
                "WORLD_SIZE": str(request["processes"]),
            }
            os.environ |= {"LOCAL_WORLD_SIZE": str(request["processes"])}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        sys.argv = [request["command"], *request["arguments"]]
        warnings.filterwarnings("ignore", message=".*found in sys.modules", category=RuntimeWarning)
        if request["kill"] is not None:
            sys.setprofile(Killer(KillPoint(**request["kill"])))
        runpy.run_module(request["command"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stderr.flush()
        os._exit(code)


class Killer:
    """A profile function that kills its process where the point says."""

    def __init__(self, point: KillPoint) -> None:
        self._point = point
        self._function, _, self._argument = point.function.partition(":")
        self._left = point.nth if point.function else 0
        self._calls = point.calls
        self._is_own: dict[Any, bool] = {}

    def __call__(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "call":
            is_counted = self._own(frame) or self._own(frame.f_back)
        elif event == "c_call":
            is_counted = self._own(frame)
        else:
            return
        if not is_counted:
            return
        if self._left:
            if event == "call" and self._is_the_function(frame):
                self._left -= 1
            if self._left:
                return
            if self._point.half_a_line:
                self._write_half_a_line(frame)
        if self._calls == 0:
            where = f"{frame.f_code.co_qualname}:{frame.f_lineno} {getattr(arg, '__name__', '')}"
            os.write(2, f"killed at {where}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self._calls -= 1

    def _own(self, frame: FrameType | None) -> bool:
        if frame is None:
            return False
        code = frame.f_code
        if code not in self._is_own:
            self._is_own[code] = code.co_filename.startswith(OWN_CODE)
        return self._is_own[code]

    def _is_the_function(self, frame: FrameType) -> bool:
        code = frame.f_code
        if code.co_qualname != self._function or not self._own(frame):
            return False
        return not self._argument or self._argument in map(str, frame.f_locals.values())

    def _write_half_a_line(self, frame: FrameType) -> None:
        sys.setprofile(None)
        values = frame.f_locals
        stream = values["self"]._stream(values["name"])
        stream.write(json.dumps(values["row"]).encode()[:30])
        sys.setprofile(self)


if __name__ == "__main__":
    serve(sys.argv[1:])
