"""What a round starts from by the rule of its plan, and where that is on record."""

from dataclasses import replace
from datetime import UTC

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from learning.interface.options import UserError
from policy_training.selecting.actions import pin_policy, unpin_policy
from rounds.actions import start_next_round
from rounds.errors import RoundRefused
from rounds.models import Round, Schedule, Stage
from rounds.plan_changes import override_plan
from rounds.plans import load_plan, preset_plan
from rounds.schedules.firing import fire_due_schedules
from rounds.schedules.triggers import at_time
from tests.rounds.schedules.conftest import MONDAY, WEEK, add_schedule  # noqa: F401
from tests.rounds.test_ppo_options import api, body, values  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def by(start_from, name=""):
    return replace(preset_plan("tiny"), start_from=start_from, start_from_policy=name)


def reason(round_):
    return round_.stage_entries.order_by("pk").first().reason


def test_the_next_round_starts_from_the_selected_policy_of_then(
    begin, policy, make_policy, finish_round, project, max_
):
    with pytest.raises(RoundRefused, match="there is none"):
        begin(plan=by("selected"))
    pin_policy(actor=max_, project=project, policy=policy)
    with pytest.raises(RoundRefused) as error:
        begin(plan=by("selected"), start_policy=make_policy("stranger"))
    assert error.value.code == "other_start" and "start_policy" in error.value.fields
    first = begin(plan=by("selected"))
    assert f"starts from “{policy.name}”, the project's selected policy (by hand, {max_.username})" in reason(
        first
    )
    finish_round(first)
    better = make_policy("better")
    pin_policy(actor=max_, project=project, policy=better)
    second = start_next_round(actor=max_, round_=first)
    assert second.start_policy == better != first.new_policy
    assert second.comparison_policy == policy and "“better”" in reason(second)
    finish_round(second)
    unpin_policy(actor=max_, project=project)
    with pytest.raises(RoundRefused, match="there is none"):
        start_next_round(actor=max_, round_=second)


def test_a_round_from_the_same_policy_again_is_not_set_against_itself(
    begin, make_policy, finish_round, max_, policy
):
    child = make_policy("child", parent=policy)
    first = finish_round(begin(plan=by("named_policy", "child"), start_policy=child))
    second = start_next_round(actor=max_, round_=first)
    assert (second.start_policy, second.comparison_policy) == (child, policy)
    assert "which the plan names" in reason(second)


def test_by_the_last_policy_all_is_as_before(begin, finish_round, max_):
    first = finish_round(begin())
    second = start_next_round(actor=max_, round_=first)
    assert (second.start_policy, second.comparison_policy) == (first.new_policy, first.start_policy)
    assert "the newest" in reason(second) and "starts from" not in reason(first)


def test_a_name_belongs_to_its_rule():
    for start_from, name in (("named_policy", ""), ("last", "base"), ("selected", "base")):
        with pytest.raises(ValueError, match="start_from"):
            by(start_from, name)
    with pytest.raises(UserError, match="start_from"):
        override_plan(preset_plan("tiny"), start_from="named_policy")


def test_a_schedule_asks_the_rule_at_its_time(add_schedule, project, policy, make_policy, max_):  # noqa: F811
    pin_policy(actor=max_, project=project, policy=policy)
    due = MONDAY + 500 * WEEK
    add_schedule(at_time(due, UTC), plan=by("selected"), start_policy=None)
    chosen = make_policy("chosen")
    make_policy("newest")
    pin_policy(actor=max_, project=project, policy=chosen)
    assert fire_due_schedules(due) == 1
    round_ = Round.objects.get()
    assert round_.start_policy == chosen and "“chosen”" in reason(round_)
    with pytest.raises(RoundRefused, match="“chosen”, and “base” was chosen"):
        add_schedule(at_time(due, UTC), plan=by("selected"), start_policy=policy)


def test_form_command_and_api_ask_for_the_same_rule(
    client, project, max_, values, api, body, policy, make_policy, prompt_set  # noqa: F811
):  # fmt: skip
    def cleared():
        Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())

    make_policy("newest")
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    assert client.post(url, values | {"start_from": "selected"}).status_code == 422
    answer = api(
        **{name: value for name, value in body.items() if name != "start_policy"}, start_from="selected"
    )
    assert answer.status_code == 400 and "no selected policy" in answer.content.decode()
    pin_policy(actor=max_, project=project, policy=policy)
    assert client.get(url).context["form"]["start_policy"].value() in (policy, policy.pk)
    assert client.post(url, values | {"start_from": "selected", "start_policy": policy.pk}).status_code == 302
    cleared()
    answer = api(
        **{name: value for name, value in body.items() if name != "start_policy"}, start_from="selected"
    )
    assert answer.status_code == 201, answer.content
    cleared()
    call_command("start_round", "kitchen", "--start-from", "selected")
    cleared()
    assert Round.objects.count() == 3
    for round_ in Round.objects.all():
        assert (load_plan(round_.plan).start_from, round_.start_policy) == ("selected", policy)
    with pytest.raises(CommandError, match="choose the same"):
        call_command("start_round", "kitchen", "--start-from", "selected", "--policy", "newest")
    with pytest.raises(CommandError, match="needs --policy"):
        call_command("start_round", "kitchen", "--start-from", "named_policy")
    call_command("start_round", "kitchen", "--start-from", "named_policy", "--policy", "base")
    cleared()
    assert (
        client.post(url, values | {"start_from": "named_policy", "start_policy": policy.pk}).status_code
        == 302
    )
    cleared()
    assert api(**body | {"start_from": "named_policy", "start_policy": policy.pk}).status_code == 201
    for round_ in Round.objects.order_by("-pk")[:3]:
        plan = load_plan(round_.plan)
        assert (plan.start_from, plan.start_from_policy) == ("named_policy", "base")
    assert not Schedule.objects.exists()
