"""Another number of people per task: what is judged or held stays, and the open slots follow."""

import pytest

from annotation.batches.actions import NewTask, add_tasks, change_overlap, close_batch
from annotation.errors import BatchNotOpen, InvalidBatch
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Response, Task
from annotation.queue.actions import claim_task, skip_task
from annotation.queue.counters import find_counter_drift
from workspace.errors import StaleVersion

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judge(project, key):
    def judge(person):
        """Judges the next task of the person; its key, None where nothing is left."""
        assignment = claim_task(actor=person, project=project)
        if assignment is None:
            return None
        content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
        submit_judgment(actor=person, assignment=assignment, content=content, idempotency_key=key())
        return assignment.task_id

    return judge


def slots(batch):
    columns = ("required_judgments", "open_slots", "counted_judgments")
    return list(batch.tasks.order_by("pk").values_list(*columns))


def test_more_people_get_the_tasks_again_and_fewer_leave_what_is_done(
    project, max_, make_batch, make_annotators, judge
):
    one, two, three = make_annotators(3)
    batch = make_batch(tasks=3, overlap=2)  # quota: 3 tasks by 2 people
    assert batch.quota == 6
    first = judge(one)
    assert [judge(two), judge(two)][0] == first
    claim_task(actor=three, project=project)  # holds the second
    assert slots(batch) == [(2, 0, 2), (2, 0, 1), (2, 2, 0)]

    fewer = change_overlap(actor=max_, batch=batch, overlap=1)
    # The first has two judgments, the second one and somebody at it: they keep them.
    assert slots(batch) == [(2, 0, 2), (2, 0, 1), (1, 1, 0)]
    assert (fewer.overlap, fewer.quota) == (1, 5)

    more = change_overlap(actor=max_, batch=batch, overlap=3, expected_overlap=1)
    assert slots(batch) == [(3, 1, 2), (3, 1, 1), (3, 3, 0)]
    assert (more.overlap, more.quota) == (3, 9)
    assert find_counter_drift(project) == []
    assert {judge(one), judge(one)} == set(Task.objects.order_by("pk").values_list("pk", flat=True)[1:])
    assert find_counter_drift(project) == []
    event = project.audit_events.filter(action="batch.change_overlap").latest("pk")
    assert event.details == {
        "before": {"overlap": 1, "quota": 5}, "now": {"overlap": 3, "quota": 9}, "tasks": 3,
    }  # fmt: skip


def test_a_smaller_quota_stays_and_tasks_with_numbers_of_their_own_do_too(project, max_, ada, make_batch):
    batch = make_batch(tasks=2, overlap=2, quota=3)
    task = batch.tasks.first()
    shown = list(Response.objects.filter(task_responses__task=task))
    own, reserved = add_tasks(
        actor=max_,
        batch=batch,
        tasks=[
            NewTask(prompt=task.prompt, responses=shown, required_judgments=5),
            NewTask(prompt=task.prompt, responses=shown, reserved_for=ada),
        ],
    )
    changed = change_overlap(actor=max_, batch=batch, overlap=4)
    assert changed.quota == 3
    assert slots(batch) == [(4, 4, 0), (4, 4, 0), (5, 5, 0), (1, 1, 0)]
    # Also when the number is that of the batch, or all are taken.
    change_overlap(actor=max_, batch=batch, overlap=5)
    change_overlap(actor=max_, batch=batch, overlap=3)
    assert slots(batch) == [(3, 3, 0), (3, 3, 0), (5, 5, 0), (1, 1, 0)]
    assert change_overlap(actor=max_, batch=batch, overlap=1).quota == 3


def test_a_full_task_with_a_number_of_its_own_keeps_it_and_one_that_could_not_be_cut_follows(
    project, max_, make_batch, make_annotators, judge
):
    one, two, three = make_annotators(3)
    batch = make_batch(tasks=1, overlap=2)
    task = batch.tasks.get()
    shown = list(Response.objects.filter(task_responses__task=task))
    add_tasks(
        actor=max_,
        batch=batch,
        tasks=[NewTask(prompt=task.prompt, responses=shown, required_judgments=3, priority=1)],
    )
    batch.quota = None
    batch.save(update_fields=["quota"])
    for person in (one, two, three):
        judge(person)
    held = claim_task(actor=one, project=project)
    assert slots(batch) == [(2, 1, 0), (3, 0, 3)]
    judge(two)
    change_overlap(actor=max_, batch=batch, overlap=1)
    # The first is held by two: it could not be cut, and has room again when one of them lets go.
    assert slots(batch) == [(2, 0, 1), (3, 0, 3)]
    skip_task(actor=one, assignment=held)
    assert slots(batch) == [(2, 1, 1), (3, 0, 3)]
    change_overlap(actor=max_, batch=batch, overlap=4)
    assert slots(batch) == [(4, 3, 1), (3, 0, 3)]
    assert find_counter_drift(project) == []


def test_what_cannot_be_is_refused(project, max_, make_batch):
    batch = make_batch(tasks=1, overlap=2)
    for overlap in (0, 51):
        with pytest.raises(InvalidBatch):
            change_overlap(actor=max_, batch=batch, overlap=overlap)
    with pytest.raises(StaleVersion):
        change_overlap(actor=max_, batch=batch, overlap=3, expected_overlap=1)
    close_batch(actor=max_, batch=batch)
    with pytest.raises(BatchNotOpen):
        change_overlap(actor=max_, batch=batch, overlap=3)
    assert slots(batch) == [(2, 2, 0)]


def test_by_the_page_and_by_a_program(client, program, project, max_, make_batch):
    batch = make_batch(tasks=1, overlap=2)
    client.force_login(max_)
    address = f"/projects/kitchen/annotate/batches/{batch.pk}/"
    client.post(f"{address}overlap/", {"overlap": 3, "expected_overlap": 2})
    assert slots(batch) == [(3, 3, 0)]
    page = client.post(
        f"{address}overlap/", {"overlap": 9, "expected_overlap": 2}, follow=True
    ).content.decode()
    assert "Somebody set the people per task" in page and slots(batch) == [(3, 3, 0)]
    answer = program(max_)("PATCH", f"projects/kitchen/batches/{batch.pk}", {"overlap": 1})
    assert (answer.status_code, answer.json()["overlap"], slots(batch)) == (200, 1, [(1, 1, 0)])
