"""What was judged when, and which tasks come back: stored counts against the judgments and leases they stand for."""

import random
import uuid
from datetime import UTC, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment, Judgment, Task, TaskTrouble, WorkCount
from annotation.models.work_triggers import _QUARTER, TRIGGERS, fill_work_counts
from annotation.queue.actions import claim_task, skip_task, sweep_expired_leases, undo_skip

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def judge(person, assignment, seconds=6.0, how=submit_judgment):
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1], seconds=seconds)
    return how(actor=person, assignment=assignment, content=content, idempotency_key=uuid.uuid4().hex)


def let_end(assignment):
    Assignment.objects.filter(pk=assignment.pk).update(leased_until=timezone.now() - timedelta(minutes=1))
    sweep_expired_leases()


def stored():
    rows = WorkCount.objects.order_by("batch_id", "annotator_id", "quarter")
    return [
        (
            row.batch_id,
            row.annotator_id,
            row.quarter,
            row.judgments,
            row.counted + row.counted_reserved,
            row.seconds,
        )
        for row in rows
    ]


def quarter_of(moment):
    return moment.replace(minute=moment.minute // 15 * 15, second=0, microsecond=0)


def expected():
    """The same in Python, from the rows: first judgments, current ones that count, and seconds of all."""
    found = {}
    for judgment in Judgment.objects.filter(from_import=None).select_related("task", "supersedes"):
        quarter = quarter_of(judgment.created_at)
        row = found.setdefault((judgment.task.batch_id, judgment.annotator_id, quarter), [0, 0, 0.0])
        row[0] += judgment.supersedes is None
        before = judgment.supersedes
        if judgment.task.purpose in ("normal", "head_to_head"):
            row[1] += not judgment.withdrawn and not judgment.surplus
            row[1] -= before is not None and not before.withdrawn and not before.surplus
        row[2] += judgment.seconds
    return [(*key, *values) for key, values in sorted(found.items())]


def test_judging_changing_and_withdrawing_by_chance_leaves_the_counts_right(project, ada, ruth, make_batch):
    make_batch(tasks=6, overlap=2)
    make_batch(tasks=3, task_fields=lambda n: {"reserved_for": ada} if n else {})
    chance = random.Random(7)
    for _ in range(40):
        person = chance.choice([ada, ruth])
        own = list(Assignment.objects.filter(annotator=person, state="submitted").order_by("pk"))
        if own and chance.random() < 0.4:
            assignment = chance.choice(own)
            current = Judgment.objects.heads().get(assignment=assignment)
            if chance.random() < 0.5:
                judge(person, assignment, seconds=2.5, how=revise_judgment)
            elif not current.withdrawn:
                withdraw_judgment(actor=person, assignment=assignment, idempotency_key=uuid.uuid4().hex)
        elif assignment := claim_task(actor=person, project=project):
            if chance.random() < 0.3:
                let_end(assignment)  # late: surplus, if somebody took the slot
                other = ruth if person == ada else ada
                if taken := claim_task(actor=other, project=project):
                    judge(other, taken)
            judge(person, assignment)
    assert stored() == expected()  # multiples of a half are exact
    counted = sum(row.counted + row.counted_reserved for row in WorkCount.objects.all())
    assert counted == sum(Task.objects.values_list("counted_judgments", flat=True)) > 0


@pytest.mark.parametrize(
    ("at", "begins"),
    [("10:00:00", "10:00"), ("10:14:59.999999", "10:00"), ("10:15:00", "10:15"), ("10:29:59.5", "10:15"),
     ("10:30:00.000001", "10:30"), ("10:44:00", "10:30"), ("10:45:00", "10:45"), ("23:59:59.999999", "23:45")],
)  # fmt: skip
def test_the_database_knows_the_quarters(at, begins):
    cast = "CAST(%s AS timestamptz)" if connection.vendor == "postgresql" else "%s"
    zone = "+00" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_QUARTER[connection.vendor]} FROM (SELECT {cast} AS created_at) n",
            [f"2026-11-29 {at}{zone}"],
        )
        [(found,)] = cursor.fetchall()
    if connection.vendor == "postgresql":
        found = found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    assert found == f"2026-11-29 {begins}:00"


def test_a_quarter_is_that_of_the_judgment(project, ada, make_batch):
    make_batch(tasks=1)
    judge(ada, claim_task(actor=ada, project=project))
    [count] = WorkCount.objects.all()
    made = Judgment.objects.get().created_at
    assert count.quarter <= made < count.quarter + timedelta(minutes=15)
    assert count.quarter == quarter_of(made)
    assert (count.judgments, count.counted, count.counted_reserved, count.seconds) == (1, 1, 0, 6.0)
    assert list(WorkCount.objects.filter(quarter__gte=count.quarter)) == [count]
    assert not WorkCount.objects.filter(quarter__gt=count.quarter).exists()


def test_what_is_judged_of_a_task_goes_with_it_to_another_batch(project, ada, make_batch):
    first = make_batch(tasks=2)
    for _ in range(2):
        judge(ada, claim_task(actor=ada, project=project))
    other = make_batch(tasks=1)
    Task.objects.filter(pk=first.tasks.first().pk).update(batch=other)
    assert {row[0]: row[3:] for row in stored()} == {first.pk: (1, 1, 6.0), other.pk: (1, 1, 6.0)}


def test_skips_and_ended_leases_of_a_task_are_counted(project, ada, ruth, make_batch):
    make_batch(tasks=1, overlap=2)
    assignment = claim_task(actor=ada, project=project)
    for _ in range(2):
        let_end(assignment)
        assignment = claim_task(actor=ada, project=project)
    skip_task(actor=ada, assignment=assignment)
    skip_task(actor=ruth, assignment=claim_task(actor=ruth, project=project))
    assert list(TaskTrouble.objects.values_list("skipped", "expired")) == [(2, 2)]
    undo_skip(actor=ada, assignment=assignment)
    assert list(TaskTrouble.objects.values_list("skipped", "expired")) == [(1, 2)]


def test_a_task_that_is_judged_at_once_has_no_row(project, ada, make_batch):
    make_batch(tasks=1)
    judge(ada, claim_task(actor=ada, project=project))
    assert not TaskTrouble.objects.exists()


def test_an_upgrade_counts_what_is_there_as_the_triggers_would_have(project, ada, ruth, make_batch):
    make_batch(tasks=4, overlap=2)
    for _ in range(2):
        assignment = claim_task(actor=ada, project=project)
        judge(ada, assignment)
    judge(ada, assignment, seconds=1.5, how=revise_judgment)
    skip_task(actor=ruth, assignment=claim_task(actor=ruth, project=project))
    let_end(claim_task(actor=ruth, project=project))

    def troubles():
        return list(TaskTrouble.objects.order_by("task_id").values_list("task_id", "skipped", "expired"))

    counted, came_back = stored(), troubles()
    WorkCount.objects.all().delete()
    TaskTrouble.objects.all().delete()
    fill_work_counts().code(None, connection.SchemaEditorClass(connection))
    assert (stored(), troubles()) == (counted, came_back)
    assert [row[3:] for row in counted] == [(2, 2, 13.5)] and len(came_back) == 2


def test_the_triggers_are_there():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger"
            if connection.vendor == "postgresql"
            else "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        )
        names = {name for (name,) in cursor.fetchall()}
    assert set(TRIGGERS) <= names
