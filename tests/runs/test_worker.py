"""Runs executed by the real loop, in this process or in workers that are killed, frozen and stopped."""

import hashlib
import os
import shutil
import signal
import time
from dataclasses import replace

import pytest
from django.db import connection, transaction

from learning.interface.run_directory import RunDirectory
from runs.actions import cancel_run, retry_run
from runs.artifacts import hash_path
from runs.leases import LeaseWatch, LostLease, claim_run
from runs.models import Artifact, Run, Worker
from runs.os_processes import pids_of_run, process_identity
from runs.results import save_result
from runs.worker import run_worker
from tests.runs.conftest import QUICK, assert_never_two_at_once, journal, steps, until
from tests.runs.run_kinds import COUNTING
from workspace.actions import add_criterion
from workspace.models import AuditEvent, Criterion

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db]


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
    assert not pids_of_run(run.directory, 10_000)


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


def test_saving_a_result_twice_changes_nothing(queue_counting):
    run = queue_counting(steps=1)
    claimed = claim_run(
        kinds=[COUNTING.name], worker_name="w", host="h", lease_seconds=30, watch=LeaseWatch()
    ).run
    model = run.path / "model"
    model.mkdir(parents=True)
    (model / "count.json").write_text("{}")
    digests = [(COUNTING.outputs[0], hash_path(model))]
    assert save_result(claimed, COUNTING, {"digest": "d"}, digests)
    with pytest.raises(LostLease):
        save_result(claimed, COUNTING, {"digest": "d"}, digests)
    assert saved_results(run) == ["d"] and Artifact.objects.count() == 1
    assert AuditEvent.objects.filter(action="run.done").count() == 1


def test_a_result_is_not_saved_once_a_cancel_has_arrived(queue_counting, max_):
    run = queue_counting(steps=1)
    claimed = claim_run(
        kinds=[COUNTING.name], worker_name="w", host="h", lease_seconds=30, watch=LeaseWatch()
    ).run
    cancel_run(actor=max_, run=run)
    assert save_result(claimed, COUNTING, {"digest": "d"}, []) is False
    run.refresh_from_db()
    assert run.state == "cancelled" and saved_results(run) == []


def test_the_users_mistake_is_one_sentence_and_is_never_retried(queue_counting):
    run = queue_counting(trouble="user_error")
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("user_error", 1)
    assert run.error == "inputs/numbers.parquet has no rows: give it at least one."


def test_inputs_that_cannot_be_built_end_the_run_with_their_sentence(queue_counting):
    run = queue_counting(parameters={"inputs": "missing"})
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.error) == ("user_error", "There are no prompts to count: import some first.")
    assert not run.path.exists(), "nothing half-written is left"


def test_a_refused_run_that_is_retried_gets_its_inputs_anew(queue_counting, max_, criterion):
    run = queue_counting(steps=2, trouble="needs_two")
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.error) == ("user_error", "inputs/prompts.parquet has one row: give it two.")
    add_criterion(actor=max_, project=run.project, name="harmless", question="Which is less harmful?")
    retry_run(actor=max_, run=run)
    execute_runs()
    assert_done_with_the_same_result(run, 2)


def test_a_folder_that_cannot_be_written_fails_the_run_with_the_reason(queue_counting, monkeypatch):
    def full(directory, number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDirectory, "write_fence", full)
    run = queue_counting(steps=1)
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("failed", 3)
    assert "cannot be written" in run.error and "No space left" in run.error


def test_a_refused_result_ends_the_run_and_leaves_no_artifact(queue_counting):
    run = queue_counting(steps=1, parameters={"save_result": "refuse"})
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.error) == ("user_error", "The count is not what was asked for.")
    assert not Artifact.objects.exists()


def test_a_failed_attempt_is_tried_again_after_a_back_off(queue_counting):
    run = queue_counting(steps=2, trouble="crash_once")
    execute_runs()
    assert_done_with_the_same_result(run, 2)
    assert (run.attempt, run.fence) == (2, 2)
    starts = [moment for what, *_, moment in journal(run) if what == "start"]
    assert starts[1] - starts[0] >= QUICK.retry_base_seconds


def test_a_run_that_always_fails_says_why_and_can_be_retried_by_hand(queue_counting, max_):
    run = queue_counting(steps=2, trouble="crash")
    Run.objects.filter(pk=run.pk).update(max_attempts=2)
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("failed", 2)
    assert "the abacus broke" in run.error and "\n" not in run.error.strip()
    retry_run(actor=max_, run=run)
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 0)


def test_a_command_killed_by_the_machine_fails_with_the_signals_name(queue_counting):
    run = queue_counting(trouble="killed")
    Run.objects.filter(pk=run.pk).update(max_attempts=1)
    execute_runs()
    run.refresh_from_db()
    assert run.state == "failed" and "signal 9" in run.error and "memory" in run.error


def test_with_too_little_disk_a_run_waits_and_says_so(queue_counting):
    run = queue_counting(steps=1)
    free = shutil.disk_usage("/").free
    execute_runs(options=replace(QUICK, min_free_disk_bytes=free * 10), once=True)
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("queued", 0) and "floor" in run.error and not run.path.exists()
    Run.objects.filter(pk=run.pk).update(run_after=run.created_at)
    execute_runs()
    assert_done_with_the_same_result(run, 1)


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


def test_unknown_names_of_kinds_are_refused(db):
    with pytest.raises(ValueError, match=r"tests\.cooking"):
        execute_runs(only=["tests.cooking"], once=True)


# --- workers as processes (CHECK 34)


def running_at(run: Run, step: int):
    def reached() -> bool:
        return step in steps(run)

    return reached


def test_a_cancel_reaches_the_command_and_nothing_is_saved(queue_counting, start_worker, max_):
    run = queue_counting(steps=400, seconds_per_step=0.05)
    start_worker()
    until(running_at(run, 3))
    cancel_run(actor=max_, run=run)
    until(lambda: Run.objects.get(pk=run.pk).state == "cancelled", 10)
    assert not pids_of_run(run.directory, 10_000)
    assert saved_results(run) == [] and len(steps(run)) < 400


def test_a_cancel_stops_what_a_lost_worker_left_on_a_machine_out_of_reach(queue_counting, start_worker, max_):
    run = queue_counting(steps=400, seconds_per_step=0.05)
    frozen = start_worker()
    until(running_at(run, 1))
    os.kill(frozen.pid, signal.SIGSTOP)
    cancel_run(actor=max_, run=run)
    start_worker("elsewhere")
    until(lambda: Run.objects.get(pk=run.pk).state == "cancelled")
    until(lambda: not pids_of_run(run.directory, 10_000), 5)
    assert len(steps(run)) < 400


@pytest.mark.slow
def test_a_command_deaf_to_sigterm_is_killed_after_the_grace(queue_counting, start_worker, max_):
    run = queue_counting(steps=2000, seconds_per_step=0.05, trouble="deaf")
    start_worker(stop_grace_seconds=1.0)
    until(running_at(run, 2))
    asked = time.monotonic()
    cancel_run(actor=max_, run=run)
    until(lambda: Run.objects.get(pk=run.pk).state == "cancelled", 15)
    assert time.monotonic() - asked >= 1.0
    assert not pids_of_run(run.directory, 10_000)


def test_a_worker_that_is_stopped_hands_its_run_back_and_another_finishes_it(queue_counting, start_worker):
    run = queue_counting(steps=40, seconds_per_step=0.05)
    first = start_worker()
    until(running_at(run, 5))
    first.terminate()
    assert first.wait(15) == 0
    run.refresh_from_db()
    assert (run.state, run.attempt, run.lease_until) == ("queued", 0, None)
    assert 5 <= len(steps(run)) < 40
    start_worker()
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, 40)
    assert steps(run) == list(range(1, 41)), "no step was taken twice: it went on from its checkpoint"
    assert run.attempt == 1


def test_a_killed_workers_run_is_taken_over_and_ends_with_the_same_result(queue_counting, start_worker):
    run = queue_counting(steps=140, seconds_per_step=0.05)
    first = start_worker()
    until(running_at(run, 1))
    start_worker()
    until(lambda: Worker.objects.count() == 2)
    orphan = Run.objects.get(pk=run.pk).pid
    first.kill()
    first.wait()
    killed = time.monotonic()
    until(lambda: Run.objects.get(pk=run.pk).fence == 2)
    assert time.monotonic() - killed < QUICK.lease_seconds + 2
    until(lambda: process_identity(orphan) == "")
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, 140)
    assert (run.attempt, run.fence) == (2, 2)


@pytest.mark.parametrize("place", [pytest.param("here", marks=pytest.mark.slow), "elsewhere"])
def test_a_frozen_worker_that_thaws_finds_its_run_gone_and_touches_nothing(
    queue_counting, start_worker, place
):
    """`elsewhere`: the successor cannot reach the orphan; the fence file alone makes it leave."""
    run = queue_counting(steps=140, seconds_per_step=0.05)
    frozen = start_worker()
    until(running_at(run, 1))
    start_worker(place)
    until(lambda: Worker.objects.count() == 2)
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        until(lambda: any(fence == 2 for *_, fence, _ in journal(run)))
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    until(lambda: Run.objects.get(pk=run.pk).is_finished)
    assert_done_with_the_same_result(run, 140)
    assert run.fence == 2
    assert frozen.poll() is None, "the thawed worker goes on with other work"


def test_two_workers_never_run_one_run(queue_counting, start_worker):
    runs = [queue_counting(steps=5, seconds_per_step=0.02) for _ in range(3)]
    for _ in range(2):
        start_worker()
    until(lambda: not Run.objects.active().exists(), 60)
    for run in runs:
        assert_done_with_the_same_result(run, 5)
        assert run.fence == 1 and len({pid for _, _, pid, _, _ in journal(run)}) == 1


# --- the database is away (CHECK 35)


def block_database(seconds: float) -> None:
    """Nobody can write (SQLite) or connect (PostgreSQL) for so long."""
    if connection.vendor == "sqlite":
        with transaction.atomic():  # BEGIN IMMEDIATE: the only writer
            time.sleep(seconds)
        return
    name = connection.settings_dict["NAME"]
    parameters = {**connection.get_connection_params(), "dbname": "postgres"}
    connection.close()
    outside = connection.Database.connect(**parameters, autocommit=True)
    try:
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        outside.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        time.sleep(seconds)
    finally:
        outside.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        outside.close()


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("while_it_counts", 4),
        pytest.param("while_it_counts", 30, marks=pytest.mark.slow),
        pytest.param("when_it_ends", 30, marks=pytest.mark.slow),
    ],
)
def test_a_run_survives_a_database_that_is_away(queue_counting, start_worker, seconds, moment):
    count = 20 if moment == "when_it_ends" else int(seconds / 0.05) + 40
    run = queue_counting(steps=count, seconds_per_step=0.05)
    start_worker()
    until(running_at(run, 10))
    before = len(steps(run))
    block_database(seconds)
    if moment == "while_it_counts":
        assert len(steps(run)) > before + 20, "the command went on"
    until(lambda: Run.objects.get(pk=run.pk).is_finished, 40)
    assert_done_with_the_same_result(run, count)
    assert steps(run) == list(range(1, count + 1)) and run.attempt == 1


def test_a_result_left_by_a_lost_worker_is_saved_without_another_start(queue_counting):
    run = queue_counting(steps=3)
    execute_runs()
    starts = len([what for what, *_ in journal(run) if what == "start"])
    Criterion.objects.filter(name=f"run-{run.pk}").delete()
    Run.objects.filter(pk=run.pk).update(
        state="running", lease_until=run.created_at, finished_at=None, attempt=3, max_attempts=3
    )
    execute_runs()
    assert_done_with_the_same_result(run, 3)
    assert len([what for what, *_ in journal(run) if what == "start"]) == starts


def test_a_lost_worker_in_the_last_attempt_ends_the_run(queue_counting):
    run = queue_counting(steps=3)
    Run.objects.filter(pk=run.pk).update(
        state="running", fence=1, started_at=run.created_at, lease_until=run.created_at, attempt=3
    )
    execute_runs()
    run.refresh_from_db()
    assert run.state == "failed" and "last of 3 attempts" in run.error


def test_what_the_command_printed_is_the_reason_when_it_cannot_even_start(queue_counting):
    run = queue_counting(steps=1)
    Run.objects.filter(pk=run.pk).update(max_attempts=1)
    broken = replace(COUNTING, command="tests.runs.no_such_command")
    execute_runs(kinds=[broken])
    run.refresh_from_db()
    assert run.state == "failed" and "no_such_command" in run.error


def test_last_words_that_no_database_can_keep_are_made_readable(queue_counting):
    run = queue_counting(steps=1, trouble="mumbles")
    Run.objects.filter(pk=run.pk).update(max_attempts=1)
    execute_runs()
    run.refresh_from_db()
    assert run.state == "failed" and run.error.endswith("mu\ufffdmble.")
