"""The variance of policy gradients: many estimates at one and the same policy, by the recipe's own rollouts and losses,
for each form of Phi in equation 5 of Secrets of RLHF I.

An estimate is the gradient of a step of RESPONSES answers, four to a prompt. All forms are taken of the same answers.
"""

import shutil
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks.experiments.configurations import CONFIGURATIONS, RESPONSES
from benchmarks.experiments.materials import Materials, run_in_process
from learning.batches.forward import compute_token_logprobs
from learning.interface.record_schemas import PROMPTS
from learning.interface.training_options import ModelSource
from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.policy_gradient.losses import (
    baseline,
    policy_gradient_loss,
    response_advantages,
    token_advantages,
)
from policy_training.training.policy_gradient.recipe import GradientState, build_state, gather_advantages
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.experience import make_minibatches
from policy_training.training.ppo.micro_batches import Minibatch
from policy_training.training.ppo.reports import sampling_request
from policy_training.training.rollouts.rollouts import generate_rollouts

ESTIMATES = 50
FORMS: Mapping[str, Mapping[str, str]] = {
    "return": {"advantage": "return", "baseline": "none"},
    "return less the step's mean": {"advantage": "return", "baseline": "batch_mean"},
    "reward to go": {"advantage": "reward_to_go", "baseline": "none"},
    "reward to go less the step's mean": {"advantage": "reward_to_go", "baseline": "batch_mean"},
    "return less the mean of the prompt's others": {"advantage": "leave_one_out"},
}
POLICIES = {
    "start": None,
    "later": "KL 0.05",
}  # the fine-tuned policy, and what this configuration makes of it

SETTINGS = (ESTIMATES, tuple(FORMS), tuple(POLICIES.items()), CONFIGURATIONS["RLOO"])


def execute(seed: int, folder: Path) -> dict[str, Any]:
    torch.set_num_threads(1)
    materials = Materials(folder / "materials")
    found = {}
    for name, configuration in POLICIES.items():
        path, trained = folder / "runs" / f"gradients-{name}-{seed}", None
        try:
            if configuration is not None:
                trained = path / "training"
                run_in_process(
                    ppo,
                    trained,
                    CONFIGURATIONS[configuration].options(materials, seed),
                    prompts=(materials.prompts(), PROMPTS),
                )
            found[name] = _measure(materials, seed, path / "measuring", trained)
        finally:
            shutil.rmtree(path, ignore_errors=True)
    return {"policies": found}


def _measure(materials: Materials, seed: int, path: Path, trained: Path | None) -> dict[str, Any]:
    """Of every form, for the policy in `trained`, held against the fine-tuned one."""
    options = CONFIGURATIONS["RLOO"].options(materials, seed)
    options = replace(
        options,
        reference=materials.policy,
        algorithm=replace(options.algorithm, responses_per_minibatch=RESPONSES),
    )
    if trained is not None:
        source = ModelSource(path=str(trained / "model"))
        options = replace(options, policy=replace(options.policy, source=source))
    recipe = SimpleNamespace(__name__="gradients", main=_estimate)
    return run_in_process(recipe, path, options, prompts=(materials.prompts(), PROMPTS))


def _estimate(context: Any) -> dict[str, Any]:
    state = build_state(context)
    tallies: dict[str, Tally] = {}
    scores: list[float] = []
    for number in range(1, ESTIMATES + 1):
        rollouts = generate_rollouts(
            state.policy,
            [state.train_prompts[index] for index in state.prompt_sampler.next()],
            state.scorer,
            sampling_request(
                state.config,
                n_samples=state.config.rollout.samples_per_prompt,
                seed=f"{state.config.runtime.seed}/{number}",
            ),
            distributed=state.distributed,
        )
        scores += [rollout.score for rollout in rollouts]
        [parts] = make_minibatches(state, rollouts)  # one update a step
        gather_advantages(state, rollouts, [parts])  # for the tokens' rewards and log-probabilities
        for form, choice in FORMS.items():
            own = replace(state.config.algorithm, **choice)
            tallies.setdefault(form, Tally()).add(gradient(state, parts, len(rollouts), own))
    first = next(iter(tallies.values())).mean
    return {
        "score_mean": statistics.fmean(scores),
        "score_std": statistics.pstdev(scores),
        "forms": {
            form: {
                "trace": tally.trace,
                "squared_mean": tally.squared_mean,
                "cosine": float(torch.cosine_similarity(first, tally.mean, dim=0)),
            }
            for form, tally in tallies.items()
        },
    }


def gradient(state: GradientState, parts: Minibatch, count: int, options: PolicyGradientOptions) -> Tensor:
    """Of the loss of these `count` responses by all parameters in one row, float64; the parameters stay."""
    returns_N = torch.zeros(count, dtype=torch.float64)
    for part in parts:
        returns_N[part.rollout_indices] = part.rewards_NR.double().sum(1)
    advantages_N = response_advantages(
        returns_N, options, samples_per_prompt=state.config.rollout.samples_per_prompt
    )
    model = state.policy.model
    model.zero_grad()
    for part in parts:
        advantages_NR = token_advantages(
            part.rewards_NR,
            part.is_response_NR,
            options,
            advantages_N=advantages_N[part.rollout_indices],
            baseline=baseline(returns_N, options),
        )
        terms = policy_gradient_loss(
            compute_token_logprobs(model, part.batch),
            part.old_logprobs_NR,
            part.reference_logprobs_NR,
            advantages_NR,
            part.is_response_NR,
            options,
        )
        (terms.loss / count).backward()
    found = torch.cat(
        [parameter.grad.flatten().double() for parameter in model.parameters() if parameter.grad is not None]
    )
    model.zero_grad()
    return found


@dataclass
class Tally:
    """Running mean and sum of squared distances from it (Welford 1962) of gradients, rows of one length."""

    count: int = 0
    mean: Tensor = field(default_factory=lambda: torch.zeros(()))
    squares: float = 0.0

    def add(self, row: Tensor) -> None:
        self.count += 1
        off = row - self.mean
        self.mean = self.mean + off / self.count
        self.squares += float(off @ (row - self.mean))

    @property
    def trace(self) -> float:
        """Of the covariance of one estimate, unbiased."""
        return self.squares / (self.count - 1)

    @property
    def squared_mean(self) -> float:
        """Squared length of the expected gradient, unbiased: the mean's own noise is taken off; may be negative."""
        return float(self.mean @ self.mean) - self.trace / self.count
