"""`manage.py demo` as a visitor starts it: a process of its own, with an own data folder."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


def environment_of(folder: Path) -> dict[str, str]:
    environment = {
        **os.environ,
        "ROUNDTABLE_DATA_DIR": str(folder),
        "ROUNDTABLE_SECRET_KEY": "only-for-this-test-" * 4,
        "ROUNDTABLE_DATABASE_URL": "",
        "PYTHONUNBUFFERED": "1",
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return environment


@pytest.fixture(scope="module")
def set_up(tmp_path_factory) -> Path:
    """A data folder as `make setup` leaves it."""
    folder = tmp_path_factory.mktemp("set-up")
    for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"]):
        subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=environment_of(folder), check=True
        )
    return folder


@pytest.fixture
def start(set_up, tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command in a folder that is set up; what is left of it at the test's end is killed."""
    shutil.copytree(set_up, tmp_path, dirs_exist_ok=True)
    environment = environment_of(tmp_path)
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "manage.py", "demo", *arguments]
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # The tests themselves may run under nohup.
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=240)
    for pid in processes_of(tmp_path):
        os.kill(pid, signal.SIGKILL)


def processes_of(folder: Path) -> list[int]:
    """Who works for the installation in this data folder, this process apart."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                # The command line as well: training is started without most of its parent's environment.
                said = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in said:
                found.append(int(entry.name))
    return found


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if match := re.search(pattern, line):
            return match
    raise AssertionError(f"the demo ended without saying {pattern!r}:\n{said}")


@pytest.mark.parametrize("stopped_by", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_however_it_is_stopped_the_site_the_worker_and_the_training_go_with_it(start, tmp_path, stopped_by):
    process = start("--port", "8460")
    address = read_until(process, r"Roundtable is at\s+(\S+)")[1]
    read_until(process, "base policy learns")
    assert urllib.request.urlopen(f"{address}healthz", timeout=60).status == 200
    deadline = time.monotonic() + 240
    while not any("policy_training" in command_of(pid) for pid in processes_of(tmp_path)):
        assert time.monotonic() < deadline, "the worker has started no training"
        time.sleep(0.2)
    process.send_signal(stopped_by)
    said, complaints = process.communicate(timeout=240)
    assert process.returncode == 0, complaints
    assert "Stopped." in said and "Traceback" not in complaints
    assert processes_of(tmp_path) == []
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}healthz", timeout=60)


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


@pytest.mark.parametrize("size", ["small", pytest.param("full", marks=pytest.mark.full_size)])
def test_a_round_ends_by_itself_with_one_line_of_figures(start, tmp_path, size):
    """How good the figures are is for benchmarks/bench_demo.py; here they must only be sane."""
    small = ["--small"] if size == "small" else []
    process = start("--rounds", "1", "--exit", "--port", "8460", *small)
    said, complaints = process.communicate(timeout=1500)
    assert process.returncode == 0, complaints
    figures = json.loads(said.strip().splitlines()[-1])
    assert set(figures) == set(
        "round tasks judgments reward_model_accuracy reward_before reward_after gold_before gold_after gold_sd kl "
        "new_tasks seconds".split()
    )
    assert figures["round"] == 1
    assert 0 < figures["judgments"] <= figures["tasks"]
    assert figures["new_tasks"] > 0
    if size == "small":
        assert 0 <= figures["reward_model_accuracy"] <= 1
    else:
        assert figures["reward_model_accuracy"] > 0.6
        assert figures["gold_after"] > figures["gold_before"]
    assert processes_of(tmp_path) == []


def test_no_rounds_are_refused_with_a_sentence(start):
    process = start("--rounds", "0")
    _, complaints = process.communicate(timeout=240)
    assert process.returncode == 2
    assert complaints.strip() == "--rounds must be at least 1."
