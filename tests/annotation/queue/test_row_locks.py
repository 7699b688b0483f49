"""Row locks do not stand in the way of foreign keys, which are checked when a transaction commits."""

import ast
from datetime import timedelta

import pytest
from django.db import transaction

from annotation.batches.actions import change_overlap, set_priorities
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, Batch, Task
from annotation.queue.actions import claim_task, sweep_expired_leases
from annotation.queue.counters import find_counter_drift
from annotation.queue.managing import ask_one_more, change_task_priority
from annotation.queue.positions import Kind
from tests.other_connection import in_another_connection, until_it_waits
from tests.test_repository import ROOT, tracked_files
from workspace.database import database_now
from workspace.models import Project


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
def test_a_sweep_beside_the_judgment_of_a_known_task_is_no_deadlock(project, make_batch, ada, monkeypatch):
    """The judgment of a task without slots holds its assignment and asks for the task when it commits; the sweep holds
    the task and asks for the assignment.
    """
    Project.objects.filter(pk=project.pk).update(gold_share=0.1)
    project.refresh_from_db()
    make_batch(tasks=2)
    make_batch(tasks=1, task_fields=lambda number: {"purpose": "gold"})
    monkeypatch.setattr("annotation.queue.search.kind_at", lambda *_: Kind.GOLD)
    leased = claim_task(actor=ada, project=project)
    assert leased.task.purpose == Task.Purpose.GOLD
    Assignment.objects.filter(pk=leased.pk).update(leased_until=database_now() - timedelta(seconds=1))
    answer = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    with transaction.atomic():
        judgment = submit_judgment(
            actor=ada, assignment=leased, content=answer, idempotency_key="the-only-one"
        )
        thread, found = in_another_connection(sweep_expired_leases)
        until_it_waits(thread)
    thread.join(150)
    assert found == [0]  # the judgment came first, and nothing is left to sweep
    leased.refresh_from_db()
    assert leased.state == Assignment.State.SUBMITTED and not judgment.surplus


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("what", ["one more", "a priority", "priorities"])
def test_a_batch_is_locked_before_its_tasks(project, make_batch, max_, what):
    """One writer holds the batch and comes to its tasks; another one of a single task waits before it holds that."""
    batch = make_batch(tasks=2, overlap=1)
    task = batch.tasks.order_by("pk").last()
    act = {
        "one more": lambda: ask_one_more(actor=max_, task=task),
        "a priority": lambda: change_task_priority(actor=max_, task=task, priority=7),
        "priorities": lambda: set_priorities(actor=max_, batch=batch, priorities={task.pk: 7}),
    }[what]
    with transaction.atomic():
        Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
        thread, found = in_another_connection(act)
        until_it_waits(thread)
        change_overlap(actor=max_, batch=batch, overlap=2)
    thread.join(150)
    assert found == [1 if what == "priorities" else None]
    task.refresh_from_db()
    assert (task.required_judgments, task.priority) == ((3, 0) if what == "one more" else (2, 7))
    assert find_counter_drift(project) == []


def test_every_row_lock_leaves_foreign_keys_alone():
    """FOR UPDATE would keep whatever refers to the row from being committed; no key of a row is ever changed."""
    sources = [
        path for path in tracked_files() if path.suffix == ".py" and ROOT / "tests" not in path.parents
    ]
    calls = [
        (path.relative_to(ROOT), node.lineno, {keyword.arg for keyword in node.keywords})
        for path in sources
        if "select_for_update" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "select_for_update"
    ]
    assert len(calls) > 50
    assert [call for call in calls if "no_key" not in call[2]] == []
