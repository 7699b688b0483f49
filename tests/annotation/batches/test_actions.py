import pytest

from annotation.batches.actions import (
    NewTask,
    add_tasks,
    close_batch,
    create_batch,
    open_batch,
    set_priorities,
)
from annotation.errors import BatchNotOpen, InvalidBatch, InvalidTask
from annotation.models import Batch
from workspace.models import Criterion

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.mark.parametrize(("max_quota", "quota"), [(None, 6), (4, 4), (6, 6), (50, 6)])
def test_a_quota_is_as_many_judgments_as_the_tasks_have_room_for_and_at_most_what_was_asked(
    make_batch, max_, max_quota, quota
):
    batch = open_batch(actor=max_, batch=make_batch(tasks=3, overlap=2, opened=False), max_quota=max_quota)
    assert batch.quota == quota


def test_tasks_kept_for_one_person_are_not_in_the_quota(make_batch, max_, ada):
    def kept_for_ada(number):
        return {"reserved_for": ada} if number == 0 else {}

    batch = make_batch(tasks=3, overlap=2, opened=False, task_fields=kept_for_ada)
    batch = open_batch(actor=max_, batch=batch)
    assert batch.quota == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"responses_per_task": 0},
        {"responses_per_task": 10},
        {"kind": "ranking"},
        {"overlap": 0},
        {"overlap": 51},
        {"quota": 0},
        {"name": " "},
        {"name": "n" * 121},
        {"name": "Taken"},
    ],
)
def test_a_batch_that_cannot_be_is_refused(max_, project, criterion, wrong):
    fields = {"actor": max_, "project": project, "criterion": criterion}
    create_batch(**fields, name="Taken")
    with pytest.raises(InvalidBatch):
        create_batch(**fields | {"name": "New"} | wrong)
    assert Batch.objects.count() == 1


def test_a_batch_without_tasks_does_not_open_and_a_closed_one_stays_closed(
    max_, project, criterion, make_batch
):
    empty = create_batch(actor=max_, project=project, criterion=criterion, name="Empty")
    with pytest.raises(InvalidBatch):
        open_batch(actor=max_, batch=empty)
    closed = close_batch(actor=max_, batch=make_batch(tasks=1))
    for act in (open_batch, lambda **who: add_tasks(**who, tasks=[])):
        with pytest.raises(BatchNotOpen):
            act(actor=max_, batch=closed)


def test_a_task_that_does_not_fit_its_batch_is_refused(max_, make_batch):
    batch = make_batch(tasks=2, opened=False)
    prompt, other = (task.prompt for task in batch.tasks.order_by("pk"))
    pair, (foreign, _) = list(prompt.responses.all()), list(other.responses.all())
    for wrong in (
        {"responses": pair[:1]},
        {"responses": [pair[0], pair[0]]},
        {"responses": [pair[0], foreign]},
        {"responses": pair, "purpose": "riddle"},
        {"responses": pair, "purpose": "repeat"},
        {"responses": pair, "required_judgments": 51},
    ):
        with pytest.raises(InvalidTask):
            add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, **wrong)])
    assert batch.tasks.count() == 2


def test_priorities_are_set_for_tasks_of_the_batch_alone(max_, make_batch):
    batch, other = make_batch(tasks=2), make_batch(tasks=1)
    first, second = batch.tasks.order_by("pk")
    assert set_priorities(actor=max_, batch=batch, priorities={first.pk: 3, second.pk: 0}) == 1
    with pytest.raises(InvalidTask):
        set_priorities(actor=max_, batch=batch, priorities={other.tasks.get().pk: 3})


def test_a_criterion_of_another_project_is_refused(max_, project):
    from workspace.actions import create_project

    other = create_project(actor=max_, name="Garden")
    with pytest.raises(InvalidBatch):
        create_batch(actor=max_, project=project, criterion=Criterion.objects.get(project=other), name="New")
