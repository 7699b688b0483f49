"""A conversation goes on with what was judged better, once, whatever is sent twice or fails."""

import pytest

from annotation.batches.actions import change_overlap, close_batch
from annotation.batches.progress import batch_progress
from annotation.conversation.actions import (
    advance,
    ask_again,
    end_conversation,
    go_on_with_one,
    last_turn,
    send_message,
    start_conversation,
)
from annotation.errors import (
    BatchNotOpen,
    ConversationChanged,
    ConversationRefused,
    InvalidBatch,
    InvalidText,
    MemberPaused,
)
from annotation.judging.actions import submit_judgment, withdraw_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, Conversation, Judgment, Task, TurnAnswer
from annotation.queue.actions import skip_task
from annotation.queue.counters import find_counter_drift
from tests.annotation.conversation.live import make_live_batch
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def answered(talk, ada, writer):
    """Sends a message and has both sides answer it; gives the assignment."""

    def answer(number=1, text="What can I cook?"):
        send_message(actor=ada, conversation=talk, text=text, number=number)
        writer.lay_down("old", "done", f"Rice {number}.")
        writer.lay_down("new", "done", f"Noodles {number}.")
        advance(actor=ada, conversation=talk)
        return Assignment.objects.get(task=last_turn(talk).task, annotator=ada)

    return answer


def judge(assignment, tiers, strengths):
    return submit_judgment(
        actor=assignment.annotator,
        assignment=assignment,
        content=JudgmentInput(tiers=tiers, strengths=strengths),
        idempotency_key=f"key-{assignment.pk}-0123456789",
    )


def test_a_turn_is_a_task_with_both_responses_and_the_conversation_goes_on_with_the_better(
    talk, ada, answered, writer, live
):
    assignment = answered()
    task = assignment.task
    assert (task.reserved_for, task.required_judgments, task.purpose) == (ada, 1, "normal")
    stored = {row.response.source.name: row.response for row in task.task_responses.all()}
    assert (stored["old"].text, stored["new"].text) == ("Rice 1.", "Noodles 1.")
    assert stored["old"].token_ids == [1, 2] and stored["old"].ended is True
    seeds = {answer.source.name: int(answer.seed) for answer in last_turn(talk).answers.all()}
    assert {name: row.sampling["seed"] for name, row in stored.items()} == seeds
    first = last_turn(talk).shown_first
    assert assignment.order_shown[0] == stored["new" if first else "old"].pk
    judge(assignment, [["B"], ["A"]], [3])
    advance(actor=ada, conversation=talk)
    turn = last_turn(talk)
    assert (turn.outcome, turn.chosen_id, turn.chosen_at_random) == (
        "judged",
        assignment.order_shown[1],
        False,
    )
    again = answered(number=2, text="And then?")
    assert again.task.prompt.messages == [
        {"role": "user", "content": "What can I cook?"},
        {"role": "assistant", "content": turn.chosen.text},
        {"role": "user", "content": "And then?"},
    ]
    assert batch_progress(live.batch).label == "1 of 10" and find_counter_drift() == []


def test_after_a_tie_one_is_drawn_and_that_is_recorded(talk, ada, answered, monkeypatch):
    from annotation.conversation import actions

    assignment = answered()
    judge(assignment, [["A", "B"]], [])
    monkeypatch.setattr(actions.secrets, "choice", lambda best: sorted(best)[-1])
    advance(actor=ada, conversation=talk)
    turn = last_turn(talk)
    assert (turn.chosen_id, turn.chosen_at_random) == (max(assignment.order_shown), True)


def test_after_a_judgment_that_was_taken_back_one_is_drawn_and_that_is_recorded(
    talk, ada, answered, monkeypatch
):
    from annotation.conversation import actions

    assignment = answered()
    judge(assignment, [["A"], ["B"]], [2])
    withdraw_judgment(actor=ada, assignment=assignment, idempotency_key="withdraw-it")
    drawn_from = []
    monkeypatch.setattr(actions.secrets, "choice", lambda best: drawn_from.append(sorted(best)) or max(best))
    advance(actor=ada, conversation=talk)
    turn = last_turn(talk)
    assert drawn_from == [sorted(assignment.order_shown)]
    assert (turn.outcome, turn.chosen_at_random) == ("skipped", True)
    assert turn.chosen_id == max(assignment.order_shown) and find_counter_drift() == []


def test_who_cannot_judge_skips_and_goes_on(talk, ada, answered):
    assignment = answered()
    skip_task(actor=ada, assignment=assignment, reason="I do not know")
    advance(actor=ada, conversation=talk)
    turn = last_turn(talk)
    assert (turn.outcome, turn.chosen_at_random) == ("skipped", True)
    assert not Judgment.objects.exists() and find_counter_drift() == []


def test_the_same_message_again_is_one_and_another_in_its_place_is_refused(talk, ada, writer):
    first = send_message(actor=ada, conversation=talk, text="Hello", number=1)
    assert send_message(actor=ada, conversation=talk, text=" Hello ", number=1) == first
    for number, text in ((1, "Other"), (2, "Next, too early"), (0, "Nought")):
        with pytest.raises(ConversationChanged):
            send_message(actor=ada, conversation=talk, text=text, number=number)
    assert TurnAnswer.objects.count() == 2
    assert AuditEvent.objects.filter(action="conversation.message").count() == 1


def test_looking_twice_makes_one_task(talk, ada, answered):
    answered()
    advance(actor=ada, conversation=talk)
    advance(actor=ada, conversation=talk)
    assert Task.objects.count() == 1


def test_a_second_window_gets_the_conversation_that_is_there(live, ada, talk):
    assert start_conversation(actor=ada, live=live) == talk
    assert Conversation.objects.count() == 1


def test_an_answer_that_failed_is_asked_for_again_with_another_seed(talk, ada, writer):
    send_message(actor=ada, conversation=talk, text="Hello", number=1)
    writer.lay_down("old", "done", "Hi.")
    writer.lay_down("new", "failed", message="The model could not write an answer.")
    advance(actor=ada, conversation=talk)
    failed = TurnAnswer.objects.get(source__name="new")
    assert (failed.state, failed.error) == ("failed", "The model could not write an answer.")
    ask_again(actor=ada, conversation=talk)
    writer.lay_down("new", "done", "Hello.")
    advance(actor=ada, conversation=talk)
    again = TurnAnswer.objects.get(source__name="new")
    assert (again.attempt, again.state) == (2, "done") and again.seed != failed.seed
    assert TurnAnswer.objects.get(source__name="old").attempt == 1 and Task.objects.count() == 1


def test_with_one_answer_alone_the_conversation_goes_on_and_nothing_is_judged(talk, ada, writer):
    send_message(actor=ada, conversation=talk, text="Hello", number=1)
    writer.lay_down("old", "done", "Hi.")
    advance(actor=ada, conversation=talk)
    with pytest.raises(ConversationRefused):  # the other one is still being written
        go_on_with_one(actor=ada, conversation=talk)
    writer.lay_down("new", "failed", message="Out of memory.")
    advance(actor=ada, conversation=talk)
    go_on_with_one(actor=ada, conversation=talk)
    turn = last_turn(talk)
    assert (turn.outcome, turn.chosen.text, turn.task) == ("one_answer", "Hi.", None)
    assert not Task.objects.exists()


def test_a_conversation_has_its_turns_and_its_end(talk, ada, answered, writer, live):
    for number in (1, 2, 3):
        judge(answered(number=number), [["A"], ["B"]], [1])
        advance(actor=ada, conversation=talk)
    with pytest.raises(ConversationRefused, match="at most 3 turns"):
        send_message(actor=ada, conversation=talk, text="More", number=4)
    end_conversation(actor=ada, conversation=talk)
    end_conversation(actor=ada, conversation=talk)
    assert AuditEvent.objects.filter(action="conversation.end").count() == 1
    assert start_conversation(actor=ada, live=live) != talk


def test_what_is_being_written_at_the_end_is_cancelled(talk, ada, writer, django_capture_on_commit_callbacks):
    send_message(actor=ada, conversation=talk, text="Hello", number=1)
    advance(actor=ada, conversation=talk)
    with django_capture_on_commit_callbacks(execute=True):
        end_conversation(actor=ada, conversation=talk)
    assert sorted(writer.cancelled) == sorted(writer.asked) and len(writer.cancelled) == 2
    assert advance(actor=ada, conversation=talk).progress == {}


@pytest.mark.parametrize(
    ("text", "said"), [("  ", "is empty"), ("x" * 4001, "at most 4,000"), ("a\0", "NUL")]
)
def test_a_message_that_cannot_be_stored_is_refused(talk, ada, text, said):
    with pytest.raises(InvalidText, match=said):
        send_message(actor=ada, conversation=talk, text=text, number=1)


def test_a_closed_or_full_batch_begins_nothing_and_takes_no_message(live, talk, ada, ruth, max_, answered):
    judge(answered(), [["A"], ["B"]], [1])
    advance(actor=ada, conversation=talk)
    live.batch.quota = 1
    live.batch.save()
    with pytest.raises(BatchNotOpen, match="all the judgments"):
        start_conversation(actor=ruth, live=live)
    close_batch(actor=max_, batch=live.batch)
    with pytest.raises(BatchNotOpen, match="closed"):
        send_message(actor=ada, conversation=talk, text="And?", number=2)


def test_who_is_paused_begins_nothing(live, ada, project):
    project.memberships.filter(user=ada).update(paused_at="2026-01-01T00:00Z")
    with pytest.raises(MemberPaused):
        start_conversation(actor=ada, live=live)


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"first_temperature": 0.0}, "first_temperature"),
        ({"second_temperature": float("nan")}, "second_temperature"),
        ({"top_p": 0.0}, "top_p"),
        ({"max_turns": 51}, "max_turns"),
        ({"max_response_tokens": 0}, "max_response_tokens"),
        ({"openers": ["x" * 11], "max_message_characters": 10}, "openers"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_its_field(project, criterion, max_, plan, field):
    with pytest.raises(InvalidBatch) as refused:
        make_live_batch(project, max_, **plan)
    assert list(refused.value.fields) == [field]
    assert (
        field == "openers" or field not in refused.value.message
    )  # words of the form, not names of the program


def test_a_limit_that_is_out_of_range_is_named_as_the_form_names_it(project, max_):
    with pytest.raises(
        InvalidBatch, match="^Turns of a conversation, at most: Give a whole number from 1 to 50.$"
    ):
        make_live_batch(project, max_, max_turns=51)


def test_the_people_per_task_of_a_live_batch_stay_one(live, max_):
    with pytest.raises(InvalidBatch, match="who leads the conversation"):
        change_overlap(actor=max_, batch=live.batch, overlap=3)
