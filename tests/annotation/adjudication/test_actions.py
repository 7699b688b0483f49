"""A decision is a judgment of its own; a judgment goes back to its author and stays what it was."""

import uuid

import pytest

from annotation.adjudication.actions import (
    current_decision,
    decide_task,
    keep_judgment,
    open_returns,
    return_judgment,
)
from annotation.batches.actions import close_batch
from annotation.errors import (
    BatchNotOpen,
    DecidedMeanwhile,
    InvalidDecision,
    InvalidJudgment,
    NotYourTask,
    ReturnedAlready,
)
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment
from annotation.models import Adjudication, Judgment, Task
from annotation.queue.actions import claim_task
from annotation.queue.counters import find_counter_drift
from workspace.models import AuditEvent, Membership

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def judge(person, project, *tiers):
    assignment = claim_task(actor=person, project=project)
    said = JudgmentInput(tiers=[[label] for label in tiers] or [["A", "B"]], strengths=[1] * bool(tiers))
    return submit_judgment(
        actor=person, assignment=assignment, content=said, idempotency_key=uuid.uuid4().hex
    )


@pytest.fixture
def disputed(project, make_batch, ada, make_annotators):
    """(task, ada's judgment, another's)"""
    batch = make_batch(tasks=1, overlap=2)
    [other] = make_annotators(1)
    mine, theirs = judge(ada, project, "A", "B"), judge(other, project)
    return batch.tasks.get(), mine, theirs


def decide(actor, task, **said):
    keys = sorted(task.task_responses.values_list("response_id", flat=True))
    given = {"order_shown": keys, "tiers": [[keys[1]], [keys[0]]], "strengths": [2], "kind": "slip"}
    return decide_task(actor=actor, task=task, **(given | said))


def test_a_decision_is_a_judgment_of_its_own(project, ruth, disputed):
    task, mine, theirs = disputed
    made = decide(ruth, task, rationale="B cites its source.")
    [judgment] = made.decision_task.judgments.all()
    assert made.decision_task.purpose == Task.Purpose.ADJUDICATION and made.decision_task.batch == task.batch
    assert judgment.annotator == ruth and judgment.strengths == [2]
    assert judgment.rationale == "B cites its source."
    # What the annotators said is what counts of their task, as before.
    assert list(Judgment.objects.counted().filter(task=task).order_by("pk")) == [mine, theirs]
    assert find_counter_drift(project) == []
    assert claim_task(actor=ruth, project=project) is None
    assert AuditEvent.objects.filter(action="task.adjudicate", actor=ruth).count() == 1


def test_a_reviewer_who_judged_it_decides_it_too(project, ruth, make_batch, ada):
    batch = make_batch(tasks=1, overlap=2)
    judge(ada, project, "A", "B")
    own = judge(ruth, project, "B", "A")
    decide(ruth, batch.tasks.get())
    assert Judgment.objects.current().filter(pk=own.pk).exists()


def test_two_who_decide_at_once_do_not_overwrite_each_other(ruth, max_, disputed):
    task, *_ = disputed
    first = decide(ruth, task)
    with pytest.raises(DecidedMeanwhile):
        decide(max_, task, kind="style")
    assert current_decision(task) == first
    second = decide(max_, task, kind="style", expected=first.pk)
    assert current_decision(task) == second and second.supersedes == first
    assert Adjudication.objects.count() == 2 and first.decision_task.judgments.count() == 1


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"kind": "weather"}, InvalidDecision),
        ({"strengths": [7]}, InvalidJudgment),
        ({"tiers": [[1], [1]]}, InvalidJudgment),
    ],
)
def test_what_is_no_decision_leaves_nothing(ruth, disputed, said, error):
    task, *_ = disputed
    with pytest.raises(error):
        decide(ruth, task, **said)
    assert not Adjudication.objects.exists() and Task.objects.count() == 1


def test_only_judged_tasks_that_count_are_decided(ruth, max_, make_batch, disputed):
    task, *_ = disputed
    with pytest.raises(InvalidDecision, match="Nobody has judged"):
        decide(ruth, make_batch(tasks=1).tasks.get())
    made = decide(ruth, task)
    with pytest.raises(InvalidDecision, match="Only tasks"):
        decide(ruth, made.decision_task)


def test_a_judgment_goes_back_and_its_author_changes_it(project, ruth, ada, disputed):
    task, mine, _ = disputed
    returned = return_judgment(actor=ruth, judgment=mine, remark=" Read answer B to its end. ")
    assert returned.remark == "Read answer B to its end."
    assert [row.judgment for row in open_returns(ada, project)] == [mine]
    changed = revise_judgment(
        actor=ada,
        assignment=mine.assignment,
        content=JudgmentInput(tiers=[["B"], ["A"]], strengths=[0]),
        idempotency_key=uuid.uuid4().hex,
    )
    assert not open_returns(ada, project) and changed.supersedes == mine
    with pytest.raises(ReturnedAlready):
        keep_judgment(actor=ada, returned=returned)
    # The changed one can be sent back in its turn, the old one cannot.
    return_judgment(actor=ruth, judgment=changed, remark="And now?")
    with pytest.raises(ReturnedAlready):
        return_judgment(actor=ruth, judgment=mine, remark="Again.")


def test_its_author_stands_by_it(project, ruth, ada, olga, disputed):
    _, mine, _ = disputed
    returned = return_judgment(actor=ruth, judgment=mine, remark="Sure?")
    with pytest.raises(NotYourTask):
        keep_judgment(actor=ruth, returned=returned)
    kept = keep_judgment(actor=ada, returned=returned, reason="Yes: B is wrong.")
    assert kept.reason == "Yes: B is wrong." and not open_returns(ada, project)
    assert keep_judgment(actor=ada, returned=returned, reason="Twice.") == kept
    assert AuditEvent.objects.filter(action="judgment.keep").count() == 1


def test_a_remark_that_nobody_could_answer_is_refused(project, ruth, ada, disputed):
    task, mine, theirs = disputed
    with pytest.raises(InvalidDecision, match="your own"):
        return_judgment(actor=ada, judgment=mine, remark="Hm.")
    with pytest.raises(InvalidDecision, match="2,001 characters"):
        return_judgment(actor=ruth, judgment=mine, remark="x" * 2001)
    Membership.objects.filter(user=theirs.annotator).delete()
    with pytest.raises(InvalidDecision, match="no member"):
        return_judgment(actor=ruth, judgment=theirs, remark="Hm.")
    close_batch(actor=ruth, batch=task.batch)
    with pytest.raises(BatchNotOpen):
        return_judgment(actor=ruth, judgment=mine, remark="Hm.")
