"""CHECK 22 for the recipes beside PPO: with a reward that is known for every response, the optimum is known.

Where the KL penalty stands in the reward it is pi* ~ pi_ref exp(r / beta), worth J* = beta log Z. GRPO has another one.
DPO's is in test_dpo.py, PPO's in test_ppo.py.
"""

import dataclasses
import math

import numpy as np
import pytest

from learning.batches.samplers import ContinuousBatchSampler
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.training_options import (
    BatchOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.policy_gradient.config import PolicyGradientConfig, PolicyGradientOptions
from policy_training.training.policy_gradient.recipe import GradientState, TrainingState
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    PolicyLossOptions,
    RewardOptions,
    RolloutOptions,
)
from policy_training.training.rollouts.rewards import KLController, RunningMoments
from policy_training.training.rollouts.rollouts import FrozenModel, Prompt
from tests.policy_training.training.ppo_states import CPU, build_state
from tests.policy_training.training.test_ppo import (
    RuleScorer,
    optimum,
    sequence_logprobs,
    toy_config,
    toy_models,
)

PROMPT = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
PROMPTS = [PROMPT, dataclasses.replace(PROMPT, prompt_id="again")]
A2C = "a2c"
CRITIC_FREE = {
    "reinforce": PolicyGradientOptions(advantage="return", responses_per_minibatch=512),
    "reward_to_go": PolicyGradientOptions(advantage="reward_to_go", responses_per_minibatch=512),
    "rloo": PolicyGradientOptions(advantage="leave_one_out", responses_per_minibatch=512),
}


def gradient_state(
    policy, reference, scorer, algorithm, *, steps: int, kl: float, seed: int
) -> GradientState:
    """As policy_gradient.build_state makes it from a folder."""
    config = PolicyGradientConfig(
        policy=ModelOptions(source=ModelSource(path="/nowhere")),
        reward_model_path="/nowhere",
        policy_optimizer=OptimizerOptions(learning_rate=4e-3, schedule="linear", min_lr_ratio=0.0),
        batch=BatchOptions(
            max_prompt_tokens=4, max_response_tokens=scorer.length, max_micro_batch_tokens=8192
        ),
        rollout=RolloutOptions(steps=steps, prompts_per_step=2, samples_per_prompt=256),
        reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=kl),
        algorithm=algorithm,
        runtime=RuntimeOptions(seed=seed),
    )
    alone = DistributedContext.start(config.runtime)
    return GradientState(
        context=None,
        config=config,
        distributed=alone,
        tokenizer=scorer.policy_tokenizer,
        policy=Engine(
            policy,
            optimizer=config.policy_optimizer,
            steps_total=steps,
            runtime=config.runtime,
            distributed=alone,
        ),
        reference=FrozenModel(reference, config.runtime, CPU),
        scorer=scorer,
        train_prompts=PROMPTS,
        evaluation_prompts=PROMPTS,
        evaluation_split="train",
        layout="shared_prompt",
        layout_reason="",
        prompt_sampler=ContinuousBatchSampler(2, seed=0, examples_per_step=2),
        score_moments=RunningMoments(),
        kl_controller=KLController(kl),
        progress=TrainingState(),
    )


def learn(recipe: str, *, length: int, steps: int, seed: int, beta: float = 0.5) -> tuple[float, float]:
    """(share of J* - J_ref gained, total variation to pi*) after training on a random reward of every response."""
    policy, reference, critic = toy_models(seed)
    before = sequence_logprobs(reference, PROMPT.token_ids, length)
    rng = np.random.default_rng(seed)
    reward = {s: float(rng.normal()) for s in before}
    scorer = RuleScorer(reward.__getitem__)
    scorer.length = length
    if recipe == A2C:
        config = toy_config(
            length=length,
            steps=steps,
            learning_rate=4e-3,
            seed=seed,
            reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=beta),
            rollout=RolloutOptions(steps=steps, prompts_per_step=2, samples_per_prompt=256),
            algorithm=AlgorithmOptions(
                responses_per_minibatch=512, ppo_epochs=1, gae_lambda=0.95, clip_range=None
            ),
            policy_loss=PolicyLossOptions(objective="log_probability"),
        )
        state = build_state(config, policy, reference, critic, scorer, PROMPTS)
        for step in range(1, steps + 1):
            ppo.ppo_step(state, step)
    else:
        state = gradient_state(
            policy, reference, scorer, CRITIC_FREE[recipe], steps=steps, kl=beta, seed=seed
        )
        for step in range(1, steps + 1):
            policy_gradient.gradient_step(state, step)
    after = sequence_logprobs(policy, PROMPT.token_ids, length)
    best, j_best, j_start = optimum(before, reward, beta)
    j_after = sum(math.exp(lp) * (reward[s] - beta * (lp - before[s])) for s, lp in after.items())
    distance = 0.5 * sum(abs(math.exp(lp) - best[s]) for s, lp in after.items())
    return (j_after - j_start) / (j_best - j_start), distance


@pytest.mark.parametrize("recipe", [A2C, *CRITIC_FREE])
def test_the_known_optimum_is_reached_without_a_ratio(recipe):
    gained, distance = learn(recipe, length=1, steps=40, seed=0)
    assert gained >= 0.95 and distance <= 0.1


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [A2C, *CRITIC_FREE])
def test_the_known_optimum_is_reached_for_every_seed(recipe):
    for seed, length, steps in [*((seed, 1, 40) for seed in range(5)), (1, 2, 130)]:
        gained, distance = learn(recipe, length=length, steps=steps, seed=seed)
        assert gained >= 0.95 and distance <= 0.1, (seed, gained, distance)


def grpo_optimum(reference: np.ndarray, reward: np.ndarray, beta: float) -> np.ndarray:
    """Of answers of one token: where pi A - beta (pi - pi_ref), the gradient by the logits, is 0 for
    A = (r - mean r) / std r. The mean of k3 over the policy's own samples has the gradient of KL(ref || pi).
    """
    policy = reference.copy()
    for _ in range(4000):
        mean = policy @ reward
        advantage = (reward - mean) / math.sqrt(policy @ (reward - mean) ** 2)
        solved = beta * reference / (beta - advantage)
        policy = 0.9 * policy + 0.1 * solved / solved.sum()
    return policy


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_grpo_reaches_an_optimum_of_its_own_whatever_the_unit_of_the_reward(scale):
    beta, seed = 4.0, 0
    policy, reference, _ = toy_models(seed)
    before = sequence_logprobs(reference, PROMPT.token_ids, 1)
    rng = np.random.default_rng(seed)
    reward = {s: float(rng.normal()) * scale for s in before}
    scorer = RuleScorer(reward.__getitem__)
    scorer.length = 1
    algorithm = PolicyGradientOptions(
        advantage="group_standardized",
        objective="ratio",
        clip_range=0.2,
        averaging="tokens_of_each",
        kl_loss_coefficient=beta,
        responses_per_minibatch=512,
    )
    state = gradient_state(policy, reference, scorer, algorithm, steps=60, kl=0.0, seed=seed)
    for step in range(1, 61):
        policy_gradient.gradient_step(state, step)
    after = sequence_logprobs(policy, PROMPT.token_ids, 1)
    expected = grpo_optimum(
        np.array([math.exp(lp) for lp in before.values()]), np.array(list(reward.values())), beta
    )
    found = np.array([math.exp(after[s]) for s in before])
    start = np.array([math.exp(lp) for lp in before.values()])
    assert 0.5 * abs(found - expected).sum() <= 0.03
    assert 0.5 * abs(start - expected).sum() > 0.08, "it had somewhere to go"
