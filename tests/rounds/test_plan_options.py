"""The plan's other options and the reward model's: by form, API and command, to the same plan."""

import json

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from rewardmodel.training.presets import PRESETS
from rounds.models import Round, Stage
from rounds.plan_options import NOT_ASKED, OPTIONS
from rounds.plans import RoundPlan, plan_to_dict, preset_plan, with_assignments
from rounds.ppo_options import assignments
from runs.option_forms.fields import NEVER_ASKED, value_at
from tests.config.changed_options import changes, grouped, is_below, leaves, typed
from tests.config.test_options_reached import accepted, words

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]

PLAN = preset_plan("tiny")
# Losses of ratings belong outside a round; names must be of rows that are there.
GIVEN = {
    "sampling.other_policies": [["older, or not", "base 2"]],
    "annotation.reserved_for": [["ada"]],
    "annotation.annotator_kinds": [["person", "ai"]],
}


@pytest.fixture
def asked(criterion, policy, prompt_set, make_policy, settings):
    settings.MODEL_SERVERS = {"vllm": "https://models.example.org/v1"}
    make_policy("older, or not")
    make_policy("base 2")
    return {
        "preset": "tiny", "criterion": criterion.pk, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
    }  # fmt: skip


def finish() -> dict:
    """The plan of the round that was started; the next one may begin."""
    plan = Round.objects.latest("pk").plan
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    return plan


def test_each_option_of_a_plan_is_asked_or_has_a_reason():
    asked, known = set(OPTIONS), set(leaves(RoundPlan))
    assert asked <= known
    assert {
        path
        for path in known - asked
        if not is_below(path, NOT_ASKED) and path.rpartition(".")[2] not in NEVER_ASKED
    } == set()
    assert all(any(is_below(path, [name]) for path in known) for name in NOT_ASKED)


def test_each_option_of_a_plan_comes_into_it_by_form_command_and_api(
    client, project, criterion, asked, max_, ada
):
    client.force_login(max_)
    preset = plan_to_dict(PLAN)
    # A critic leads the sampling of a policy that PPO made, which has a test of its own.
    paths = [path for path in OPTIONS if not path.startswith("sampling.options.guidance.")]
    candidates = {
        path: [{path: value} for value in GIVEN[path]]
        if path in GIVEN
        else changes(path, value_at(preset, path), OPTIONS[path].choices)
        for path in paths
    }
    groups, never = grouped(candidates, accepted(lambda values: with_assignments(PLAN, words(values))))
    assert never == [] and set().union(*groups) >= set(paths)
    for values in groups:
        in_fields = {
            path: json.dumps(value) if path == "sampling.other_policies" else typed(value)
            for path, value in values.items()
        }
        answer = client.post(reverse("rounds:start", args=["kitchen"]), asked | in_fields)
        assert answer.status_code == 302, answer.context["form"].errors
        by_form = finish()
        body = asked | {"criterion": criterion.name, "plan_options": values}
        answer = client.post(
            "/api/v1/projects/kitchen/rounds", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == 201, answer.content
        by_api = finish()
        call_command("start_round", "kitchen", "--policy", "base", "--set", *words(values))
        by_command = finish()
        for plan in (by_form, by_api, by_command):
            assert {path: value_at(plan, path) for path in values} == values


def test_none_empties_a_list_and_names_with_commas_are_json():
    for text, given in (
        ("none", "[]"),
        ("ada, ben", '["ada", "ben"]'),
        ('["ada, the first"]', '["ada, the first"]'),
        ("7", '["7"]'),
    ):
        assigned = assignments({"annotation.reserved_for": text}, OPTIONS, "")
        assert assigned == [f"annotation.reserved_for={given}"]
        assert with_assignments(PLAN, assigned).annotation.reserved_for == tuple(json.loads(given))


def test_a_preset_of_the_reward_model_keeps_lengths_and_machine(client, project, criterion, asked, max_):
    client.force_login(max_)
    page = client.get(reverse("rounds:start", args=["kitchen"]), {"reward_model_preset": "llama2"})
    shown = page.context["form"].fields["reward_model.optimizer.learning_rate"].widget.attrs["placeholder"]
    assert float(shown) == 1e-5  # Llama 2, 3.2.2
    typed_in = {"reward_model_preset": "llama2", "max_prompt_tokens": 60, "max_response_tokens": 64}
    answer = client.post(reverse("rounds:start", args=["kitchen"]), asked | typed_in | {"device": "cuda"})
    assert answer.status_code == 302
    by_form = finish()
    body = asked | {"criterion": criterion.name, "reward_model_preset": "llama2"}
    client.post("/api/v1/projects/kitchen/rounds", json.dumps(body), content_type="application/json")
    by_api = finish()
    call_command("start_round", "kitchen", "--policy", "base", "--reward-model-preset", "llama2")
    for plan in (by_form, by_api, finish()):
        model = plan["reward_model"]
        assert model["preset"] == "llama2" and model["objective"]["margin"] == "large"
        assert model["data"]["comparisons_per_step"] == PRESETS["llama2"].data.comparisons_per_step == 512
    batch = by_form["reward_model"]["batch"]
    assert (batch["max_prompt_tokens"], batch["max_response_tokens"]) == (60, 64)
    assert by_form["reward_model"]["runtime"]["device"] == "cuda"


def test_a_refusal_stands_at_the_option_it_is_about(client, project, criterion, asked, max_):
    client.force_login(max_)
    wrong = {"annotation.head_to_head_share": "0.7"}
    page = client.post(reverse("rounds:start", args=["kitchen"]), asked | wrong)
    assert page.status_code == 422
    sentence = "head_to_head_share is 0.7, it must be between 0 and 0.5"
    assert sentence in str(page.context["form"].errors["annotation.head_to_head_share"])
    for options, said in (
        (wrong | {}, sentence),
        ({"reward_model.data.epoch": 3}, "There is no option “reward_model.data.epoch”."),
        ({"policy.algorithm.gamma": 1.0}, "There is no option"),
        ({"consensus": None}, "consensus: must not be null."),
    ):
        body = asked | {"criterion": criterion.name, "plan_options": options}
        answer = client.post(
            "/api/v1/projects/kitchen/rounds", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == 400 and said in answer.json()["fields"]["plan_options"]
    assert not Round.objects.exists()
