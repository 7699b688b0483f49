import pytest

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Assignment, CurrentJudgment, Task
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judged(ada, project, make_batch, key):
    """A task that three people are to judge and one has judged."""
    make_batch(tasks=1, overlap=3)
    return submit_judgment(
        actor=ada,
        assignment=claim_task(actor=ada, project=project),
        content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[2]),
        idempotency_key=key(),
    )


def test_counters_that_agree_with_their_rows_are_no_drift(judged, project):
    assert find_counter_drift(project) == find_counter_drift() == []


def test_open_slots_that_do_not_add_up_are_named(judged, project):
    Task.objects.update(open_slots=0)
    [line] = find_counter_drift(project)
    assert "open_slots is 0, but 3 required - 1 counted - 0 leased = 2" in line


def test_counted_judgments_that_are_not_there_are_named(judged, project):
    Task.objects.update(counted_judgments=0)
    assert f"task {judged.task_id}: counted_judgments is 0, but 1 judgments count" in find_counter_drift(
        project
    )


def test_a_head_that_is_not_current_and_a_submission_without_a_judgment_are_named(judged, ruth, project):
    CurrentJudgment.objects.all().delete()
    Task.objects.update(open_slots=3, counted_judgments=0)
    other = claim_task(actor=ruth, project=project)
    Assignment.objects.filter(pk=other.pk).update(state="submitted", submitted_at=judged.created_at)
    Task.objects.update(open_slots=3)
    assert find_counter_drift(project) == [
        f"judgment {judged.pk}: the head of its chain, but not the current one",
        f"assignment {other.pk}: submitted, but without a judgment",
    ]
