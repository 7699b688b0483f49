"""Runs of the counting command, quick timings, and workers as processes."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from django.db import connection, connections
from django.db.models.functions import Now
from django.urls import reverse

from learning.interface.run_directory import RunDirectory
from runs.actions import queue_run
from runs.models import Run
from runs.options import WorkerOptions
from runs.os_processes import end_processes, pids_of_run
from runs.states import FINISHED
from runs.worker import run_worker
from tests.runs.run_kinds import COUNTING
from workspace.database import database_now_plus
from workspace.models import Criterion

ROOT = Path(__file__).resolve().parents[2]
QUICK = WorkerOptions(
    lease_seconds=1.5,
    heartbeat_seconds=0.2,
    stop_grace_seconds=3.0,
    min_free_disk_bytes=0,
    poll_seconds=0.1,
    tick_seconds=0.2,
    retry_base_seconds=0.1,
    retry_max_seconds=1.0,
)


@pytest.fixture(autouse=True)
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def queue_counting(project, max_):
    def queue(title="Count", parameters=None, **config) -> Run:
        config = {"runtime": {"threads": 1}, **config}
        return queue_run(
            actor=max_,
            project=project,
            kind=COUNTING,
            title=title,
            config=config,
            parameters=parameters,
            threads=1,
        )

    return queue


@pytest.fixture
def ppo_run(project, max_):
    def make(rows, result=None) -> Run:
        run = Run.objects.create(
            project=project, kind="policy.ppo", title="PPO: base to new", config={}, requested_by=max_
        )
        run.path.mkdir(parents=True)
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if result is not None:
            (run.path / "result.json").write_text(json.dumps(result))
        return run

    return make


def until(condition, seconds=1200.0):
    """Wait for a condition, and return what it returned; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := condition():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {condition.__name__}")


def let_lease_end(run: Run, in_seconds: float = 0.0) -> None:
    """Ends the lease of a run whose worker no longer renews it, instead of waiting for it."""
    assert Run.objects.running().filter(pk=run.pk).update(lease_until=database_now_plus(in_seconds))


def _in_a_transaction() -> bool:
    """Whether another process writes (SQLite) or has a transaction open (PostgreSQL) at this moment."""
    if connection.vendor == "sqlite":
        own = sqlite3.connect(connection.settings_dict["NAME"], timeout=0, isolation_level=None)
        try:
            own.execute("BEGIN IMMEDIATE")
            own.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        finally:
            own.close()
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start IS NOT NULL"
        )
        return cursor.fetchone()[0] > 0


def freeze(worker: subprocess.Popen) -> None:
    """SIGSTOP between two transactions: a worker that stood still within one would keep its locks, and all wait."""
    for _ in range(3000):
        os.kill(worker.pid, signal.SIGSTOP)
        became = os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        assert became is not None and became.si_code == os.CLD_STOPPED, "the worker has ended"
        if not _in_a_transaction():
            return
        os.kill(worker.pid, signal.SIGCONT)
        time.sleep(0.01)
    raise AssertionError("the worker is always in a transaction")


def journal(run: Run) -> list[list]:
    """[what, step, pid, fence, monotonic time] in the order written."""
    path = run.path / "journal.txt"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def steps(run: Run) -> list[int]:
    return [step for what, step, *_ in journal(run) if what == "step"]


def assert_never_two_at_once(run: Run) -> None:
    """The spans of the processes that worked on the run do not overlap."""
    spans: dict[int, list[float]] = {}
    for _, _, pid, _, moment in journal(run):
        spans.setdefault(pid, []).append(moment)
    ordered = sorted(spans.values(), key=min)
    for earlier, later in zip(ordered, ordered[1:], strict=False):
        assert max(earlier) < min(later), f"two processes worked at the same time: {journal(run)}"


@pytest.fixture
def start_worker(transactional_db, tmp_path):
    """Start workers as processes on the test's database; whatever is left of them ends with the test.

    Their leases are long: a machine that is busy for two seconds takes no run from its worker. A test whose run is to
    be taken over ends the lease (`let_lease_end`).
    """
    started: list[subprocess.Popen] = []

    def start(place="here", **changes) -> subprocess.Popen:
        options = json.dumps({**asdict(QUICK), "lease_seconds": 120.0, **changes})
        name = str(connections["default"].settings_dict["NAME"])
        with open(tmp_path / f"worker-{len(started)}.log", "wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.runs.worker_process", name, options, place],
                cwd=ROOT,
                env={**os.environ, "ROUNDTABLE_DATA_DIR": str(tmp_path), "GOMP_SPINCOUNT": "0"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.wait()
    for run in Run.objects.all():
        end_processes(run.directory, 10_000, None, "")


def fields_of(state: str) -> dict:
    """What the database wants of a run in this state."""
    running, finished = state == "running", state in FINISHED
    return {
        "lease_until": database_now_plus(30) if running else None,
        "fence": 1,
        "started_at": Now(),
        "finished_at": Now() if finished else None,
        "error": "It broke." if state in ("failed", "user_error", "paused") else "",
    }


@pytest.fixture
def run_in(queue_counting):
    def put(state: str) -> Run:
        run = queue_counting()
        Run.objects.filter(pk=run.pk).update(state=state, **fields_of(state))
        run.refresh_from_db()
        return run

    return put


def execute_runs(tick=None, options=QUICK, kinds=(COUNTING,), **how) -> int:
    how = how or {"stop_when_idle": True}
    return run_worker(list(kinds), tick, options=options, install_signals=False, **how)


def expected_digest(count: int) -> str:
    """What an uninterrupted count gives, computed here and not by the command."""
    digest = ""
    for step in range(1, count + 1):
        digest = hashlib.sha256(f"{digest}/{step}".encode()).hexdigest()
    return digest


def saved_results(run: Run) -> list[str]:
    return list(Criterion.objects.filter(name=f"run-{run.pk}").values_list("question", flat=True))


def assert_done_with_the_same_result(run: Run, count: int) -> None:
    run.refresh_from_db()
    assert run.state == "done", (run.error, RunDirectory(run.path).log_tail(30))
    assert saved_results(run) == [expected_digest(count)]
    assert_never_two_at_once(run)
    assert not pids_of_run(run.process_tag, 10_000)


HOSTILE = "<script>alert(1)</script> \u202e <img src=x onerror=alert(2)> \x00 [x](javascript:alert(3))"


@pytest.fixture
def run(queue_counting):
    return queue_counting(title="Train the reward model")


@pytest.fixture
def filled(run):
    """A running run with everything a directory may have."""
    Run.objects.filter(pk=run.pk).update(
        state="running",
        progress={
            "stage": "training",
            "step": 30,
            "steps_total": 120,
            "eta_seconds": 75.0,
            "outcome": "running",
            "notes": [
                "12 of 480 prompts were cut at 512 tokens, 96 of 960 responses at 32.",
                "30 of 60 training pairs are equal after the cut at 32 tokens: left out of the loss.",
            ],
        },
        attempt=1,
        host="machine-1",
        **fields_of("running"),
    )
    run.path.mkdir(parents=True)
    (run.path / "config.json").write_text("{}")
    rows = [{"step": n, "loss": 1 / n, "accuracy": 0.5} for n in range(1, 31)]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.path / "samples.jsonl").write_text(
        json.dumps({"step": 30, "prompt": HOSTILE, "response": "Yes."}) + "\n"
    )
    (run.path / "log.txt").write_text(f"starting\n{HOSTILE}\nstep 30\n")
    run.refresh_from_db()
    return run


def url(page: str, run: Run, **more) -> str:
    return reverse(f"runs:{page}", kwargs={"slug": run.project.slug, "pk": run.pk, **more})
