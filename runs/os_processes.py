"""Processes of this machine: is the one we started still that one, and how to end it and no other.

A pid is reused; a pid with its start time, the machine's boot and the pid namespace is not. Ranks that torchrun
starts live in sessions of their own, so a process group does not reach them: every process of a run carries the
run's random directory name and its attempt's fence in its environment, and is found by them. Needs /proc for the
latter (Linux); elsewhere the fence file alone stops what a lost worker left behind.
"""

import ctypes
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from learning.interface.run_directory import FENCE_VARIABLE

RUN_TAG_VARIABLE = "ROUNDTABLE_RUN"
PROC = Path("/proc")
PR_SET_DUMPABLE = 4  # of linux/prctl.h


def process_identity(pid: int) -> str:
    """What tells this process from every other one, ever; empty when it is gone, or dead and unreaped."""
    try:
        after_name = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return "" if PROC.is_dir() and (PROC / "self").exists() else _identity_by_ps(pid)
    state, start_ticks = after_name[0], after_name[19]
    return "" if state in "ZX" else f"{_boot_and_namespace()}:{start_ticks}"


def _boot_and_namespace() -> str:
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()[:13]
    return f"{boot}:{(PROC / 'self/ns/pid').readlink()}"


def _identity_by_ps(pid: int) -> str:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return "" if not answer or answer.startswith("Z") else answer.split(None, 1)[1]


def pids_of_run(tag: str, fence: int) -> list[int]:
    """Living processes of this run's attempts up to `fence`, whoever their parent is.

    Later attempts are never among them: a worker that resumes long after it lost the run must not
    reach its successor's.
    """
    pids = []
    for environ in PROC.glob("[0-9]*/environ"):
        try:
            variables = dict(pair.partition(b"=")[::2] for pair in environ.read_bytes().split(b"\0"))
        except OSError:  # gone meanwhile, or another user's
            continue
        of_run = variables.get(RUN_TAG_VARIABLE.encode()) == tag.encode()
        number = variables.get(FENCE_VARIABLE.encode(), b"0")
        # A stranger may have given itself the run's mark and anything for a number: it is none of ours.
        if of_run and number.isdigit() and len(number) < 20 and int(number) <= fence:
            pids.append(int(environ.parent.name))
    return [pid for pid in pids if pid != os.getpid() and process_identity(pid)]


def refuse_inspection() -> None:
    """Close this process's memory and environment, which may hold the secret key, to other processes of its user.

    Linux alone has it, and not against root. What it starts by exec is open again: a worker finds its trainers by
    their environment.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal the session that `pid` leads. Nothing to signal is not an error. Raises ValueError for 0 and 1: those are
    this process's own group and, in a container, everybody's.
    """
    if pid <= 1:
        raise ValueError(f"{pid} is no process that we started.")
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_processes(
    tag: str, fence: int, pid: int | None, identity: str, *, patience_seconds: float = 10.0
) -> bool:
    """Kill what is left of a run's attempts up to `fence` on this machine, and wait until it is gone.

    `pid` is believed only when it still has the identity it was stored with: a stranger that got the number
    is left alone. Returns False if something survived SIGKILL (uninterruptible I/O): then nothing may be
    started beside it.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        leader = pid if pid and identity and process_identity(pid) == identity else None
        others = pids_of_run(tag, fence)
        if leader is None and not others:
            return True
        if time.monotonic() > deadline:
            return False
        if leader is not None:
            signal_group(leader, signal.SIGKILL)
        for other in others:
            with suppress(ProcessLookupError):
                os.kill(other, signal.SIGKILL)
        time.sleep(0.05)
