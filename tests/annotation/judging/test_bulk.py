import pytest

from annotation.errors import AlreadySubmitted, InvalidJudgment, InvalidTask
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Judgment, Task
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from workspace.accounts import create_machine_annotator
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def robot(project, max_):
    return create_machine_annotator(actor=max_, project=project, name="robot", kind="simulated")


def new_judgment(task, annotator, number=0, **changes):
    keys = list(task.task_responses.values_list("response_id", flat=True))
    fields = {"tiers": [[keys[1]], [keys[0]]], "strengths": [2], "idempotency_key": f"robot-run-1-{number}"}
    return NewJudgment(task=task, annotator=annotator, **(fields | changes))


def test_machines_judgments_count_once_however_often_they_are_added(project, max_, robot, make_batch):
    batch = make_batch(tasks=3)
    rows = [new_judgment(task, robot, number) for number, task in enumerate(batch.tasks.order_by("pk"))]
    first = add_judgments(actor=max_, batch=batch, rows=rows)
    again = add_judgments(actor=max_, batch=batch, rows=rows)
    assert [judgment.pk for judgment in again] == [judgment.pk for judgment in first]
    assert Judgment.objects.of_annotator_kinds("simulated").counted().count() == 3
    assert not Judgment.objects.by_people().exists()
    assert set(Task.objects.values_list("open_slots", "counted_judgments")) == {(0, 1)}
    assert AuditEvent.objects.filter(action="judgments.add").count() == 1
    assert find_counter_drift(project) == []


def test_beyond_the_slots_they_are_surplus(project, max_, robot, make_batch):
    batch = make_batch(tasks=1)
    other = create_machine_annotator(actor=max_, project=project, name="robot2", kind="simulated")
    task = batch.tasks.get()
    judgments = add_judgments(
        actor=max_, batch=batch, rows=[new_judgment(task, robot), new_judgment(task, other)]
    )
    assert [judgment.surplus for judgment in judgments] == [False, True]
    assert find_counter_drift(project) == []


def test_a_second_judgment_of_a_machine_on_a_task_is_refused_and_nothing_is_kept(
    project, max_, robot, make_batch
):
    batch = make_batch(tasks=2)
    one, two = batch.tasks.order_by("pk")
    with pytest.raises(AlreadySubmitted):
        add_judgments(
            actor=max_,
            batch=batch,
            rows=[new_judgment(two, robot, 1), new_judgment(one, robot, 2), new_judgment(one, robot, 3)],
        )
    assert not Judgment.objects.exists()


def test_a_wrong_order_or_a_task_of_another_batch_is_refused(max_, robot, make_batch):
    batch, other = make_batch(tasks=1), make_batch(tasks=1)
    task = batch.tasks.get()
    with pytest.raises(InvalidJudgment):
        add_judgments(actor=max_, batch=batch, rows=[new_judgment(task, robot, tiers=[[-1], [-2]])])
    with pytest.raises(InvalidTask):
        add_judgments(actor=max_, batch=other, rows=[new_judgment(task, robot)])


def test_a_lease_becomes_the_added_judgment(ada, max_, project, make_batch):
    batch = make_batch(tasks=1)
    claim_task(actor=ada, project=project)
    judgments = add_judgments(actor=max_, batch=batch, rows=[new_judgment(batch.tasks.get(), ada)])
    assert judgments[0].surplus is False
    assert find_counter_drift(project) == []
