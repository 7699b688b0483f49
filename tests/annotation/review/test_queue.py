"""The queue of a project, by page and command: what is held, what is stuck, and what a manager does about it."""

import uuid
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation.batches.actions import close_batch
from annotation.errors import BatchNotOpen, InvalidTask
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, Batch, Task
from annotation.queue.actions import claim_task, skip_task, sweep_expired_leases
from annotation.queue.counters import find_counter_drift
from annotation.queue.managing import ask_one_more, change_task_priority, release_lease
from annotation.review.queue import stuck_tasks
from workspace.errors import StaleVersion

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def judge(person, assignment):
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    return submit_judgment(
        actor=person, assignment=assignment, content=content, idempotency_key=uuid.uuid4().hex
    )


def audited(project, action):
    return project.audit_events.filter(action=action).count()


def test_a_released_task_goes_to_others_and_what_is_on_the_screen_is_still_taken(
    project, ada, ruth, max_, make_batch
):
    make_batch(tasks=1)
    held = claim_task(actor=ada, project=project)
    assert claim_task(actor=ruth, project=project) is None
    release_lease(actor=max_, assignment=held)
    assert claim_task(actor=ruth, project=project).task_id == held.task_id
    late = judge(ada, held)
    assert late.surplus  # the slot is Ruth's now; the judgment is kept all the same
    with pytest.raises(InvalidTask, match="not held any more"):
        release_lease(actor=max_, assignment=held)
    assert audited(project, "task.release_lease") == 1 and find_counter_drift(project) == []


def test_one_more_person_is_asked_of_a_task_that_was_done(project, ada, ruth, max_, make_batch):
    batch = make_batch(tasks=1)
    assignment = claim_task(actor=ada, project=project)
    judge(ada, assignment)
    assert claim_task(actor=ruth, project=project) is None
    ask_one_more(actor=max_, task=assignment.task, expected_required=1)
    with pytest.raises(StaleVersion, match="to 2 meanwhile"):
        ask_one_more(actor=max_, task=assignment.task, expected_required=1)
    assert claim_task(actor=ada, project=project) is None  # not the same person again
    assert not judge(ruth, claim_task(actor=ruth, project=project)).surplus
    close_batch(actor=max_, batch=batch)
    with pytest.raises(BatchNotOpen):
        ask_one_more(actor=max_, task=assignment.task)
    assert audited(project, "task.ask_one_more") == 1 and find_counter_drift(project) == []


def test_nobody_else_is_asked_of_a_task_that_is_kept_for_one(project, ada, max_, make_batch):
    make_batch(tasks=1, task_fields=lambda number: {"reserved_for": ada})
    task = claim_task(actor=ada, project=project).task
    with pytest.raises(InvalidTask, match="kept for one person"):
        ask_one_more(actor=max_, task=task)
    assert find_counter_drift(project) == []


def test_the_task_of_the_highest_priority_comes_first(project, ada, max_, make_batch):
    last = make_batch(tasks=3).tasks.last()
    change_task_priority(actor=max_, task=last, priority=5, expected_priority=0)
    with pytest.raises(StaleVersion, match="to 5 while you looked at 0"):
        change_task_priority(actor=max_, task=last, priority=7, expected_priority=0)
    with pytest.raises(InvalidTask):
        change_task_priority(actor=max_, task=last, priority=10**7)
    assert claim_task(actor=ada, project=project).task_id == last.pk
    assert Task.objects.get(pk=last.pk).priority == 5


def test_what_comes_back_again_and_again_is_stuck_until_it_is_judged(
    client, project, ada, ruth, max_, make_batch
):
    batch = make_batch(tasks=2)
    first, second = batch.tasks.order_by("pk")
    for person in (ada, ruth):
        skip_task(actor=person, assignment=claim_task(actor=person, project=project))
    assert [task.pk for task in stuck_tasks(project)] == [first.pk]
    for _ in range(3):
        claim_task(actor=ada, project=project)
        Assignment.objects.filter(state="leased").update(leased_until=timezone.now() - timedelta(minutes=1))
        sweep_expired_leases()
    assert [task.pk for task in stuck_tasks(project).order_by("pk")] == [first.pk, second.pk]
    judge(ada, claim_task(actor=ada, project=project))
    assert [task.pk for task in stuck_tasks(project)] == [first.pk]
    client.force_login(ruth)
    page = client.get(reverse("annotation:queue", args=[project.slug]), {"show": "stuck"}).content.decode()
    assert "skipped by 2, given back unjudged 0 times" in page and "1 task found" in page


def test_the_page_names_who_holds_what_and_only_managers_release(
    client, project, ada, ruth, max_, make_batch
):
    make_batch(tasks=1, prompt="Whose is it?")
    held = claim_task(actor=ada, project=project)
    address = reverse("annotation:queue", args=[project.slug])
    client.force_login(ruth)
    page = client.get(address).content.decode()
    assert "Whose is it?" in page and "ada" in page and "Release" not in page
    client.force_login(max_)
    assert "Release" in client.get(address).content.decode()
    client.post(reverse("annotation:release_lease", args=[project.slug, held.pk]))
    assert Assignment.objects.get(pk=held.pk).state == "expired"
    assert "Whose is it?" in client.get(address, {"show": "waiting"}).content.decode()
    task = reverse("annotation:set_task_priority", args=[project.slug, Batch.objects.get().pk, held.task_id])
    client.post(task, {"priority": "3", "expected_priority": "0"})
    client.post(task, {"priority": "9", "expected_priority": "0"})
    client.post(task, {"priority": "x", "expected_priority": "3"})
    assert Task.objects.get().priority == 3


def test_the_command_lists_and_acts(project, ada, max_, make_batch, capsys):
    make_batch(tasks=1)
    held = claim_task(actor=ada, project=project)
    call_command("queue", project.slug)
    said = capsys.readouterr().out
    assert f"lease {held.pk}: task {held.task_id}" in said and "1 held, 0 stuck" in said
    call_command("queue", project.slug, "--release", str(held.pk))
    call_command("queue", project.slug, "--task", str(held.task_id), "--priority", "4", "--one-more")
    task = Task.objects.get()
    assert (task.priority, task.required_judgments, task.open_slots) == (4, 2, 2)
    for wrong in (["--priority", "4"], ["--task", "999999", "--one-more"], ["--release", str(held.pk)]):
        with pytest.raises(CommandError):
            call_command("queue", project.slug, *wrong)


def test_by_a_program(program, project, ada, ruth, max_, make_batch):
    batch = make_batch(tasks=2)
    held = claim_task(actor=ada, project=project)
    manager, reviewer = program(max_), program(ruth)
    of = f"projects/{project.slug}"
    [lease] = reviewer("GET", f"{of}/queue/leases?batch={batch.pk}").json()["results"]
    assert (lease["id"], lease["task"], lease["annotator"]) == (held.pk, held.task_id, ada.pseudonym)
    assert manager("POST", f"{of}/queue/leases/{held.pk}/release").status_code == 204
    refused = manager("POST", f"{of}/queue/leases/{held.pk}/release")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_task")
    changed = manager("PATCH", f"{of}/tasks/{held.task_id}", {"priority": 4, "expected_priority": 0}).json()
    assert changed["priority"] == 4
    late = manager("PATCH", f"{of}/tasks/{held.task_id}", {"priority": 9, "expected_priority": 0})
    assert late.status_code == 409
    more = manager("POST", f"{of}/tasks/{held.task_id}/ask-one-more", {"expected_required": 1}).json()
    assert (more["required_judgments"], more["open_slots"]) == (2, 2)
    for person in (ada, ruth):
        skip_task(actor=person, assignment=claim_task(actor=person, project=project))
    [stuck] = reviewer("GET", f"{of}/queue/stuck-tasks").json()["results"]
    assert (stuck["id"], stuck["skipped"]) == (held.task_id, 2)
    assert [audited(project, f"task.{name}") for name in ("release_lease", "ask_one_more")] == [1, 1]
