"""Trainings by reward models, asked for by managers and rounds: PPO, policy gradients without a critic, best-of-n."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from annotation.models import PromptSet
from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.mixtures.drawing import training_prompts
from policy_training.mixtures.options import PromptMixture
from policy_training.models import Policy
from policy_training.registry import require_unused_name
from policy_training.rewards import filled_in
from policy_training.run_kinds import BEST_OF_N, POLICY_GRADIENT, PPO
from policy_training.supervised.mixing import require_ptx
from policy_training.supervised.stored_answers import StoredAnswers, require_stored_answers
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.unread_options import BEST_OF_N_RULES, POLICY_GRADIENT_RULES, PPO_RULES
from rewardmodel.models import RewardModel
from runs.actions import load_run_options, queue_run
from runs.models import Run
from workspace.access import require_of_project
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import Project, User

FILLED_IN = "(filled in)"
NO_STORED_ANSWERS = StoredAnswers()
ALGORITHM_OF_PRESET = {"reinforce": "REINFORCE", "rloo": "RLOO", "grpo": "GRPO"}


def ppo_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """PPOConfig as a mapping; its models are filled in later. Raises ActionError."""
    config = PPO_PRESETS[preset].config(ModelSource(path=FILLED_IN), FILLED_IN)
    return apply_overrides(options_to_dict(config), assignments, PPO_RULES)


def train_ppo(
    *,
    actor: User,
    project: Project,
    name: str,
    start: Policy,
    reward_model: RewardModel,
    prompt_set: PromptSet | None,
    config: Mapping[str, Any],
    reference: Policy | None = None,
    mixture: PromptMixture | None = None,
    after: Mapping[int, str] | None = None,
    processes: int = 1,
) -> Run:
    """Queue PPO from `start`, whose KL penalty is against `reference` (None: `start`).

    `config` is PPOConfig as a mapping, further reward models by their names; the other models are filled in here.
    A `mixture` of prompt sets takes the place of the one set; `after`: see training_prompts. Raises ActionError,
    BadRunConfig, NothingToMixIn.
    """
    held_near = reference or start
    config, parameters = rewarded_run(
        project,
        name=name,
        start=start,
        reward_model=reward_model,
        prompt_set=prompt_set,
        config=config,
        others=[held_near],
        mixture=mixture,
        after=after,
    )
    config = with_policies(config, start=start, reference=held_near)
    mixed_in = require_ptx(project, load_run_options(PPOConfig, config).algorithm)
    return queue_run(
        actor=actor,
        project=project,
        kind=PPO,
        title=f"PPO: {start.name} to {name}",
        config=config,
        parameters=parameters | mixed_in | {"reference": held_near.pk},
        processes=processes,
    )


def policy_gradient_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """PolicyGradientConfig as a mapping; its models are filled in later. Raises ActionError."""
    config = POLICY_GRADIENT_PRESETS[preset].config(ModelSource(path=FILLED_IN), FILLED_IN)
    return apply_overrides(options_to_dict(config), assignments, POLICY_GRADIENT_RULES)


def train_policy_gradient(
    *,
    actor: User,
    project: Project,
    name: str,
    start: Policy,
    reward_model: RewardModel,
    prompt_set: PromptSet | None,
    config: Mapping[str, Any],
    reference: Policy | None = None,
    mixture: PromptMixture | None = None,
    after: Mapping[int, str] | None = None,
    processes: int = 1,
) -> Run:
    """Queue REINFORCE, RLOO or GRPO from `start`, held near `reference` (None: `start`).

    `config` is PolicyGradientConfig as a mapping, further reward models by their names; the other models are filled in
    here. A `mixture` of prompt sets takes the place of the one set; `after`: see training_prompts. Raises ActionError,
    BadRunConfig, NothingToMixIn.
    """
    held_near = reference or start
    config, parameters = rewarded_run(
        project,
        name=name,
        start=start,
        reward_model=reward_model,
        prompt_set=prompt_set,
        config=config,
        others=[held_near],
        mixture=mixture,
        after=after,
    )
    config = with_policies(config, start=start, reference=held_near)
    mixed_in = require_ptx(project, load_run_options(PolicyGradientConfig, config).algorithm)
    return queue_run(
        actor=actor,
        project=project,
        kind=POLICY_GRADIENT,
        title=f"{ALGORITHM_OF_PRESET.get(config.get('preset', ''), 'Policy gradient')}: {start.name} to {name}",
        config=config,
        parameters=parameters | mixed_in | {"reference": held_near.pk},
        processes=processes,
    )


def best_of_n_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """BestOfNConfig as a mapping; its models are filled in later. Raises ActionError."""
    config = BEST_OF_N_PRESETS[preset].config(ModelSource(path=FILLED_IN), FILLED_IN)
    return apply_overrides(options_to_dict(config), assignments, BEST_OF_N_RULES)


def train_best_of_n(
    *,
    actor: User,
    project: Project,
    name: str,
    start: Policy,
    reward_model: RewardModel,
    prompt_set: PromptSet | None,
    config: Mapping[str, Any],
    samplers: Sequence[Policy] = (),
    start_answers: bool = False,
    stored: StoredAnswers = NO_STORED_ANSWERS,
    mixture: PromptMixture | None = None,
    after: Mapping[int, str] | None = None,
    processes: int = 1,
) -> Run:
    """Queue best-of-n: the `samplers` (none: `start`) answer, with `start_answers` `start` beside them, and `start` is
    fine-tuned on the answers that score best. Answers that are there already (`stored`) compete with the new ones.

    `config` is BestOfNConfig as a mapping, further reward models by their names; the other models, their names and
    whether there are stored answers are filled in here. A `mixture` of prompt sets takes the place of the one set;
    `after`: see training_prompts. Raises ActionError, BadRunConfig.
    """
    if len(set(samplers)) != len(samplers):
        raise ActionError(gettext("Name each policy that answers once."), code="no_policy")
    samplers = who_answers(start, samplers, start_answers)
    config, parameters = rewarded_run(
        project,
        name=name,
        start=start,
        reward_model=reward_model,
        prompt_set=prompt_set,
        config=config,
        others=samplers,
        mixture=mixture,
        after=after,
    )
    config = {
        **config,
        "model": {**config.get("model", {}), "source": source_of(start)},
        "samplers": [source_of(policy) for policy in samplers],
        "sampler_names": [policy.name for policy in samplers or [start]],
        "stored": {**config.get("stored", {}), "use": bool(stored)},
    }
    load_run_options(BestOfNConfig, config)
    if stored:
        if prompt_set is None or mixture:
            raise ActionError(
                gettext(
                    "Answers that are there already are learned with one prompt set, not with a mixture."
                ),
                code="bad_option",
            )
        require_stored_answers(project, prompt_set, stored)
    return queue_run(
        actor=actor,
        project=project,
        kind=BEST_OF_N,
        title=f"Best-of-n: {start.name} to {name}",
        config=config,
        parameters=parameters
        | {"samplers": [policy.pk for policy in samplers]}
        | ({"stored": stored.record} if stored else {}),
        processes=processes,
    )


def who_answers(start: Any, samplers: Sequence[Policy], start_answers: bool) -> list[Any]:
    """The policies that are named to answer, of which `start` may be one that is being made; none: `start` alone."""
    return [*samplers, start] if samplers and start_answers and start not in samplers else list(samplers)


def rewarded_run(
    project: Project,
    *,
    name: str,
    start: Policy,
    reward_model: RewardModel,
    prompt_set: PromptSet | None,
    config: Mapping[str, Any],
    others: Sequence[Policy] = (),
    mixture: PromptMixture | None = None,
    after: Mapping[int, str] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The config with its reward models, and the run's parameters. Raises ActionError."""
    require_of_project(project, start, reward_model, *([prompt_set] if prompt_set else []), *others)
    require_unused_name(project, name)
    prompts = training_prompts(project, prompt_set, mixture, after=after)
    filled, further = filled_in(project, config, reward_model)
    return {**filled, "reward_model_path": str(reward_model.artifact.absolute_path)}, {
        "name": name,
        "parent": start.pk,
        "reward_model": reward_model.pk,
        **({"further_reward_models": further} if further else {}),
        **prompts,
    }


def with_policies(config: Mapping[str, Any], *, start: Policy, reference: Policy) -> dict[str, Any]:
    """The config of a recipe that learns from rollouts, with what it starts from and is held near."""
    policy = {**config.get("policy", {}), "source": source_of(start)}
    return {**config, "policy": policy, "reference": source_of(reference)}


def source_of(policy: Policy) -> dict[str, str]:
    return {"path": str(policy.artifact.absolute_path)}
