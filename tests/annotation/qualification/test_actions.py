import pytest

from annotation.adjudication.actions import return_judgment
from annotation.batches.actions import close_batch
from annotation.errors import (
    InvalidBatch,
    InvalidDecision,
    InvalidTraining,
    NoSlotLeft,
    NothingToRevise,
    PracticeNotSkipped,
)
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment
from annotation.models import Qualification, TrainingAnswer
from annotation.qualification.actions import (
    ask_again,
    begin_try,
    change_training,
    create_training,
    let_through,
    require_training,
    submit_practice,
)
from annotation.queue.actions import claim_task, skip_task, undo_skip
from annotation.queue.counters import find_counter_drift
from annotation.queue.search import read_annotator_counts
from workspace.shown_values import ChangedMeanwhile

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def standing(person):
    found = Qualification.objects.get(annotator=person)
    return found.state, found.try_number, found.right, found.answered


def test_work_is_handed_out_after_the_pass_and_not_before(ada, project, training, make_batch, answer):
    work = make_batch(tasks=2, name="Work")
    assert read_annotator_counts(ada, project).remaining == 0
    for right in (True, False, True):
        assert answer(ada, right).is_right is right
    assert standing(ada) == ("open", 1, 2, 3)
    answer(ada)
    assert standing(ada) == ("passed", 1, 3, 4)
    assert claim_task(actor=ada, project=project).task.batch == work
    assert read_annotator_counts(ada, project).remaining == 2
    assert find_counter_drift(project) == []
    assert project.audit_events.filter(action="qualification.decide", details__state="passed").exists()


def test_who_fails_tries_again_until_no_try_is_left(max_, ada, project, training, make_batch, answer):
    make_batch(tasks=1)
    for _ in range(4):
        answer(ada, right=False)
    assert standing(ada) == ("failed", 1, 0, 4)
    assert claim_task(actor=ada, project=project) is None
    begin_try(actor=ada, training=training)
    begin_try(actor=ada, training=training)
    assert standing(ada) == ("open", 2, 0, 0)
    # What was not seen yet comes first; then those of the try before, once more.
    seen = [answer(ada, right=False).assignment.task_id for _ in range(4)]
    assert len(set(seen)) == 4
    first = TrainingAnswer.objects.filter(try_number=1).values_list("assignment__task", flat=True)
    assert seen[0] not in first
    with pytest.raises(InvalidTraining, match="No try is left"):
        begin_try(actor=ada, training=training)
    assert TrainingAnswer.objects.filter(qualification__annotator=ada).count() == 8
    assert find_counter_drift(project) == []
    let_through(actor=max_, training=training, annotator=ada, note="Knows it.", expected_state="failed")
    assert claim_task(actor=ada, project=project).task.purpose == "normal"
    with pytest.raises(ChangedMeanwhile):
        ask_again(actor=max_, training=training, annotator=ada, expected_state="failed")
    ask_again(actor=max_, training=training, annotator=ada, expected_state="let_through")
    assert standing(ada)[0] == "open"


def test_a_batch_may_ask_for_it_alone(max_, ada, project, training, make_batch, answer, key):
    change_training(actor=max_, training=training, for_everybody=False)
    free, guarded = make_batch(tasks=1, name="Free"), make_batch(tasks=1, name="Guarded")
    assert claim_task(actor=ada, project=project).task.batch == free  # nothing asks for the training yet
    require_training(actor=max_, batch=guarded, training=training)
    assert claim_task(actor=ada, project=project, batch=guarded) is None
    held = claim_task(actor=ada, project=project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    submit_judgment(actor=ada, assignment=held, content=content, idempotency_key=key())
    for _ in range(4):
        answer(ada)
    assert claim_task(actor=ada, project=project).task.batch == guarded


def test_an_answer_of_the_training_stays_and_a_task_of_it_is_not_skipped(ada, project, training, key):
    held = claim_task(actor=ada, project=project)
    with pytest.raises(PracticeNotSkipped):
        skip_task(actor=ada, assignment=held)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1])
    sent = key()
    for _ in range(2):
        submit_practice(actor=ada, assignment=held, content=content, idempotency_key=sent)
    assert standing(ada)[3] == 1
    with pytest.raises(NothingToRevise):
        revise_judgment(actor=ada, assignment=held, content=content, idempotency_key=key())
    assert read_annotator_counts(ada, project).last_assignment is None


def test_a_try_hands_out_no_more_tasks_than_it_has(ada, project, training):
    held, after = 0, None
    while found := claim_task(actor=ada, project=project, after=after):
        if after is not None and found.pk == after.pk:
            break
        held += 1
        after = found
        if held > 6:
            break
    assert ada.assignments.filter(state="leased").count() <= 4


def test_a_shorter_try_is_decided_by_what_was_answered(max_, ada, project, training, make_batch, answer):
    make_batch(tasks=1)
    for _ in range(3):
        answer(ada)
    change_training(actor=max_, training=training, items=3)
    assert standing(ada) == ("passed", 1, 3, 3)
    assert claim_task(actor=ada, project=project).task.purpose == "normal"


def test_a_training_whose_batch_is_closed_is_not_turned_on(max_, training):
    change_training(actor=max_, training=training, is_on=False)
    close_batch(actor=max_, batch=training.batch)
    with pytest.raises(InvalidTraining, match="reopen it first"):
        change_training(actor=max_, training=training, is_on=True)


def test_the_batch_of_a_training_that_is_on_is_not_closed(max_, ada, project, training, make_batch):
    make_batch(tasks=1)
    with pytest.raises(InvalidBatch, match="Turn the training off first"):
        close_batch(actor=max_, batch=training.batch)
    assert claim_task(actor=ada, project=project).task.purpose == "practice"
    change_training(actor=max_, training=training, is_on=False)
    assert close_batch(actor=max_, batch=training.batch).state == "closed"


def test_what_an_earlier_try_answered_does_not_come_back_as_a_skip(ada, project, training, answer):
    earlier = [answer(ada, right=False).assignment for _ in range(4)]
    begin_try(actor=ada, training=training)
    with pytest.raises(NoSlotLeft, match="does not come back"):
        undo_skip(actor=ada, assignment=earlier[0])
    again = claim_task(actor=ada, project=project)
    assert again.task.purpose == "practice" and find_counter_drift(project) == []


def test_an_answer_of_the_training_is_not_sent_back(max_, ada, training, answer):
    with pytest.raises(InvalidDecision, match="one of a training"):
        return_judgment(actor=max_, judgment=answer(ada).assignment.judgments.get(), remark="Look again.")


def test_a_training_that_nobody_could_pass_is_refused(max_, project, criterion, training):
    with pytest.raises(InvalidTraining, match="Between 1 and all"):
        create_training(actor=max_, project=project, name="X", criterion=criterion, items=3, needed=4)
    with pytest.raises(InvalidTraining, match="named “Basics” already"):
        create_training(actor=max_, project=project, name="Basics", criterion=criterion)
    with pytest.raises(InvalidTraining, match="add 2 first"):
        change_training(actor=max_, training=training, items=7)
    with pytest.raises(ChangedMeanwhile):
        change_training(actor=max_, training=training, needed=2, shown=["another"])
