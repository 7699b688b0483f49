"""A run that takes longer than it may: stopped with its checkpoint and one sentence, and retried from there."""

import threading

import pytest

from runs import time_limits
from runs.actions import clone_run, limit_run, retry_run
from runs.launchers import LocalLauncher
from runs.models import Run
from runs.worker import WorkerLoop
from tests.runs.conftest import QUICK, assert_done_with_the_same_result, execute_runs, steps, until
from tests.runs.run_kinds import COUNTING
from workspace.errors import ActionError
from workspace.models import AuditEvent
from workspace.shown_values import ChangedMeanwhile

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.db]


@pytest.mark.parametrize("of", ["the run", "the site"])
def test_it_ends_with_a_sentence_and_goes_on_from_its_checkpoint(
    queue_counting, max_, monkeypatch, settings, of
):
    run = queue_counting(steps=4000, seconds_per_step=0.05)
    if of == "the run":
        limit_run(actor=max_, run=run, minutes=2)
    else:
        settings.RUN_TIME_LIMIT_MINUTES = 2
    # The minutes have passed as soon as the start has taken a step, however busy the machine is.
    taken_before = 0
    real = time_limits.limit_of
    monkeypatch.setattr(time_limits, "SECONDS_PER_MINUTE", 0.0)
    monkeypatch.setattr(
        time_limits, "limit_of", lambda own: real(own) if len(steps(run)) > taken_before else None
    )
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("failed", 1)
    assert "its time limit of 2 minutes and was stopped with a checkpoint" in run.error
    counted = steps(run)
    assert counted == list(range(1, len(counted) + 1)) and 0 < len(counted) < 4000
    # Retry goes on where it stopped.
    taken_before = len(counted)
    retry_run(actor=max_, run=run)
    execute_runs()
    again = steps(run)
    assert again == list(range(1, len(again) + 1)) and len(again) > len(counted)


def test_a_limit_that_is_long_enough_ends_nothing(queue_counting, max_, settings):
    settings.RUN_TIME_LIMIT_MINUTES = 1
    run = queue_counting(steps=2)
    limit_run(actor=max_, run=run, minutes=600)
    execute_runs()
    assert_done_with_the_same_result(run, 2)


def test_a_command_that_crashes_just_before_its_limit_keeps_its_reason(queue_counting, monkeypatch):
    def look(limit):
        limit.is_over = True  # it passes while the command ends by itself
        return False

    monkeypatch.setattr(time_limits.TimeLimit, "look", look)
    run = queue_counting(steps=2, trouble="crash")
    Run.objects.filter(pk=run.pk).update(max_attempts=2)
    execute_runs()
    run.refresh_from_db()
    assert (run.state, run.attempt) == ("failed", 2)
    assert "the abacus broke" in run.error and "time limit" not in run.error


def test_a_limit_that_passes_while_the_worker_leaves_does_not_fail_the_run(queue_counting, monkeypatch):
    run = queue_counting(steps=4000, seconds_per_step=0.2)
    loop = WorkerLoop({COUNTING.name: COUNTING}, None, options=QUICK, launcher=LocalLauncher())
    looks_after = []

    def look(limit):
        if loop.stop.is_set():
            looks_after.append(limit)
        limit.is_over = len(looks_after) > 1  # the first one still finds the worker's wish to leave alone
        return limit.is_over

    def stop_once_it_counts():
        until(lambda: (run.path / "journal.txt").exists() and steps(run))
        loop.stop.set()

    monkeypatch.setattr(time_limits.TimeLimit, "look", look)
    stopper = threading.Thread(target=stop_once_it_counts)
    stopper.start()
    loop.run(once=False, stop_when_idle=False)
    stopper.join()
    run.refresh_from_db()
    assert (run.state, run.error) == ("queued", "")


def test_a_limit_is_set_by_page_and_program_and_nobody_overwrites_it_unseen(
    queue_counting, client, program, project, max_
):
    run = queue_counting(steps=2)
    client.force_login(max_)
    page = f"/projects/{project.slug}/runs/{run.pk}/"
    shown = client.get(page).context["limit_form"]["shown"].value()
    assert client.post(f"{page}limit/", {"time_limit_minutes": "90", "shown": shown}).status_code == 302
    assert "90 minutes each start" in client.get(page).content.decode()
    answer = client.post(f"{page}limit/", {"time_limit_minutes": "5", "shown": shown})
    assert (answer.status_code, answer.context["differences"]) == (409, [("Minutes, at most", "90", "5")])
    shown = answer.context["form"]["shown"].value()
    refused = client.post(f"{page}limit/", {"time_limit_minutes": "0", "shown": shown})
    assert refused.status_code == 422 and "whole number from 1" in refused.content.decode()
    call, address = program(max_, project), f"projects/{project.slug}/runs/{run.pk}"
    assert call("GET", address).json()["time_limit_minutes"] == 90
    tag = call("GET", address)["ETag"]
    assert call("PATCH", address, {"time_limit_minutes": 7}, If_Match=tag).json()["time_limit_minutes"] == 7
    assert call("PATCH", address, {"time_limit_minutes": 8}, If_Match=tag).status_code == 412
    assert clone_run(actor=max_, run=Run.objects.get(pk=run.pk)).time_limit_minutes == 7
    assert call("PATCH", address, {"time_limit_minutes": None}).json()["time_limit_minutes"] is None
    for wrong in (0, time_limits.MAX_MINUTES + 1):
        with pytest.raises(ActionError, match="A time limit is 1 to"):
            limit_run(actor=max_, run=run, minutes=wrong)
    with pytest.raises(ChangedMeanwhile):
        limit_run(actor=max_, run=run, minutes=5, shown=("x",))
    assert AuditEvent.objects.filter(action="run.limit").count() == 3
