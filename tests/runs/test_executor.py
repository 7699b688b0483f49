"""One run from its inputs to its end: mistakes, failures, retries, and what an earlier worker left."""

import fcntl
import shutil
from dataclasses import replace

import pytest
from django.db.models.functions import Now

from learning.interface.run_directory import RunDirectory
from runs.actions import resume_run, retry_run
from runs.models import Artifact, Run
from tests.runs.conftest import (
    QUICK,
    assert_done_with_the_same_result,
    execute_runs,
    journal,
)
from tests.runs.run_kinds import COUNTING
from workspace.actions import add_criterion
from workspace.models import AuditEvent, Criterion

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db, pytest.mark.sqlite_only]


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


@pytest.mark.parametrize(
    "kept",
    [
        "answers/served-0.jsonl", "answers/1.parquet", "rollout_answers/step-000001-0.jsonl",
        "candidates/answers-0-1.jsonl",
        "candidates/shard-0-0.parquet", "candidates/verdicts.jsonl", "verdicts.jsonl", "shards/answers-0.jsonl",
    ],
)  # fmt: skip
def test_answers_that_came_before_a_refusal_are_there_when_it_is_retried(queue_counting, max_, kept):
    """As a server gives some, then refuses the key: they may have been paid for."""
    run = queue_counting(steps=2, trouble="needs_two")
    execute_runs()
    file = run.path / kept
    file.parent.mkdir(exist_ok=True)
    file.write_text("what was answered")
    run.refresh_from_db()
    retry_run(actor=max_, run=run)
    execute_runs()
    assert file.read_text() == "what was answered"


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


@pytest.mark.parametrize(("end", "counted"), [(False, 5), (True, 2)])
def test_a_run_that_pauses_waits_for_a_manager_who_has_it_go_on_or_end(queue_counting, max_, end, counted):
    run = queue_counting(steps=5, trouble="pauses")
    assert execute_runs() == 1  # a worker that ends when it is idle does not wait for a manager
    run.refresh_from_db()
    assert (run.state, run.error, run.attempt) == ("paused", "Alarm: three comes next.", 0)
    assert run.finished_at is None and run.lease_until is None and run.pid is None
    assert execute_runs() == 0
    resume_run(actor=max_, run=run, end=end)
    execute_runs()
    assert_done_with_the_same_result(run, counted)
    assert AuditEvent.objects.get(action="run.resume").details["end"] is end
    assert AuditEvent.objects.filter(action="run.paused").count() == 1


def test_a_run_asked_to_end_that_is_resumed_after_another_pause_goes_on(queue_counting, max_):
    run = queue_counting(steps=5, trouble="pauses")
    execute_runs()
    run.refresh_from_db()
    RunDirectory(run.path).ask_to_end()  # somebody's, whose transaction was rolled back
    resume_run(actor=max_, run=run)
    execute_runs()
    assert_done_with_the_same_result(run, 5)


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


def test_a_last_line_of_output_that_no_database_can_keep_is_made_readable(queue_counting):
    run = queue_counting(steps=1, trouble="mumbles")
    Run.objects.filter(pk=run.pk).update(max_attempts=1)
    execute_runs()
    run.refresh_from_db()
    assert run.state == "failed" and run.error.endswith("mu\ufffdmble.")


@pytest.mark.parametrize("launcher_swallows_the_code", [False, True])
def test_a_folder_in_which_another_process_works_is_waited_for_and_is_no_attempt(
    queue_counting, settings, monkeypatch, launcher_swallows_the_code
):
    if launcher_swallows_the_code:  # as torchrun does
        settings.RUN_ENVIRONMENT_ALLOWLIST = ["SWALLOW_EXIT_CODES"]
        monkeypatch.setenv("SWALLOW_EXIT_CODES", "1")
    run = queue_counting(steps=2, fence_wait_seconds=0.1, trouble="crash_once")
    execute_runs(once=True)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (
        "queued",
        1,
    )  # the crash: an attempt of its own, and the folder is there
    with open(run.path / "lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for _ in range(3):  # more often than a run has attempts
            Run.objects.filter(pk=run.pk).update(run_after=Now())
            execute_runs(once=True)
            run.refresh_from_db()
            assert (run.state, run.attempt) == ("queued", 1)
            assert run.error == "Another process works in the run's folder: waiting until it ends."
    assert journal(run) == [entry for entry in journal(run) if entry[0] == "start"]
    execute_runs()
    assert_done_with_the_same_result(run, 2)
    assert run.attempt == 2
