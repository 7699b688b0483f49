"""The plan's other options and the reward model's: by form, API and command, to the same plan."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation.content.actions import NewDemonstration, add_demonstrations
from annotation.models import Text
from policy_training.training.ppo.config import PPOConfig
from rewardmodel.training.presets import PRESETS
from rounds import ppo_options
from rounds.models import Round, Stage
from rounds.plan_options import NOT_ASKED, OPTIONS
from rounds.plans import RoundPlan, plan_to_dict, preset_plan, with_assignments
from rounds.ppo_options import assignments
from runs.option_forms.fields import NEVER_ASKED, value_at
from tests.config.changed_options import changes, grouped, is_below, leaves, typed
from tests.config.test_options_reached import accepted, words

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]

PLAN = preset_plan("tiny")
NAMED_OTHERWISE = {
    "policy.rewards.normalize_models": "normalize_models",
    "policy.rewards.combination": "reward_combination",
}
ONE_VALUE = ("protocol", "stop", "returns_token_ids", "returns_logprobs")
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


def test_each_option_of_ppo_is_asked_of_a_round_or_has_a_reason():
    asked, known = set(ppo_options.OPTIONS), {f"policy.{path}" for path in leaves(PPOConfig)}
    assert asked <= known
    elsewhere = {  # by fields of their own, or one value only: rounds/ppo_options.py says which
        *("batch.max_prompt_tokens", "batch.max_response_tokens", "policy.source", "policy.dropout"),
        *("runtime.device", "runtime.backend", "runtime.zero_stage"),
        *(f"rewards.{name}" for name in ("combination", "weight", "models", "functions", "normalize_models")),
        *(f"rewards.{name}" for name in ("safety_threshold", "risky_tag", "spread_coefficient", "whiten")),
        *(f"rollout.sampling.{name}" for name in ("top_p", "top_k", "repetition_penalty")),
        "rollout.sampling.repetition_penalty_scope",
        *(f"{server}.{name}" for server in ("rollout.server", "rewards.judge.server") for name in ONE_VALUE),
        *("rewards.judge.server.samples_per_request", "reference"),
    }
    left = {path.removeprefix("policy.") for path in known - asked}
    assert {path for path in left if not is_below(path, elsewhere)} == {"reward_model_path", "preset"}


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
    rows = [NewDemonstration(prompt=prompt, text="Yes.") for prompt in project.prompts.filter(split="train")]
    add_demonstrations(actor=max_, project=project, rows=rows)
    Text.objects.create(project=project, external_id="1", text="Once.", split="train", content_hash="1")
    preset = plan_to_dict(PLAN)
    # A critic leads the sampling of a policy that PPO made, and a spread is that of several reward models: those have
    # tests of their own.
    options = {**OPTIONS, **ppo_options.OPTIONS}
    apart = ("sampling.options.guidance", "policy.alarms.spread_rise")
    paths = [path for path in options if not is_below(path, apart)]
    candidates = {
        path: [{path: value} for value in GIVEN[path]]
        if path in GIVEN
        else changes(path, value_at(preset, path), options[path].choices)
        for path in paths
    }
    groups, never = grouped(candidates, accepted(lambda values: with_assignments(PLAN, words(values))))
    assert never == [] and set().union(*groups) >= set(paths)
    for values in groups:
        in_fields = {
            NAMED_OTHERWISE.get(path, path): (
                json.dumps(value) if path == "sampling.other_policies" else typed(value)
            )
            for path, value in values.items()
        }
        answer = client.post(
            reverse("rounds:start", args=["kitchen"]), asked | in_fields | {"servers_may_be_away": "on"}
        )
        assert answer.status_code == 302, answer.context["form"].errors
        by_form = finish()
        of_ppo = {path: value for path, value in values.items() if path in ppo_options.OPTIONS}
        body = asked | {
            "criterion": criterion.name,
            **{name: values[path] for path, name in NAMED_OTHERWISE.items() if path in values},
            "plan_options": {path: value for path, value in values.items() if path in OPTIONS},
            "policy_options": {path.removeprefix("policy."): value for path, value in of_ppo.items()},
            "servers_may_be_away": True,
        }
        answer = client.post(
            "/api/v1/projects/kitchen/rounds", json.dumps(body), content_type="application/json"
        )
        assert answer.status_code == 201, answer.content
        by_api = finish()
        call_command(
            "start_round", "kitchen", "--policy", "base", "--servers-may-be-away", "--set", *words(values)
        )
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


def test_machine_and_rewards_of_the_plan_are_those_of_steps_without_ppo_too(
    client, project, criterion, asked, max_
):
    client.force_login(max_)
    step = {"steps": "1", "step_1.recipe": "policy_gradient", "step_1.preset": "rloo"}
    of_all = {"policy.runtime.seed": "5", "policy.rewards.judge.server.name": "vllm"}
    of_all |= {
        "policy.rewards.judge.server.model": "large",
        "policy.rewards.judge.criterion": "Which is shorter?",
    }
    away = {"servers_may_be_away": "on"}
    url = reverse("rounds:start", args=["kitchen"])
    answer = client.post(url, asked | step | of_all | away)
    assert answer.status_code == 302, answer.context["form"].errors
    by_form = finish()
    words_of_all = [f"{path}={value}" for path, value in of_all.items()]
    command = ["start_round", "kitchen", "--policy", "base", "--step", "policy_gradient:rloo", "--set"]
    call_command(*command, *words_of_all, "--servers-may-be-away")
    by_command = finish()
    body = asked | {
        "criterion": criterion.name,
        "steps": [{"recipe": "policy_gradient", "preset": "rloo"}],
        "policy_options": {path.removeprefix("policy."): value for path, value in of_all.items()}
        | {"runtime.seed": 5},
        "servers_may_be_away": True,
    }
    answer = client.post("/api/v1/projects/kitchen/rounds", json.dumps(body), content_type="application/json")
    assert answer.status_code == 201, answer.content
    for plan in (by_form, by_command, finish()):
        [only] = plan["steps"]
        config = only["policy_gradient"]
        judge = config["rewards"]["judge"]
        assert (config["runtime"]["seed"], judge["server"]["model"]) == (5, "large")
        assert judge["criterion"] == "Which is shorter?"
    # What no step reads would be ignored.
    page = client.post(url, asked | step | {"step_1.recipe": "dpo", "step_1.preset": "tiny"} | of_all | away)
    assert page.status_code == 422 and "None of the steps learns from rewards" in page.content.decode()
    answer = client.post(
        "/api/v1/projects/kitchen/rounds",
        json.dumps(body | {"steps": [{"recipe": "dpo", "preset": "tiny"}]}),
        content_type="application/json",
    )
    assert answer.status_code == 400 and "None of the steps learns" in answer.content.decode()
    without_rewards = [*command[:4], "--step", "dpo:tiny", "--set", *words_of_all, "--servers-may-be-away"]
    with pytest.raises(CommandError, match="None of the steps learns from rewards"):
        call_command(*without_rewards)
    page = client.post(url, asked | step | {"policy.algorithm.gae_lambda": "0.9"})
    assert page.status_code == 422 and "None of the steps is PPO" in page.content.decode()
    body["policy_options"] = {"algorithm.gae_lambda": 0.9}
    answer = client.post("/api/v1/projects/kitchen/rounds", json.dumps(body), content_type="application/json")
    assert answer.status_code == 400 and "None of them is PPO" in answer.content.decode()
    with pytest.raises(CommandError, match="None of the steps is PPO"):
        call_command(*command, "policy.algorithm.gae_lambda=0.9")
    assert not Round.objects.exclude(stage=Stage.CANCELLED).exists()
