"""Batches of many answers by the worker: the same as at once, no task twice after a kill, and nothing to be seen before
they are whole.
"""

import os
import subprocess
import sys

import pytest
from django.core.management import call_command
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from annotation.assigning.actions import batch_audience
from annotation.errors import InvalidAssigning, InvalidBatch
from annotation.making import finding, queueing
from annotation.making.actions import make_batch_from_answers
from annotation.making.finding import Answers
from annotation.making.queueing import MAKE_BATCH, batch_of_run, clear_given_up, make_of_run, make_or_queue
from annotation.models import Batch, Task
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from runs.models import Run
from runs.states import RunState
from runs.worker import run_worker
from tests.annotation.making.conftest import shown
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db]


@pytest.fixture
def few(monkeypatch):
    """Two prompts are many."""
    monkeypatch.setattr(queueing, "PROMPTS_AT_ONCE", 2)
    monkeypatch.setattr(finding, "PAGE_PROMPTS", 2)


@pytest.fixture
def queued(few, answered, project, criterion, max_):
    def queued(name="by the worker", **options):
        wanted = {name: options.pop(name) for name in ("most", "prompts", "skip_asked") if name in options}
        answers = Answers(project=project, prompt_set=answered, **wanted)
        run = make_or_queue(actor=max_, answers=answers, criterion=criterion, name=name, **options)
        assert isinstance(run, Run)
        return run

    return queued


def quiet(stage, done):
    pass


@pytest.mark.django_db
@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_run_makes_what_the_request_would(queued, answered, project, criterion, max_, ada, most):
    run = queued(most=most, audience={"people": ["ada"], "person_quota": 3}, overlap=2, priority=7)
    assert not Batch.objects.exists() and not AuditEvent.objects.filter(action="batch.create").exists()
    seen = []
    made = make_of_run(run, lambda stage, done: seen.append((stage, done)))
    assert seen == [
        *(("looking for answers", n) for n in (0, 2, 4, 5)),
        *(("making tasks", n) for n in (0, 2, 4, 5)),
    ]
    at_once = make_batch_from_answers(
        actor=max_, criterion=criterion, name="at once", overlap=2, priority=7,
        answers=Answers(project=project, prompt_set=answered, most=most, skip_asked=False),
        audience={"people": ["ada"], "person_quota": 3},
    )  # fmt: skip
    assert shown(made) == shown(at_once) and batch_audience(made) == batch_audience(at_once)
    same = ("kind", "state", "visible", "overlap", "priority", "responses_per_task", "quota")
    assert [getattr(made, name) for name in same] == [getattr(at_once, name) for name in same]
    assert (made.name, batch_of_run(run)) == ("by the worker", made)
    # Killed between its last transaction and its result, and begun again: the same one.
    assert make_of_run(run, quiet) == made and Batch.objects.count() == 2


@pytest.mark.django_db
def test_what_would_be_refused_at_its_end_is_refused_before_it_is_queued(queued, max_, make_batch):
    [there] = [make_batch(tasks=1)]
    for options, error in (
        ({"name": there.name}, InvalidBatch),
        ({"name": "x" * 200}, InvalidBatch),
        ({"overlap": 0}, InvalidBatch),
        ({"audience": {"people": ["olga"]}}, InvalidAssigning),
        ({"most": 1, "open_at_once": True}, InvalidBatch),  # the project asks nothing of an answer alone
        ({"most": 10}, InvalidBatch),
    ):
        with pytest.raises(error):
            queued(**options)
    assert not Run.objects.exists() and list(Batch.objects.all()) == [there]
    run = queued(prompts=4, skip_asked=True)
    make_of_run(run, quiet)
    with pytest.raises(InvalidBatch, match="There is nothing to compare: 1 prompts .* 3 are in a batch"):
        make_of_run(queued("again", prompts=4), quiet)


MAKE = """
import os, sys
from django.conf import settings
settings.DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE"]
import django
django.setup()
from annotation.making import finding
from annotation.making.queueing import make_of_run
from runs.models import Run
finding.PAGE_PROMPTS = 2
def watch(stage, done):
    if (stage, done) == ("making tasks", 2):
        print("two prompts", flush=True)
        sys.stdin.read()  # until it is killed
make_of_run(Run.objects.get(pk=sys.argv[1]), watch)
"""


@pytest.mark.django_db(transaction=True)
def test_killed_it_is_gone_on_with_and_no_task_is_there_twice(
    queued, answered, project, criterion, max_, ada, settings
):
    run = queued(open_at_once=True, most=3)
    child = subprocess.Popen(
        [sys.executable, "-c", MAKE, str(run.pk)],
        env=os.environ | {"TEST_DATABASE": str(settings.DATABASES["default"]["NAME"]),
                          "ROUNDTABLE_DATABASE_URL": os.environ.get("ROUNDTABLE_DATABASE_URL", ""),
                          "DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        assert child.stdout.readline() == "two prompts\n"
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()
    left = Batch.objects.get()
    assert (left.visible, left.tasks.count(), left.state) == (False, 2, "draft")
    assert batch_of_run(run) is None and claim_task(actor=ada, project=project) is None
    # While its run may go on nobody clears it.
    assert clear_given_up() == 0 and Task.objects.count() == 2
    seen = []
    made = make_of_run(run, lambda stage, done: seen.append((stage, done)))
    assert seen == [("making tasks", 2), ("making tasks", 4), ("making tasks", 5)]
    assert (made.pk, made.name, made.state, made.visible) == (left.pk, "by the worker", "open", True)
    assert shown(made) == [["a1", "b1", "c1"], ["a1", "b1"], ["b1", "b2"]]
    assert find_counter_drift(project=project) == [] and claim_task(actor=ada, project=project) is not None


@pytest.mark.django_db
@pytest.mark.parametrize("at_a_time", [1, 500])
def test_what_a_cancelled_run_left_is_cleared_and_its_prompts_are_free_again(
    queued, project, monkeypatch, at_a_time
):
    monkeypatch.setattr(queueing, "TASKS_PER_TRANSACTION", at_a_time)
    run = queued(most=1)

    def stop(stage, done):
        if (stage, done) == ("making tasks", 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_of_run(run, stop)
    assert (Batch.objects.get().visible, Task.objects.count()) == (False, 9)
    Run.objects.filter(pk=run.pk).update(state=RunState.CANCELLED, finished_at=timezone.now())
    assert clear_given_up() == 1 and not Batch.objects.exists() and not Task.objects.exists()
    assert AuditEvent.objects.get(action="batch.clear").details["run"] == run.pk
    # Started again it begins anew; another finds the prompts free.
    Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED, finished_at=None)
    assert make_of_run(Run.objects.get(pk=run.pk), quiet).tasks.count() == 10


@pytest.mark.django_db
def test_a_run_that_is_started_again_while_it_is_cleared_goes_on_from_what_is_left(queued, monkeypatch):
    monkeypatch.setattr(queueing, "TASKS_PER_TRANSACTION", 1)
    run = queued(most=1)

    def stop(stage, done):
        if (stage, done) == ("making tasks", 4):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_of_run(run, stop)
    Run.objects.filter(pk=run.pk).update(state=RunState.CANCELLED, finished_at=timezone.now())
    looks = []

    def is_finished(of):
        looks.append(Task.objects.count())
        return len(looks) < 3  # started again after two transactions

    monkeypatch.setattr(Run, "is_finished", property(is_finished))
    assert clear_given_up() == 0 and looks == [9, 8, 6]
    Run.objects.filter(pk=run.pk).update(state=RunState.QUEUED, finished_at=None)
    made = make_of_run(Run.objects.get(pk=run.pk), quiet)
    assert sorted(sum(shown(made), [])) == ["a1", "a1", "a1", "a2", "b1", "b1", "b1", "b2", "c1", "same"]


@pytest.mark.django_db
def test_a_prompt_that_another_batch_took_meanwhile_is_asked_once(queued, answered, project, criterion, max_):
    run = queued()

    def watch(stage, done):
        if (stage, done) == ("making tasks", 0):
            first = Answers(project=project, prompt_set=answered, prompts=1)
            make_batch_from_answers(actor=max_, answers=first, criterion=criterion, name="meanwhile")

    made = make_of_run(run, watch)
    asked = list(Task.objects.values_list("prompt", flat=True))
    assert made.tasks.count() == 2 and len(asked) == len(set(asked)) == 3


@pytest.mark.django_db
def test_programs_and_the_command_are_told_of_the_run(few, answered, project, max_, program, capsys):
    body = {"name": "by program", "prompt_set": answered.pk, "audience": {"person_quota": 4}}
    call = program(max_, project)
    answer = call("POST", "projects/kitchen/batches/from-answers", body, Idempotency_Key="one")
    again = call("POST", "projects/kitchen/batches/from-answers", body, Idempotency_Key="one")
    assert (answer.status_code, answer.json()["kind"], again.json()) == (202, MAKE_BATCH.name, answer.json())
    run = Run.objects.get()
    assert make_of_run(run, quiet).person_quota == 4
    small = call(
        "POST",
        "projects/kitchen/batches/from-answers",
        body | {"prompts": 1, "skip_asked": False, "name": "s"},
    )
    assert small.status_code == 201
    call_command("make_batch", "kitchen", "by command", "--prompt-set", "asked", "--asked-too")
    assert "a worker makes the batch" in capsys.readouterr().out and Run.objects.count() == 2


@pytest.mark.django_db
def test_many_answers_to_few_prompts_are_many(answered, project, criterion, max_, monkeypatch):
    monkeypatch.setattr(queueing, "ANSWERS_AT_ONCE", 10)
    for sources, is_large in (("abc", True), ("bc", False)):
        answers = Answers(
            project=project, prompt_set=answered, sources=list(project.sources.filter(name__in=sources))
        )
        made = make_or_queue(actor=max_, answers=answers, criterion=criterion, name=sources)
        assert isinstance(made, Run) == is_large


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_form_the_worker_and_the_page(
    client, few, answered, project, criterion, max_, settings, monkeypatch
):
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.child_settings")
    monkeypatch.setenv("TEST_DATABASE_NAME", str(connection.settings_dict["NAME"]))
    settings.RUN_ENVIRONMENT_ALLOWLIST = [*settings.RUN_ENVIRONMENT_ALLOWLIST, "TEST_DATABASE_NAME"]
    settings.RUN_HEARTBEAT_SECONDS = 0.1
    client.force_login(max_)
    sent = {
        "name": "Tea",
        "criterion": criterion.pk,
        "prompt_set": answered.pk,
        "most": 3,
        "skip_asked": "on",
    }
    answer = client.post(reverse("annotation:batch_from_answers", args=[project.slug]), sent)
    run = Run.objects.get(kind=MAKE_BATCH.name)
    page = reverse("annotation:batch_being_made", args=[project.slug, run.pk])
    assert answer["Location"] == page
    assert "It waits for a worker" in client.get(page).content.decode()
    assert page in client.get(reverse("annotation:batches", args=[project.slug])).content.decode()
    assert run_worker([MAKE_BATCH], once=True, install_signals=False) == 1
    run.refresh_from_db()
    assert run.state == RunState.DONE, run.error
    made = Batch.objects.get()
    assert (made.tasks.count(), made.visible, made.name) == (3, True, "Tea")
    assert client.get(page)["Location"] == reverse("annotation:batch", args=[project.slug, made.pk])
    live = client.get(reverse("annotation:batch_being_made_live", args=[project.slug, run.pk]))
    assert live["HX-Redirect"] == page
