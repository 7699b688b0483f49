"""What is left and what was judged, by counts, against a walk over every task."""

import random
from contextlib import suppress
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, close_batch, reopen_batch
from annotation.errors import NoSlotLeft
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment, CurrentJudgment, Task, TaskCount
from annotation.queue.actions import claim_task, skip_task, sweep_expired_leases, undo_skip
from annotation.queue.counts import find_count_differences, repair_counts, shorten_counts
from annotation.queue.search import read_annotator_counts

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def walk(person, project):
    """(judged, remaining), by looking at every task in turn."""
    judged = remaining = 0
    for task in Task.objects.filter(batch__project=project).select_related("batch"):
        own = [a for a in task.assignments.all() if a.annotator_id == person.pk and a.state != "taken_back"]
        state = own[0].state if own else "expired"
        judged += state == "submitted"
        if task.batch.state != "open" or not task.batch.visible or not task.required_judgments:
            continue
        is_theirs = task.reserved_for_id in (None, person.pk)
        remaining += state == "leased" or (state == "expired" and task.open_slots > 0 and is_theirs)
    return judged, remaining


def check(people, project):
    for person in people:
        now = read_annotator_counts(person, project)
        assert (now.judged, now.remaining) == walk(person, project), person.username
    assert find_count_differences() == []


JUDGMENT = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])


@pytest.mark.parametrize("seed", range(4))
def test_after_whatever_people_do_the_counts_are_those_of_the_tasks(
    seed, project, max_, make_batch, make_annotators, key
):
    rng = random.Random(seed)
    people = make_annotators(4)
    batches = [
        make_batch(tasks=5, overlap=2),
        make_batch(tasks=3, overlap=1, task_fields=lambda number: {"reserved_for": people[number]}),
        make_batch(tasks=2, overlap=3, task_fields=lambda number: {"purpose": "gold"}),
    ]
    check(people, project)

    def own(person, *states):
        return rng.choice(list(person.assignments.filter(state__in=states)) or [None])

    for _ in range(60):
        person = rng.choice(people)
        match rng.randrange(9):
            case 0 | 1 | 2:
                claim_task(actor=person, project=project)
            case 3 | 4 if held := own(person, "leased", "expired"):
                submit_judgment(actor=person, assignment=held, content=JUDGMENT, idempotency_key=key())
            case 5 if held := own(person, "leased"):
                skip_task(actor=person, assignment=held)
            case 6 if done := own(person, "submitted"):
                act = rng.choice([revise_judgment, withdraw_judgment])
                content = {"content": JUDGMENT} if act is revise_judgment else {}
                current = CurrentJudgment.objects.get(task=done.task_id, annotator=person).judgment
                if done.task.batch.state == "open" and (act is revise_judgment or not current.withdrawn):
                    act(actor=person, assignment=done, idempotency_key=key(), **content)
            case 7 if skipped := own(person, "skipped"):
                if skipped.task.batch.state == "open":
                    with suppress(NoSlotLeft):
                        undo_skip(actor=person, assignment=skipped)
            case 8:
                Assignment.objects.filter(annotator=person, state="leased").update(
                    leased_until=timezone.now() - timedelta(hours=1)
                )
                sweep_expired_leases(project=project)
        if rng.random() < 0.1:
            batch = rng.choice(batches[:2])
            batch.refresh_from_db()
            close_batch(actor=max_, batch=batch) if batch.state == "open" else reopen_batch(
                actor=max_, batch=batch
            )
        if rng.random() < 0.1:
            shorten_counts(project, person)
        check(people, project)


def test_tasks_that_are_added_moved_or_deleted_are_counted(project, max_, ada, ruth, make_batch):
    one, other = make_batch(tasks=3, overlap=2), make_batch(tasks=1)
    claim_task(actor=ada, project=project, batch=one)
    task = one.tasks.last()
    shown = [row.response for row in task.task_responses.all()]
    add_tasks(actor=max_, batch=other, tasks=[NewTask(prompt=task.prompt, responses=shown)])
    check([ada, ruth], project)
    Task.objects.filter(pk__in=[one.tasks.first().pk, task.pk]).update(batch=other)
    check([ada, ruth], project)
    task.delete()
    check([ada, ruth], project)
    assert read_annotator_counts(ruth, project).remaining == 4


def test_what_is_left_costs_the_same_however_many_tasks_there_are(
    project, ada, make_batch, django_assert_num_queries
):
    make_batch(tasks=40)
    with django_assert_num_queries(1) as seen:
        assert read_annotator_counts(ada, project).remaining == 40
    # Neither tasks nor assignments are counted but the few that the person holds.
    assert seen.captured_queries[0]["sql"].count("COUNT(*) FROM annotation_task") == 1


def test_counts_of_many_rows_are_summed_and_stay_what_they_are(project, ada, make_batch):
    batch = make_batch(tasks=1)
    TaskCount.objects.bulk_create(
        TaskCount(batch=batch, annotator_id=0, available=n % 3 - 1) for n in range(600)
    )
    assert read_annotator_counts(ada, project).is_long
    assert read_annotator_counts(ada, project).remaining == 1
    claim_task(actor=ada, project=project)
    assert TaskCount.objects.filter(batch=batch, annotator_id=0).count() == 1
    assert read_annotator_counts(ada, project).remaining == 1


@pytest.mark.django_db(transaction=True)
def test_a_count_that_drifted_is_named_and_put_right(project, ada, make_batch, capsys):
    batch = make_batch(tasks=3)
    TaskCount.objects.create(batch=batch, annotator_id=0, available=5)
    TaskCount.objects.create(batch=batch, annotator_id=ada.pk, submitted=-2)
    assert [str(line) for line in find_count_differences(project)] == [
        f"batch {batch.pk}, counts of everybody: available is +5 off",
        f"batch {batch.pk}, counts of annotator {ada.pk}: submitted is -2 off",
    ]
    with pytest.raises(CommandError, match="nothing was changed"):
        call_command("reconcile", project.slug, "--quick")
    call_command("reconcile", project.slug, "--quick", "--repair")
    assert "2 counts of what is left and judged were put right." in capsys.readouterr().out
    assert (read_annotator_counts(ada, project).remaining, find_count_differences()) == (3, [])
    assert repair_counts() == 0


def test_the_triggers_of_the_counts_are_there():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger"
            if connection.vendor == "postgresql"
            else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        )
        names = {name for (name,) in cursor.fetchall()}
    assert {f"task_count_{verb}" for verb in ("insert", "update", "move", "delete")} <= names
    assert {f"assignment_count_{verb}" for verb in ("insert", "update", "delete")} <= names
