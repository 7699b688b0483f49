"""Every option of every recipe can be set in a step of a round, by form, command and API, and by its own command."""

import json
from collections.abc import Callable
from typing import Any, get_args

import pytest
from django.core.management import load_command_class

from learning.interface.options import UserError, options_to_dict
from policy_training.dpo.actions import dpo_config
from policy_training.rewarded.actions import best_of_n_config, policy_gradient_config, ppo_config
from policy_training.supervised.options import language_model_config
from policy_training.training.judge_config import FIXED_REWARD_OPTIONS
from rewardmodel.start_training import reward_model_config
from rewardmodel.training.config import RewardModelConfig
from rounds.api.steps import StepValues, steps_of
from rounds.plan_changes import override_plan
from rounds.plans import preset_plan
from rounds.step_fields import NOT_ASKED, NOT_ASKED_OF, StepForm, options_of_recipe
from rounds.steps import RECIPES, STEP_FIELDS, PolicyStep, Recipe, step_from_words
from runs.option_forms.fields import NEVER_ASKED, value_at
from tests.config.changed_options import changes, grouped, is_below, leaves, typed
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]

# Two reward models, whose spread an alarm of the recipes watches.
REWARDS = {"combination": "ensemble", "models": [{"name": "second", "weight": 1.0}]}
PLAN = override_plan(preset_plan("tiny"), rewards=REWARDS)
# Why an option of a recipe is no field of a step; the round itself or a field of another name decides it.
REASONS = {
    "batch.max_prompt_tokens": "one length for the whole round",
    "batch.max_response_tokens": "one length for the whole round",
    "runtime.device": "one machine for the whole round",
    "runtime.backend": "one machine for the whole round",
    "runtime.zero_stage": "one machine for the whole round",
    "reference": "the field Held near",
    **dict.fromkeys(FIXED_REWARD_OPTIONS, "of a judge's server these have one value"),
    "samplers": "the field Policies that answer too",
    "sampler_names": "the field Policies that answer too",
    "stored.use": "the field Answers that are there already",
    "tokenizer": "read for a model from scratch only, and a step starts from the policy before it",
    "model.source": "the policy that the step before made",
    "policy.source": "the policy that the step before made",
    "rollout.server.protocol": "rollouts need token ids, which one protocol has",
    "rollout.server.stop": "rollouts end as the policy ends them",
    "rollout.server.returns_token_ids": "rollouts cannot do without",
    "rollout.server.returns_logprobs": "rollouts cannot do without",
    "reward_model_path": "the reward model of the round",
    "preset": "the field Preset",
    "criterion": "the criterion of the round, for the record",
}
REASONS_OF = {
    "best_of_n": "refused: best-of-n has no window of steps, no other data than its answers, and ranks by the mean",
    "ppo": "refused: rollouts that train are drawn from the policy as it is, by dropout 0 and from all tokens",
    "policy_gradient": "refused: as of PPO",
}
LEARNS_REWARDS = ("ppo", "policy_gradient", "best_of_n")
# The command of a recipe outside a round, its words before the options, and how it makes its configuration.
COMMANDS: dict[str, tuple[str, str, list[str], Callable[..., Any]]] = {
    "ppo": ("policy_training", "train_ppo", ["--start=a", "--reward-model=b", "--prompt-set=c"], ppo_config),
    "policy_gradient": (
        "policy_training",
        "train_policy_gradient",
        ["--start=a", "--reward-model=b", "--prompt-set=c"],
        policy_gradient_config,
    ),
    "best_of_n": (
        "policy_training",
        "train_best_of_n",
        ["--start=a", "--reward-model=b", "--prompt-set=c"],
        best_of_n_config,
    ),
    "dpo": ("policy_training", "train_dpo", ["--start=a"], dpo_config),
    "sft": ("policy_training", "fine_tune", [], language_model_config),
    "pretrain": ("policy_training", "pretrain", [], language_model_config),
    "reward_model": ("rewardmodel", "train_reward_model", ["--start=a"], reward_model_config),
}


def accepted(build: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], bool]:
    def accepts(values: dict[str, Any]) -> bool:
        try:
            build(values)
        except (UserError, ActionError):
            return False
        return True

    return accepts


def words(values: dict[str, Any]) -> list[str]:
    return [f"{path}={json.dumps(value)}" for path, value in values.items()]


def by_words(recipe: str, values: dict[str, Any]) -> PolicyStep:
    return step_from_words([f"{recipe}:{RECIPES[recipe].default_preset}", *words(values)], policy=PLAN.policy)


def by_command(recipe: str, values: dict[str, Any]) -> PolicyStep:
    parser = load_command_class("rounds", "start_round").create_parser("manage.py", "start_round")
    preset = RECIPES[recipe].default_preset
    options = parser.parse_args(["kitchen", "--step", f"{recipe}:{preset}", *words(values)])
    [given] = options.step
    return step_from_words(given, policy=PLAN.policy)


def by_form(recipe: Recipe, values: dict[str, Any], project: Any) -> PolicyStep:
    data = {f"step_1.{path}": typed(value) for path, value in values.items()}
    data |= {"step_1.recipe": recipe, "step_1.preset": RECIPES[recipe].default_preset}
    form = StepForm(data, project=project, number=1, recipe=recipe)
    assert form.is_valid(), form.errors
    assert set(values) <= set(form.fields)
    return form.step(PLAN.policy)


def by_api(recipe: str, values: dict[str, Any], project: Any) -> PolicyStep:
    own = {name: value for name, value in values.items() if name in STEP_FIELDS}
    options = {path: value for path, value in values.items() if path not in own}
    body = StepValues(
        data={"recipe": recipe, "preset": RECIPES[recipe].default_preset, "options": options, **own}
    )
    body.is_valid(raise_exception=True)
    [step] = steps_of(project, [body.validated_data], PLAN.policy)
    return step


def own_command(recipe: str, values: dict[str, Any]) -> dict[str, Any]:
    app, name, before, make_config = COMMANDS[recipe]
    parser = load_command_class(app, name).create_parser("manage.py", name)
    rewards = (
        {f"rewards.{name}": value for name, value in REWARDS.items()} if recipe in LEARNS_REWARDS else {}
    )
    options = parser.parse_args(["kitchen", "new", *before, "--set", *words(rewards | values)])
    return make_config(options.preset, options.set)


def has(config: Any, values: dict[str, Any]) -> None:
    mapping = config if isinstance(config, dict) else options_to_dict(config)
    found = {path: value_at(mapping, path) for path in values if path not in STEP_FIELDS}
    assert found == {path: value for path, value in values.items() if path in found}


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_option_of_a_recipe_is_a_field_of_the_step_or_has_a_reason(recipe):
    assert set(REASONS) <= {*NOT_ASKED, *NEVER_ASKED} and set(REASONS_OF) == set(NOT_ASKED_OF)
    reasons = {*REASONS, *NOT_ASKED_OF.get(recipe, ())}
    asked = set(options_of_recipe(recipe))
    known = set(leaves(RECIPES[recipe].config))
    assert asked <= known
    # Lists of reward models and functions are the fields of rewards of the whole round.
    lists = {"rewards.models", "rewards.functions"}
    assert {path for path in known - asked - lists if not is_below(path, reasons)} == set()


@pytest.mark.parametrize("recipe", RECIPES)
def test_each_option_of_a_recipe_comes_into_the_plan_by_form_command_and_api(recipe, project):
    preset = options_to_dict(RECIPES[recipe].preset(RECIPES[recipe].default_preset, PLAN.policy.runtime))
    asked = {
        path: changes(path, value_at(preset, path), option.choices)
        for path, option in options_of_recipe(recipe).items()
    }
    groups, never = grouped(asked, accepted(lambda values: by_words(recipe, values)))
    assert never == []
    assert set().union(*groups) >= set(asked)
    for values in groups:
        for step in (
            by_command(recipe, values),
            by_form(recipe, values, project),
            by_api(recipe, values, project),
        ):
            has(step.config, values)
            assert step.stored_answers == values.get("stored_answers", "none")
        has(own_command(recipe, {path: value for path, value in values.items() if path in asked}), values)


def test_each_option_of_a_reward_model_comes_into_its_configuration_by_its_command():
    preset = reward_model_config("tiny")
    apart = ("model.source", "tokenizer", "runtime", "preset", "criterion")
    known = [path for path in leaves(RewardModelConfig) if not is_below(path, apart)]
    choices = {"model.gradient_checkpointing": (True, False), "data.balance_tokens": (True, False)}
    choices |= {
        "objective.ranking_loss": ("soft_labels",),
        "objective.margin": ("small",),
        "objective.pair_weight": ("all",),
        "objective.strength_weighted": (True,),
        "optimizer.schedule": ("constant",),
        "batch.layout": ("padded",),
    }
    asked = {path: changes(path, value_at(preset, path), choices.get(path, ())) for path in known}
    groups, never = grouped(asked, accepted(lambda values: own_command("reward_model", values)))
    assert never == []
    for values in groups:
        has(own_command("reward_model", values), values)


def test_the_table_of_commands_has_every_recipe():
    assert set(COMMANDS) == {*get_args(Recipe), "reward_model"}
