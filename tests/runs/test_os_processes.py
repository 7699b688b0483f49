import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from learning.interface.run_directory import FENCE_VARIABLE
from runs.launchers import Launch, child_environment, command_line
from runs.os_processes import (
    RUN_TAG_VARIABLE,
    end_processes,
    pids_of_run,
    process_identity,
    signal_group,
)
from tests.runs.conftest import until


@pytest.fixture
def sleeper():
    children = []

    def start(tag="", fence=0):
        environment = {**os.environ, RUN_TAG_VARIABLE: tag, FENCE_VARIABLE: str(fence)}
        child = subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True)
        children.append(child)
        until(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(b"sleep"))
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_a_process_keeps_its_identity_and_loses_it_when_it_dies(sleeper):
    child = sleeper()
    identity = process_identity(child.pid)
    assert identity and identity == process_identity(child.pid)
    assert identity != process_identity(os.getpid())
    child.kill()
    until(lambda: process_identity(child.pid) == "")  # dead, though not reaped yet
    child.wait()
    assert process_identity(child.pid) == ""


def test_a_stranger_with_the_orphans_pid_is_left_alone(sleeper):
    stranger = sleeper()
    orphans_identity = process_identity(stranger.pid)[:-1] + "x"
    assert end_processes("a-run", 5, stranger.pid, orphans_identity)
    assert stranger.poll() is None
    assert end_processes("a-run", 5, stranger.pid, "")
    assert stranger.poll() is None
    assert end_processes("a-run", 5, stranger.pid, process_identity(stranger.pid))
    assert stranger.wait(150) == -signal.SIGKILL


def test_only_processes_of_the_run_up_to_the_fence_are_ended(sleeper):
    old, older, successor = sleeper("run-a", 2), sleeper("run-a", 1), sleeper("run-a", 3)
    other = sleeper("run-b", 1)
    assert sorted(pids_of_run("run-a", 2)) == sorted([old.pid, older.pid])
    assert end_processes("run-a", 2, None, "")
    assert {old.wait(150), older.wait(150)} == {-signal.SIGKILL}
    assert successor.poll() is None and other.poll() is None


def test_a_stranger_with_the_runs_mark_and_no_number_is_left_alone(sleeper):
    stranger, own = sleeper("run-a", "abc"), sleeper("run-a", 1)
    longer = sleeper("run-a", "9" * 5000)  # more digits than Python turns into a number
    assert pids_of_run("run-a", 2) == [own.pid]
    assert end_processes("run-a", 2, None, "")
    assert stranger.poll() is None and longer.poll() is None


def test_a_worker_closes_its_environment_and_not_that_of_what_it_starts():
    """prctl(PR_GET_DUMPABLE) is 3; the child prints its own after the parent's."""
    code = """
import ctypes, subprocess, sys
from runs.os_processes import refuse_inspection
get = "import ctypes; print(ctypes.CDLL(None).prctl(3), flush=True)"
exec(get); refuse_inspection(); exec(get)
subprocess.run([sys.executable, "-c", get], check=True)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["1", "0", "1"]


def launch(tmp_path, processes=1, environment=()):
    return Launch(
        module="rewardmodel.training.train",
        directory=tmp_path,
        working_directory=tmp_path,
        tag="m",
        fence=7,
        processes=processes,
        threads=2,
        stop_grace_seconds=120,
        environment=environment,
    )


def test_the_command_sees_no_secret_of_the_worker(tmp_path):
    worker = {
        "PATH": "/bin",
        "HOME": "/root",
        "ROUNDTABLE_SECRET_KEY": "s",
        "ROUNDTABLE_DATABASE_URL": "postgresql://u:p@h/d",
        "HF_TOKEN": "t",
        "AWS_SECRET_ACCESS_KEY": "a",
        "JUDGE_API_KEY": "j",
    }
    seen = child_environment(launch(tmp_path), worker)
    assert {"PATH", "HOME"} <= set(seen)
    assert not {"s", "postgresql://u:p@h/d", "t", "a", "j"} & set(seen.values())
    assert seen["ROUNDTABLE_FENCE"] == "7" and seen["OMP_NUM_THREADS"] == "2"
    assert seen["GOMP_SPINCOUNT"] == "0"  # spinning threads wait out whole time slices beside a busy process
    asked = child_environment(launch(tmp_path, environment=("JUDGE_API_KEY",)), worker)
    assert asked["JUDGE_API_KEY"] == "j" and "HF_TOKEN" not in asked


def test_several_processes_start_under_torchrun(tmp_path):
    module = "rewardmodel.training.train"
    assert command_line(launch(tmp_path)) == [sys.executable, "-m", module, str(tmp_path)]
    line = command_line(launch(tmp_path, processes=2))
    assert line[1:] == ["-m", "learning.launch", "2", module, str(tmp_path)]


def test_torchrun_waits_longer_for_a_checkpoint_than_the_worker_does(tmp_path, monkeypatch):
    """Its own 30 s would end ranks in the middle of a checkpoint that the worker still waits for."""
    from torch.distributed.launcher.api import LaunchConfig

    launched = launch(tmp_path, processes=2)
    for name, value in child_environment(launched, {}).items():
        monkeypatch.setenv(name, value)
    config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=2)
    assert config.shutdown_timeout == 150 > launched.stop_grace_seconds == 120


@pytest.mark.parametrize("pid", [0, 1, -1])
def test_no_group_is_signalled_that_is_not_a_started_process(pid):
    with pytest.raises(ValueError, match="no process that we started"):
        signal_group(pid, 0)  # 0 would only have asked
