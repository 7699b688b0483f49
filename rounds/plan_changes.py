"""A plan with some values changed, as the form, the command and the API ask for it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.training_options import BatchOptions
from policy_training.mixtures.options import PromptMixture
from policy_training.reward_batches import with_whole_batches
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.reward_config import RewardSourcesOptions
from rewardmodel.training.presets import PRESETS as REWARD_MODEL_PRESETS
from rounds.plans import OpponentKind, RoundPlan, StartKind, sentence_of
from rounds.steps import (
    LENGTHS,
    PLACEHOLDER_PATH,
    RECIPES,
    PolicyStep,
    ReferenceKind,
    changed,
    named_in_batch,
    placeholder_source,
    rewards_beside,
    with_reward_sources,
    with_rewards,
    with_runtime,
)
from workspace.config_overrides import apply_overrides


def _with_rewards(plan: RoundPlan, rewards: Mapping[str, Any]) -> RoundPlan:
    """`rewards`: values of RewardSourcesOptions, as JSON has them."""
    options = load_options(
        RewardSourcesOptions, {**options_to_dict(plan.policy.rewards), **rewards}, where="policy.rewards"
    )
    return replace(
        plan, policy=with_reward_sources(plan.policy, options), steps=with_rewards(plan.steps, rewards)
    )


def with_further_batches(plan: RoundPlan, rewards: Mapping[str, Any]) -> RoundPlan:
    """What the batches of the `rewards` that override_plan had do not name, from that of the first reward model: called
    when the plan's lengths are known, of the plan and of its preset's steps.
    """
    given = {
        index: part["batch"] for index, part in enumerate(rewards.get("models", ())) if part.get("batch")
    }

    def change(config: Any) -> Any:
        if not isinstance(config, PPOConfig | PolicyGradientConfig | BestOfNConfig):
            return config
        mapping = options_to_dict(config)
        for index, part in enumerate(mapping["rewards"]["models"]):
            # --set policy.rewards.models may have put others there.
            if index in given and part["batch"] == options_to_dict(load_options(BatchOptions, given[index])):
                part["batch"] = given[index]
        models = load_options(
            RewardSourcesOptions, with_whole_batches(mapping)["rewards"], where="policy.rewards"
        ).models
        return replace(config, rewards=replace(config.rewards, models=models))

    if not given:
        return plan
    return replace(plan, policy=change(plan.policy), steps=changed(plan.steps, change))


def chosen_rewards(rewards: Mapping[str, Any], assignments: Sequence[str] = ()) -> frozenset[str]:
    """Names of RewardSourcesOptions that were set for the whole plan, be it to what its preset has, and paths of what
    was named of the batches of further reward models (steps.named_in_batch): by `rewards` of override_plan, or by
    `policy.rewards.path=value` of with_assignments, which has checked the assignments.
    """
    assigned = apply_overrides({}, assignments).get("policy", {}).get("rewards", {})
    given = {**rewards, **assigned}
    named = {
        named_in_batch(number, name)
        for number, part in enumerate(given.get("models", ()))
        for name in part.get("batch") or ()
    }
    return frozenset((*given, *named))


def with_ppo_preset(plan: RoundPlan, name: str) -> RoundPlan:
    """The plan with PPO by another preset, on its lengths, machine and rewards. Raises UserError, with known names."""
    if name not in PPO_PRESETS:
        raise UserError(f"There is no PPO preset “{name}”: use one of {', '.join(sorted(PPO_PRESETS))}.")
    policy = PPO_PRESETS[name].config(placeholder_source(), PLACEHOLDER_PATH, runtime=plan.policy.runtime)
    policy = replace(policy, batch=plan.policy.batch)
    return replace(plan, policy=with_reward_sources(policy, rewards_beside(policy.rewards, plan.policy)))


def with_reward_model_preset(plan: RoundPlan, name: str) -> RoundPlan:
    """The plan with its reward model by another preset, on its lengths and machine. Raises UserError."""
    if name not in REWARD_MODEL_PRESETS:
        known = ", ".join(sorted(REWARD_MODEL_PRESETS))
        raise UserError(f"There is no reward-model preset “{name}”: use one of {known}.")
    own = plan.reward_model
    reward_model = REWARD_MODEL_PRESETS[name].config(own.model.source, runtime=own.runtime)
    lengths = {length: getattr(own.batch, length) for length in LENGTHS}
    return replace(plan, reward_model=replace(reward_model, batch=replace(reward_model.batch, **lengths)))


def with_steps(plan: RoundPlan, steps: Sequence[PolicyStep], chosen: Collection[str] = ()) -> RoundPlan:
    """The plan with its policy trained by these; none: by PPO alone. Raises UserError, also for rewards that none of
    the steps reads. `chosen`: see chosen_rewards.
    """
    usual = PPO_PRESETS[plan.policy.preset].rewards if plan.policy.preset else RewardSourcesOptions()
    asked = bool(chosen) or plan.policy.rewards != usual
    if steps and asked and not any(RECIPES[step.recipe].has_reward for step in steps):
        raise UserError(
            gettext(
                "None of the steps learns from rewards: leave reward models, functions, a judge and their options out."
            )
        )
    try:
        return replace(plan, steps=tuple(steps))
    except ValueError as error:
        raise UserError(sentence_of(error)) from error


def override_plan(
    plan: RoundPlan,
    *,
    sampling: Mapping[str, Any] | None = None,
    temperatures: tuple[float, ...] | None = None,
    annotation: Mapping[str, Any] | None = None,
    opponents: tuple[OpponentKind, ...] | None = None,
    reference: ReferenceKind | None = None,
    reference_policy: str = "",
    start_from: StartKind | None = None,
    start_from_policy: str = "",
    ppo_preset: str | None = None,
    reward_model_preset: str | None = None,
    reward_model_criteria: Sequence[str] | None = None,
    processes: int | None = None,
    runtime: Mapping[str, Any] | None = None,
    rewards: Mapping[str, Any] | None = None,
    policy_prompts: PromptMixture | None = None,
    server: Mapping[str, Any] | None = None,
    servers_may_be_away: bool = False,
) -> RoundPlan:
    """The plan with some values changed, as the form and the command line do. Raises UserError on a bad value.

    `runtime`: values of RuntimeOptions, for all that the round trains, samples and scores. `rewards`: values of
    RewardSourcesOptions, as JSON has them, of every step that learns from rewards. `ppo_preset` replaces how PPO is
    done, but for lengths, machine and rewards, `reward_model_preset` how the reward model is trained, but for lengths
    and machine; `reward_model_criteria` are names; `reference_policy` and `start_from_policy` are the names that
    `named_policy` needs. `server`: values of ServerOptions, of who writes the answers that people judge.
    """
    if ppo_preset is not None:
        plan = with_ppo_preset(plan, ppo_preset)
    if reward_model_preset is not None:
        plan = with_reward_model_preset(plan, reward_model_preset)
    try:
        if rewards:
            plan = _with_rewards(plan, rewards)
        sampling = dict(sampling or {})
        if "responses_per_task" in sampling:  # that many everywhere, unless a range is asked for
            sampling.setdefault("min_responses_per_task", None)
        mixture = sampling.get("mixture")
        if mixture is not None and mixture.total is not None:  # its numbers say how many
            sampling.setdefault("prompts", mixture.total)
        options = plan.sampling.options
        if temperatures is not None:
            options = replace(options, temperatures=temperatures)
        if server:
            options = replace(options, server=replace(options.server, **server))
        runtime = dict(runtime or {})
        reward_model, policy = plan.reward_model, plan.policy
        return replace(
            plan,
            reward_model=replace(reward_model, runtime=replace(reward_model.runtime, **runtime)),
            policy=replace(policy, runtime=replace(policy.runtime, **runtime)),
            steps=with_runtime(plan.steps, runtime),
            processes=plan.processes if processes is None else processes,
            servers_may_be_away=plan.servers_may_be_away or servers_may_be_away,
            sampling=replace(plan.sampling, options=options, **sampling),
            reward_model_criteria=(
                plan.reward_model_criteria if reward_model_criteria is None else tuple(reward_model_criteria)
            ),
            annotation=replace(plan.annotation, **(annotation or {})),
            head_to_head=(
                plan.head_to_head if opponents is None else replace(plan.head_to_head, opponents=opponents)
            ),
            policy_prompts=plan.policy_prompts if policy_prompts is None else policy_prompts,
            start_from=plan.start_from if start_from is None else start_from,
            start_from_policy=plan.start_from_policy if start_from is None else start_from_policy,
            reference=plan.reference if reference is None else reference,
            reference_policy=plan.reference_policy if reference is None else reference_policy,
        )
    except ValueError as error:
        raise UserError(sentence_of(error)) from error
