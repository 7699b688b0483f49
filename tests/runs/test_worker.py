"""Runs executed by the real loop, in this process or in workers that are killed, frozen and stopped."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import connection, transaction

from runs.actions import cancel_run
from runs.artifacts import hash_path
from runs.launchers import LocalLauncher
from runs.models import Run, Worker
from runs.os_processes import pids_of_run, process_identity
from runs.worker import WorkerLoop
from tests.runs.conftest import (
    QUICK,
    assert_done_with_the_same_result,
    execute_runs,
    freeze,
    journal,
    let_lease_end,
    saved_results,
    steps,
    until,
)
from workspace.models import AuditEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db]
# What remains, quick or slow, shows the same on PostgreSQL.
SLOW = [pytest.mark.slow, pytest.mark.sqlite_only]


def test_a_run_is_prepared_launched_saved_and_leaves_its_artifact(queue_counting):
    run = queue_counting(steps=4)
    assert execute_runs() == 1
    assert_done_with_the_same_result(run, 4)
    assert (run.attempt, run.fence, run.error, run.lease_until, run.pid) == (1, 1, "", None, None)
    assert run.progress["step"] == run.progress["steps_total"] == 4
    artifact = run.artifacts.get()
    assert (artifact.kind, artifact.produced_by) == ("responses", run)
    assert (
        artifact.absolute_path == run.path / "model"
        and artifact.sha256 == hash_path(run.path / "model").sha256
    )
    assert steps(run) == [1, 2, 3, 4]
    assert AuditEvent.objects.filter(action="run.done", target_id=str(run.pk)).count() == 1
    worker = Worker.objects.get()
    assert worker.stopped_at is not None and worker.current_run is None
    assert execute_runs() == 0


def test_the_tick_goes_on_beside_a_run_and_its_failure_stops_nothing(queue_counting, caplog):
    run = queue_counting(steps=10, seconds_per_step=0.1)
    calls: list[str] = []

    def tick() -> None:
        calls.append(Run.objects.get(pk=run.pk).state)
        if len(calls) == 2:
            raise RuntimeError("a round stumbled")

    execute_runs(tick)
    assert_done_with_the_same_result(run, 10)
    assert calls.count("running") >= 3
    assert "a round stumbled" in caplog.text


def test_a_tick_that_queues_more_keeps_an_idle_worker_going(queue_counting):
    plan = [lambda: queue_counting(steps=1), lambda: queue_counting(steps=1)]

    def tick() -> bool:
        if plan and not Run.objects.active().exists():
            plan.pop()()
            return True
        return False

    assert execute_runs(tick) == 2
    assert set(Run.objects.values_list("state", flat=True)) == {"done"}


def test_a_tick_that_moved_something_is_followed_by_the_next_at_once(db):
    """A stage that ended and the next one's first run do not wait for each other: the third tick ends the worker."""
    calls: list[int] = []

    def tick() -> bool:
        calls.append(len(calls))
        if len(calls) == 3:
            loop.stop.set()
        return True

    loop = WorkerLoop({}, tick, options=replace(QUICK, tick_seconds=1000), launcher=LocalLauncher())
    giving_up = threading.Timer(30, loop.stop.set)
    giving_up.start()
    loop.run(once=False, stop_when_idle=False)
    giving_up.cancel()
    assert calls == [0, 1, 2]


def test_unknown_names_of_kinds_are_refused(db):
    with pytest.raises(ValueError, match=r"tests\.cooking"):
        execute_runs(only=["tests.cooking"], once=True)


# --- workers as processes


def running_at(run: Run, step: int):
    def reached() -> bool:
        return step in steps(run)

    return reached


def test_a_cancel_reaches_the_command_and_nothing_is_saved(queue_counting, start_worker, max_):
    run = queue_counting(steps=400, seconds_per_step=0.05)
    start_worker()
    until(running_at(run, 3))
    cancel_run(actor=max_, run=run)
    until(lambda: Run.objects.get(pk=run.pk).state == "cancelled")
    assert not pids_of_run(run.process_tag, 10_000)
    assert saved_results(run) == [] and len(steps(run)) < 400


def test_a_cancel_stops_what_a_lost_worker_left_on_a_machine_out_of_reach(queue_counting, start_worker, max_):
    run = queue_counting(steps=400, seconds_per_step=0.05)
    frozen = start_worker()
    until(running_at(run, 1))
    freeze(frozen)
    cancel_run(actor=max_, run=run)
    let_lease_end(run)
    start_worker("elsewhere")
    until(lambda: Run.objects.get(pk=run.pk).state == "cancelled")
    until(lambda: not pids_of_run(run.process_tag, 10_000))
    assert len(steps(run)) < 400


@pytest.mark.slow
@pytest.mark.sqlite_only
def test_a_command_deaf_to_sigterm_is_killed_after_the_grace(queue_counting, start_worker, max_):
    run = queue_counting(steps=2000, seconds_per_step=0.05, trouble="deaf")
    start_worker(stop_grace_seconds=1.0)
    until(running_at(run, 2))
    asked = time.monotonic()
    cancel_run(actor=max_, run=run)
    until(lambda: Run.objects.get(pk=run.pk).state == "cancelled")
    assert time.monotonic() - asked >= 1.0
    assert not pids_of_run(run.process_tag, 10_000)


def test_a_worker_that_is_stopped_hands_its_run_back_and_another_finishes_it(queue_counting, start_worker):
    run = queue_counting(steps=40, seconds_per_step=0.05)
    first = start_worker()
    until(running_at(run, 5))
    first.terminate()
    assert first.wait(150) == 0
    run.refresh_from_db()
    assert (run.state, run.attempt, run.lease_until) == ("queued", 0, None)
    assert 5 <= len(steps(run)) < 40
    start_worker()
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, 40)
    assert steps(run) == list(range(1, 41)), "no step was taken twice: it went on from its checkpoint"
    assert run.attempt == 1


def test_a_killed_workers_run_is_taken_over_and_ends_with_the_same_result(queue_counting, start_worker):
    run = queue_counting(steps=140, seconds_per_step=0.05, trouble="held")
    first = start_worker()
    until(running_at(run, 1))
    start_worker()
    until(lambda: Worker.objects.count() == 2)
    orphan = Run.objects.get(pk=run.pk).pid
    first.kill()
    first.wait()
    let_lease_end(run, in_seconds=1)
    until(lambda: Run.objects.get(pk=run.pk).fence == 2)
    until(lambda: process_identity(orphan) == "")
    (run.path / "released").touch()
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, 140)
    assert (run.attempt, run.fence) == (2, 2)


@pytest.mark.parametrize("place", [pytest.param("here", marks=SLOW), "elsewhere"])
def test_a_frozen_worker_that_thaws_finds_its_run_gone_and_touches_nothing(
    queue_counting, start_worker, place
):
    """`elsewhere`: the successor cannot reach the orphan; the fence file alone makes it leave."""
    run = queue_counting(steps=140, seconds_per_step=0.05, trouble="held")
    frozen = start_worker()
    until(running_at(run, 1))
    start_worker(place)
    until(lambda: Worker.objects.count() == 2)
    freeze(frozen)
    try:
        let_lease_end(run)
        until(lambda: any(fence == 2 for *_, fence, _ in journal(run)))
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
        (run.path / "released").touch()
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, 140)
    assert run.fence == 2
    assert frozen.poll() is None, "the thawed worker goes on with other work"


def test_two_workers_never_run_one_run(queue_counting, start_worker):
    runs = [queue_counting(steps=5, seconds_per_step=0.02) for _ in range(3)]
    for _ in range(2):
        start_worker()
    until(lambda: not Run.objects.active().exists())
    for run in runs:
        assert_done_with_the_same_result(run, 5)
        assert run.fence == 1 and len({pid for _, _, pid, _, _ in journal(run)}) == 1


# --- the database is away (CHECK 35)


def block_database(seconds: float, until_then: Callable[[], bool]) -> None:
    """Nobody can write (SQLite) or connect (PostgreSQL) for so long at least, and until then."""

    def wait() -> None:
        time.sleep(seconds)
        until(until_then)

    if connection.vendor == "sqlite":
        with transaction.atomic():  # BEGIN IMMEDIATE: the only writer
            wait()
        return
    name = connection.settings_dict["NAME"]
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    connection.close()
    outside = connection.Database.connect(**parameters, autocommit=True)
    try:
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        outside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        wait()
    finally:
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        outside.close()


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("while_it_counts", 4),
        pytest.param("while_it_counts", 30, marks=SLOW),
        pytest.param("when_it_ends", 30, marks=pytest.mark.slow),
    ],
)
def test_a_run_survives_a_database_that_is_away(queue_counting, start_worker, seconds, moment):
    count = 20 if moment == "when_it_ends" else int(seconds / 0.05) + 40
    run = queue_counting(steps=count, seconds_per_step=0.05)
    start_worker(lease_seconds=QUICK.lease_seconds)
    until(running_at(run, 10))
    wanted = count if moment == "when_it_ends" else len(steps(run)) + 21
    block_database(seconds, running_at(run, wanted))  # the command goes on
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, count)
    assert steps(run) == list(range(1, count + 1)) and run.attempt == 1
