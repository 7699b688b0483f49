"""Three real workers, two of them killed in the middle of it: a schedule fires exactly once."""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connections

from rounds.models import Round, ScheduleFiring, StageEntry
from rounds.schedules.triggers import at_time
from workspace.models import AuditEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db, pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def start_worker(transactional_db, tmp_path):
    started = []

    def start(name, behaviour):
        database = str(connections["default"].settings_dict["NAME"])
        arguments = [database, str(tmp_path), name, behaviour]
        with open(tmp_path / f"{name}.log", "wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "tests.rounds.schedules.worker_process", *arguments],
                cwd=ROOT,
                env={**os.environ, "ROUNDTABLE_DATA_DIR": str(tmp_path)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        started.append(worker)
        return worker

    yield start
    for worker in started:
        worker.kill()
        worker.wait()


def test_a_schedule_fires_exactly_once_with_three_workers_of_which_two_are_killed(
    add_schedule, start_worker, tmp_path
):
    def until(mark, seconds=1200.0):
        deadline = time.monotonic() + seconds
        while not (tmp_path / mark).exists():
            logs = "\n".join(path.read_text() for path in tmp_path.glob("*.log"))
            assert time.monotonic() < deadline, f"no mark {mark!r}:\n{logs}"
            time.sleep(0.02)

    due_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    schedule = add_schedule(at_time(due_at, UTC), made_at=due_at - timedelta(days=1))
    third = start_worker("third", "waits")
    until("third works")
    first = start_worker("first", "stops inside")
    until("first is inside")
    assert not ScheduleFiring.objects.exists() and not Round.objects.exists()
    second = start_worker("second", "stops inside")
    until("second runs")
    first.kill()
    until("second is inside")
    (tmp_path / "go").touch()
    second.kill()

    deadline = time.monotonic() + 150
    while not Round.objects.exists():
        assert time.monotonic() < deadline, (tmp_path / "third.log").read_text()
        time.sleep(0.02)
    (tmp_path / "third works").unlink()
    until("third works")
    time.sleep(1)  # ten more ticks
    firing = ScheduleFiring.objects.get()
    assert (firing.schedule, firing.due_at, firing.state, firing.missed) == (schedule, due_at, "started", 0)
    assert Round.objects.get() == firing.round
    assert StageEntry.objects.filter(stage="sampling").count() == 1
    assert AuditEvent.objects.filter(action="schedule.started").count() == 1
    assert third.poll() is None and (first.wait(), second.wait()) == (-9, -9)
