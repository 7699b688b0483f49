from datetime import timedelta

import pytest

from annotation.batches.actions import close_batch
from annotation.batches.progress import batch_progress
from annotation.errors import (
    AlreadySubmitted,
    BatchNotOpen,
    IdempotencyKeyReused,
    InvalidJudgment,
    InvalidText,
    NothingToRevise,
    NotYourTask,
)
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment, CurrentJudgment, Judgment, Task
from annotation.preferences.scale import labels_to_responses
from annotation.queue.actions import claim_task, sweep_expired_leases
from annotation.queue.counters import find_counter_drift
from workspace.database import database_now
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def content(**changes):
    return JudgmentInput(**({"tiers": [["B"], ["A"]], "strengths": [3], "seconds": 12.5} | changes))


@pytest.fixture
def assignment(ada, project, make_batch):
    make_batch(tasks=1, overlap=1)
    return claim_task(actor=ada, project=project)


def test_an_answer_is_stored_in_response_keys_and_counts(ada, assignment, key):
    judgment = submit_judgment(
        actor=ada,
        assignment=assignment,
        content=content(rationale="Clearer."),
        idempotency_key=key(),
    )
    key_of = labels_to_responses(assignment.order_shown)
    judgment.refresh_from_db()
    assert judgment.tiers == [[key_of["B"]], [key_of["A"]]]
    assert judgment.strengths == [3]
    assert judgment.order_shown == assignment.order_shown
    assert (judgment.surplus, judgment.withdrawn, judgment.seconds) == (False, False, 12.5)
    assert CurrentJudgment.objects.get().judgment == judgment
    assert (Task.objects.get().open_slots, Task.objects.get().counted_judgments) == (0, 1)
    assert AuditEvent.objects.filter(action="judgment.submit", actor=ada).count() == 1


def test_a_repeated_submit_changes_nothing(ada, assignment, key):
    same = key()
    first = submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=same)
    again = submit_judgment(
        actor=ada, assignment=assignment, content=content(seconds=99.0), idempotency_key=same
    )
    assert again.pk == first.pk
    assert Judgment.objects.get().seconds == 12.5
    assert AuditEvent.objects.filter(action="judgment.submit").count() == 1
    assert Task.objects.get().counted_judgments == 1


@pytest.mark.parametrize("other", [{"strengths": [0]}, {"tiers": [["A"], ["B"]]}, {"rationale": "Clearer."}])
def test_another_answer_under_the_same_key_is_refused_and_not_taken_for_a_repetition(
    ada, assignment, key, other
):
    same = key()
    submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=same)
    for act in (submit_judgment, revise_judgment):
        with pytest.raises(AlreadySubmitted):
            act(
                actor=ada,
                assignment=assignment,
                content=content(**other),
                idempotency_key=same,
            )
    assert Judgment.objects.get().strengths == [3]


def test_a_second_judgment_by_the_same_annotator_is_refused(ada, assignment, key):
    submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    with pytest.raises(AlreadySubmitted):
        submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())


def test_a_key_of_another_tasks_judgment_is_refused(ada, project, make_batch, key):
    make_batch(tasks=2)
    same = key()
    first = claim_task(actor=ada, project=project)
    submit_judgment(actor=ada, assignment=first, content=content(), idempotency_key=same)
    second = claim_task(actor=ada, project=project)
    with pytest.raises(IdempotencyKeyReused):
        submit_judgment(actor=ada, assignment=second, content=content(), idempotency_key=same)


def test_nobody_answers_for_somebody_else(ruth, assignment, key):
    with pytest.raises(NotYourTask):
        submit_judgment(actor=ruth, assignment=assignment, content=content(), idempotency_key=key())


@pytest.mark.parametrize(
    "wrong",
    [
        {"tiers": [["A"]], "strengths": []},
        {"tiers": [["A"], ["B"], ["C"]], "strengths": [1, 1]},
        {"tiers": [["A"], ["A"]], "strengths": [1]},
        {"tiers": [["A", "B"], []], "strengths": [1]},
        {"tiers": "AB", "strengths": [1]},
        {"tiers": [["A"], [["B"]]], "strengths": [1]},
        {"tiers": [["A"], [None]], "strengths": [1]},
        {"strengths": []},
        {"strengths": [4]},
        {"strengths": [-1]},
        {"strengths": [True]},
        {"strengths": ["2"]},
        {"seconds": -1},
        {"seconds": float("nan")},
        {"seconds": "12"},
        {"flags": ["x" * 61]},
        {"marks": {"Z": {"correct": True}}},
        {"marks": {"A": {"correct": [1]}}},
        {"rationale": "x" * 20_001},
    ],
)
def test_an_answer_that_is_no_weak_order_of_what_was_shown_is_refused(ada, assignment, key, wrong):
    with pytest.raises(InvalidJudgment):
        submit_judgment(actor=ada, assignment=assignment, content=content(**wrong), idempotency_key=key())
    assert not Judgment.objects.exists()
    assert Task.objects.get().counted_judgments == 0


@pytest.mark.parametrize("rationale", ["a\0b", "\ud800", 7])
def test_a_rationale_that_cannot_be_stored_is_refused(ada, assignment, key, rationale):
    with pytest.raises(InvalidText):
        submit_judgment(
            actor=ada,
            assignment=assignment,
            content=content(rationale=rationale),
            idempotency_key=key(),
        )


def test_ties_only_where_the_project_allowed_them_when_the_task_was_shown(
    ada, max_, project, make_batch, key
):
    from workspace.actions import change_question_settings

    make_batch(tasks=2)
    tie = {"tiers": [["A", "B"]], "strengths": []}
    first = claim_task(actor=ada, project=project)
    change_question_settings(actor=max_, project=project, allow_ties=False, ask_rationale=False)
    submit_judgment(actor=ada, assignment=first, content=content(**tie), idempotency_key=key())
    second = claim_task(actor=ada, project=project)
    with pytest.raises(InvalidJudgment) as refused:
        submit_judgment(actor=ada, assignment=second, content=content(**tie), idempotency_key=key())
    assert refused.value.code == "tie_refused"


def test_a_late_submit_counts_while_a_slot_is_open(ada, project, assignment, key):
    Assignment.objects.update(leased_until=database_now() - timedelta(minutes=1))
    assert sweep_expired_leases() == 1
    judgment = submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    assert judgment.surplus is False
    assert (Task.objects.get().open_slots, Task.objects.get().counted_judgments) == (0, 1)
    assert find_counter_drift(project) == []


def test_a_late_submit_is_kept_as_surplus_when_the_slot_is_gone(ada, ruth, project, assignment, key):
    Assignment.objects.update(leased_until=database_now() - timedelta(minutes=1))
    theirs = claim_task(actor=ruth, project=project)
    submit_judgment(actor=ruth, assignment=theirs, content=content(), idempotency_key=key())
    late = submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    assert late.surplus is True
    assert Judgment.objects.counted().get().annotator == ruth
    assert set(Judgment.objects.current().values_list("annotator", flat=True)) == {ada.pk, ruth.pk}
    assert Task.objects.get().counted_judgments == 1
    assert find_counter_drift(project) == []


def test_a_revision_supersedes_and_the_first_answer_stays(ada, project, assignment, key):
    first = submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    second = revise_judgment(
        actor=ada,
        assignment=assignment,
        content=content(tiers=[["A"], ["B"]]),
        idempotency_key=key(),
    )
    assert second.supersedes == first
    assert list(Judgment.objects.current()) == [second]
    assert Judgment.objects.count() == 2
    assert Task.objects.get().counted_judgments == 1
    assert find_counter_drift(project) == []


def test_a_revision_sent_twice_is_one_revision(ada, assignment, key):
    submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    same = key()
    for _ in range(2):
        revise_judgment(
            actor=ada,
            assignment=assignment,
            content=content(strengths=[0]),
            idempotency_key=same,
        )
    assert Judgment.objects.count() == 2


def test_a_withdrawn_judgment_opens_its_slot_again(ada, ruth, project, assignment, key):
    submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    withdraw_judgment(actor=ada, assignment=assignment, idempotency_key=key())
    assert not Judgment.objects.current().exists()
    assert Judgment.objects.count() == 2
    assert find_counter_drift(project) == []
    theirs = claim_task(actor=ruth, project=project)
    assert theirs.task_id == assignment.task_id
    submit_judgment(actor=ruth, assignment=theirs, content=content(), idempotency_key=key())
    back = revise_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    assert back.surplus is True
    assert find_counter_drift(project) == []


def test_there_is_nothing_to_revise_before_an_answer_and_nothing_after_the_batch_closed(
    ada, max_, assignment, key
):
    with pytest.raises(NothingToRevise):
        revise_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    submit_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())
    close_batch(actor=max_, batch=assignment.task.batch)
    with pytest.raises(BatchNotOpen):
        revise_judgment(actor=ada, assignment=assignment, content=content(), idempotency_key=key())


def test_what_was_on_a_screen_when_the_batch_closed_still_comes_in(ada, max_, assignment, key):
    close_batch(actor=max_, batch=assignment.task.batch)
    assert not submit_judgment(
        actor=ada, assignment=assignment, content=content(), idempotency_key=key()
    ).surplus


def test_querysets_speak_of_the_judgments_of_a_criterion_in_a_batch(ada, project, criterion, make_batch, key):
    batch = make_batch(tasks=2)
    other = make_batch(tasks=1, name="Other")
    for tiers, strengths in ([["A"], ["B"]], [1]), ([["A", "B"]], []):
        submit_judgment(
            actor=ada,
            assignment=claim_task(actor=ada, project=project),
            content=JudgmentInput(tiers=tiers, strengths=strengths),
            idempotency_key=key(),
        )
    found = Judgment.objects.of_project(project).in_batch(batch).of_criterion(criterion).by_people()
    assert found.count() == 2
    assert [judgment.strengths for judgment in found.exclude(strengths=[])] == [[1]]
    assert found.for_reward_model_training().count() == 2
    progress = batch_progress(batch)
    assert (progress.counted, progress.quota, progress.quota_met) == (2, 2, True)
    assert batch_progress(other).counted == 0
