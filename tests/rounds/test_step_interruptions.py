"""Workers that stop between the steps of a round, two that go on at once, a cancel, and a plan of another version."""

import pytest
from django.db import OperationalError, transaction
from django.urls import reverse

from policy_training.models import Policy
from rounds.actions import cancel_round, retry_round
from rounds.models import Round, Stage
from rounds.plans import preset_plan
from rounds.stages import policy as policy_stage
from rounds.stages.machine import advance_round
from runs.models import Run
from runs.states import RunState
from tests.other_connection import in_another_connection, until_it_waits
from tests.rounds.test_steps import at_policy, carry_out, chain, latest_run  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def after_the_first_step(at_policy):  # noqa: F811
    """Its run is done and its policy there; nobody has looked since."""
    round_ = at_policy(chain(preset_plan("tiny"), [["ppo"], ["dpo"], ["ppo"]]))
    assert advance_round(round_.pk)
    carry_out(latest_run(round_))
    return round_


def recipes_of(round_):
    links = round_.round_runs.filter(stage=Stage.POLICY).order_by("pk")
    return [(link.step, link.run.kind) for link in links]


def test_a_worker_that_is_killed_while_it_queues_a_step_leaves_nothing(after_the_first_step, monkeypatch):
    round_, runs = after_the_first_step, Run.objects.count()

    def killed(*args, **options):
        raise OperationalError("the connection is gone")

    with monkeypatch.context() as patch:
        patch.setattr(policy_stage, "attach_run", killed)
        with pytest.raises(OperationalError):
            advance_round(round_.pk)
    assert Run.objects.count() == runs and recipes_of(round_) == [(0, "policy.ppo")]
    assert advance_round(round_.pk) and not advance_round(round_.pk)
    assert recipes_of(round_) == [(0, "policy.ppo"), (1, "policy.dpo")]
    assert latest_run(round_).parameters["parent"] == Policy.objects.get(produced_by__round_run__step=0).pk


def test_two_workers_queue_a_step_once(after_the_first_step):
    round_ = after_the_first_step
    with transaction.atomic():
        assert advance_round(round_.pk)  # the first one, which has not committed yet
        thread, found = in_another_connection(lambda: advance_round(round_.pk))
        until_it_waits(thread)
    thread.join()
    round_.refresh_from_db()
    assert found == [False] and round_.stage == Stage.POLICY
    assert recipes_of(round_) == [(0, "policy.ppo"), (1, "policy.dpo")]


def test_a_round_that_is_cancelled_between_steps_keeps_what_they_made(after_the_first_step, max_):
    round_ = after_the_first_step
    assert advance_round(round_.pk)
    cancel_round(actor=max_, round_=round_)
    assert latest_run(round_).state == RunState.CANCELLED
    assert not advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, round_.new_policy) == (Stage.CANCELLED, None)
    assert Policy.objects.filter(produced_by__round_run__step=0).exists()


def test_a_plan_of_another_version_ends_in_words_and_can_be_put_right(after_the_first_step, client, max_):
    """An upgrade between two steps; the version before reads it again."""
    round_ = after_the_first_step
    readable = round_.plan
    Round.objects.filter(pk=round_.pk).update(plan=readable | {"of_another_version": 1})
    for _ in range(2):
        assert advance_round(round_.pk)
        round_.refresh_from_db()
        assert (round_.stage, round_.failed_stage) == (Stage.FAILED, Stage.POLICY)
        assert "of_another_version" in round_.error and "fault of the program" not in round_.error
        client.force_login(max_)
        for name, arguments in (("round", [1]), ("list", []), ("start", [])):
            assert client.get(reverse(f"rounds:{name}", args=["kitchen", *arguments])).status_code == 200
        retry_round(actor=max_, round_=round_)
    Round.objects.filter(pk=round_.pk).update(plan=readable)
    assert advance_round(round_.pk)
    assert recipes_of(round_) == [(0, "policy.ppo"), (1, "policy.dpo")]
