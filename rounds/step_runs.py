"""The steps of a plan as runs, and what they need of a project before the round begins."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import options_to_dict
from policy_training.actions import pretrain, train_sft
from policy_training.dpo.actions import train_dpo
from policy_training.model_servers import require_known_server
from policy_training.models import Policy
from policy_training.rewarded.actions import train_best_of_n, train_policy_gradient, train_ppo
from policy_training.rewards import require_rewards
from policy_training.supervised.mixing import (
    available_ptx,
    describe_ptx,
    has_training_demonstrations,
    require_training_texts,
    require_whole_demonstrations,
)
from policy_training.supervised.preferred_answers import PreferredAnswers
from policy_training.supervised.rated_answers import RatedAnswers, require_known_mark
from policy_training.supervised.stored_answers import StoredAnswers
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.config import LanguageModelConfig
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.reward_config import RewardSourcesOptions
from rounds.errors import RoundRefused
from rounds.learned_criteria import learned_criteria
from rounds.mixed_prompts import training_arguments
from rounds.models import Round
from rounds.plans import RoundPlan
from rounds.starting_models import named_policy, reference_policy
from rounds.steps import RECIPES, PolicyStep, Recipe, changed
from rounds.training_batches import training_batches
from runs.models import Run
from workspace.errors import ActionError
from workspace.models import Criterion, Project
from workspace.naming import unique_name


@dataclass(frozen=True)
class StepToRun:
    """A step of a round that is due: it starts from `start`, and its policy will have this name."""

    round: Round
    plan: RoundPlan
    step: PolicyStep
    start: Policy
    name: str

    @property
    def reference(self) -> Policy:
        return reference_policy(self.round.start_policy, self.plan, self.step, self.start)

    @property
    def arguments(self) -> dict[str, Any]:
        """Those that every recipe has."""
        return {
            "actor": self.round.started_by,
            "project": self.round.project,
            "name": self.name,
            "config": options_to_dict(self.plan.config_of(self.step)),
            "processes": self.plan.processes,
        }

    @property
    def rewarded_arguments(self) -> dict[str, Any]:
        return {
            **self.arguments,
            "start": self.start,
            "reward_model": self.round.reward_model,
            **training_arguments(self.round, self.plan),
        }


def name_of_step(round_: Round, plan: RoundPlan, number: int) -> str:
    """The policy's name after so many steps: the last one has the round's own."""
    name = f"policy, round {round_.number}"
    if number < len(plan.policy_steps):
        name += f", step {number}: {RECIPES[plan.policy_steps[number - 1].recipe].label}"
    return unique_name(Policy.objects.filter(project=round_.project), name)


def queue_step(round_: Round, plan: RoundPlan, number: int, start: Policy) -> Run:
    """The run of a step, counted from 1. Raises ActionError."""
    step = plan.policy_steps[number - 1]
    due = StepToRun(round_, plan, step, start, name_of_step(round_, plan, number))
    return _QUEUE[step.recipe](due)


def _ppo(due: StepToRun) -> Run:
    return train_ppo(**due.rewarded_arguments, reference=due.reference)


def _policy_gradient(due: StepToRun) -> Run:
    return train_policy_gradient(**due.rewarded_arguments, reference=due.reference)


def _best_of_n(due: StepToRun) -> Run:
    others = [named_policy(due.round.project, name) for name in due.step.other_policies]
    samplers = [due.start, *(policy for policy in others if policy != due.start)] if others else []
    policies = Policy.objects.filter(project=due.round.project) if due.step.stored_answers != "none" else []
    stored = StoredAnswers(
        policies=tuple(sorted(policy.pk for policy in policies)), others=due.step.stored_answers == "all"
    )
    return train_best_of_n(**due.rewarded_arguments, samplers=samplers, stored=stored)


def _dpo(due: StepToRun) -> Run:
    return train_dpo(
        **due.arguments,
        start=due.start,
        reference=due.reference,
        dataset=due.round.dataset,
        criteria=learned_criteria(due.round.project, due.round.criterion, due.plan),
        annotator_kinds=due.plan.annotation.annotator_kinds,
        consensus=due.plan.consensus,
    )


def _sft(due: StepToRun) -> Run:
    step, criterion = due.step, due.round.criterion.name
    preferred = rated = None
    if step.preferred_at_least is not None:
        preferred = PreferredAnswers(at_least=step.preferred_at_least, criterion=criterion)
    if step.rated_at_least is not None:
        rated = RatedAnswers(mark=step.rated_mark, at_least=step.rated_at_least)
    judged: dict[str, Any] = {}
    if preferred or rated:
        judged = {
            "batches": training_batches(due.round, due.plan),
            "annotator_kinds": due.plan.annotation.annotator_kinds,
        }
    return train_sft(**due.arguments, parent=due.start, preferred=preferred, rated=rated, **judged)


def _pretrain(due: StepToRun) -> Run:
    return pretrain(**due.arguments, parent=due.start, data=due.step.learn_from)


_QUEUE: dict[Recipe, Callable[[StepToRun], Run]] = {
    "ppo": _ppo,
    "policy_gradient": _policy_gradient,
    "best_of_n": _best_of_n,
    "dpo": _dpo,
    "sft": _sft,
    "pretrain": _pretrain,
}


def require_steps(project: Project, criterion: Criterion, plan: RoundPlan) -> None:
    """Raises RoundRefused where a step is bound to fail: better now than after people have done their part."""
    for number, step in enumerate(plan.policy_steps, 1):
        config = plan.config_of(step)
        try:
            if RECIPES[step.recipe].has_reward:
                require_rewards(project, rewards := config.rewards)  # type: ignore[union-attr]
                _require_other_than_own(rewards, criterion, plan)
            if isinstance(config, PPOConfig | PolicyGradientConfig):
                require_known_server(options_to_dict(config.rollout.server))
            if isinstance(config, BestOfNConfig):
                require_known_server(options_to_dict(config.sampling.server))
            if isinstance(config, LanguageModelConfig):
                _require_rows(project, step, config)
            for name in step.other_policies:
                named_policy(project, name)
        except ActionError as error:
            at = gettext("Step %(number)s of the policy's training: ") % {"number": number}
            raise RoundRefused((at if plan.steps else "") + error.message, code=error.code) from error


def _require_other_than_own(rewards: RewardSourcesOptions, criterion: Criterion, plan: RoundPlan) -> None:
    """The newest model of what the round's own learns would be the round's own, which is the first one."""
    if plan.learned_criteria(criterion.name) == [criterion.name] and criterion.name in {
        part.criterion for part in rewards.models if not part.name
    }:
        raise RoundRefused(
            gettext(
                "The newest reward model of “%(criterion)s” will be the round's own, which scores already: leave the "
                "criterion out of the further reward models, or name a model."
            )
            % {"criterion": criterion.name},
            code="no_reward_model",
        )


def _require_rows(project: Project, step: PolicyStep, config: LanguageModelConfig) -> None:
    if step.recipe == "pretrain" and step.learn_from == "texts":
        require_training_texts(
            project, gettext("leave the step out, or learn whole demonstrations (learn_from=demonstrations)")
        )
    elif config.data.texts_share:
        require_training_texts(project, gettext("leave the step out, or take no texts (data.texts_share=0)"))
    if step.learn_from == "demonstrations":
        require_whole_demonstrations(project)
    if step.rated_mark:
        require_known_mark(project, step.rated_mark)
    judged = step.preferred_at_least is not None or step.rated_at_least is not None
    if step.recipe == "sft" and not judged and not has_training_demonstrations(project):
        raise RoundRefused(
            gettext(
                "The project has no demonstrations to learn from: bring some in, or learn the answers that people put "
                "first (preferred_at_least)."
            ),
            code="no_demonstrations",
        )


def with_available_ptx(project: Project, plan: RoundPlan) -> RoundPlan:
    """The plan with the ptx shares that the project's texts allow, which the round's page says.

    Raises RoundRefused.
    """

    def allowed(config: Any) -> Any:
        if not isinstance(config, PPOConfig | PolicyGradientConfig):
            return config
        algorithm: Any = available_ptx(project, config.algorithm)
        return replace(config, algorithm=algorithm)

    try:
        if plan.uses_policy:
            plan = replace(plan, policy=allowed(plan.policy))
        steps = changed(plan.steps, allowed)
    except ActionError as error:
        raise RoundRefused(error.message, code=error.code) from error
    return replace(plan, steps=steps)


def describe_mixed_in(plan: RoundPlan) -> str:
    """What the steps learn from beside their rollouts, a sentence for each different one."""
    configs = (plan.config_of(step) for step in plan.policy_steps)
    words = (
        describe_ptx(config.algorithm)
        for config in configs
        if isinstance(config, PPOConfig | PolicyGradientConfig)
    )
    return " ".join(dict.fromkeys(filter(None, words)))


def refused_option(message: str) -> str:
    """The path of the option that a refusal of a step is about: “step dpo.dpo.objective: beta must be ...”."""
    found = re.match(r"step \w+\.\w+((?:\.\w+)*): (\w*)", message)
    return ".".join(filter(None, (found[1].lstrip("."), found[2]))) if found else ""
