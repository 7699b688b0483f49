"""A live conversation with real servers under a real worker: loaded by the first message, killed in the middle."""

import os
import signal

import pytest

from annotation.conversation.actions import advance, last_turn, send_message, start_conversation
from annotation.conversation.batches import LivePlan, open_live_batch
from annotation.conversation.generation import AnswerRequest
from annotation.judging.actions import submit_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, Judgment, TurnAnswer
from policy_training.models import PolicyServing
from policy_training.serving.generator import PolicyGenerator
from tests.runs.conftest import until
from workspace.models import AuditEvent

pytestmark = [
    pytest.mark.db,
    pytest.mark.sqlite_only,
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
]


def test_a_conversation_outlives_its_servers_and_every_turn_is_a_judgment(
    start_worker, make_served_policy, project, criterion, max_, ada, tmp_path
):
    policy = make_served_policy("base")
    batch = open_live_batch(
        actor=max_,
        project=project,
        criterion=criterion,
        name="Talk",
        quota=4,
        plan=LivePlan(
            first_source=policy.source,
            second_source=policy.source,
            first_temperature=0.7,
            second_temperature=1.2,
            system_prompt="Be brief.",
            max_response_tokens=40,
        ),
    )
    conversation = start_conversation(actor=ada, live=batch.live)
    start_worker()

    def answered(number):
        advance(actor=ada, conversation=conversation)
        turn = last_turn(conversation)
        return turn.number == number and turn.task_id is not None

    send_message(actor=ada, conversation=conversation, text="Give me the red ball.", number=1)
    until(lambda: answered(1))
    turn = last_turn(conversation)
    first, second = turn.answers.all()
    assert (first.response.sampling["temperature"], second.response.sampling["temperature"]) == (0.7, 1.2)
    assert first.response.sampling["seed"] == int(first.seed)
    assert len(first.response.token_ids) == len(first.response.logprobs) <= 40
    assert turn.task.prompt.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Give me the red ball."},
    ]
    assignment = Assignment.objects.get(task=turn.task, annotator=ada)
    submit_judgment(
        actor=ada,
        assignment=assignment,
        content=JudgmentInput(tiers=[["B"], ["A"]], strengths=[2]),
        idempotency_key="k" * 16,
    )
    advance(actor=ada, conversation=conversation)
    turn = last_turn(conversation)
    assert (turn.outcome, turn.chosen_id, turn.chosen_at_random) == (
        "judged",
        assignment.order_shown[1],
        False,
    )

    send_message(actor=ada, conversation=conversation, text="And the old box?", number=2)
    advance(actor=ada, conversation=conversation)
    serving = PolicyServing.objects.get()
    os.kill(serving.pid, signal.SIGKILL)
    until(lambda: answered(2))
    served_again = PolicyServing.objects.get()
    assert (serving.fence, served_again.fence, served_again.failures) == (1, 2, 1)
    assert last_turn(conversation).task.prompt.messages[2]["content"] == turn.chosen.text
    assert not TurnAnswer.objects.exclude(state="done").exists() and TurnAnswer.objects.count() == 4
    assert Judgment.objects.count() == 1
    assert AuditEvent.objects.filter(action="policy.serve").count() == 1


def test_policies_that_share_one_place_take_turns_however_often_one_is_asked(
    start_worker, make_served_policy, ada
):
    eager, patient = make_served_policy("eager"), make_served_policy("patient")
    finished = {"eager": 0, "patient": 0}

    def ask(policy):
        """Asks for its next answer, or how the one asked for stands."""
        request = AnswerRequest(
            id=f"{policy.name}-{finished[policy.name]}",
            source=policy.source,
            messages=[{"role": "user", "content": "Give me the red ball."}],
            seed="7",
            max_tokens=40,
            temperature=1.0,
            top_p=1.0,
        )
        found = PolicyGenerator().advance(ada, request)
        assert found.state != "failed", found.message
        finished[policy.name] += found.state == "done"

    def answers_more(name, than, *policies):
        for policy in policies:
            ask(policy)
        return finished[name] > than

    start_worker(POLICY_SERVER_MAX_MODELS="1")
    until(lambda: answers_more("eager", 1, eager))
    until(lambda: answers_more("patient", 0, eager, patient))
    # And back again: what had to leave is loaded behind what waited, and the other leaves.
    eager_had = finished["eager"]
    until(lambda: answers_more("eager", eager_had, eager, patient))
    fences = dict(PolicyServing.objects.values_list("policy__name", "fence"))
    assert fences["eager"] >= 2 and not PolicyServing.objects.filter(failures__gt=0).exists()
    assert PolicyServing.objects.kept().count() <= 1
