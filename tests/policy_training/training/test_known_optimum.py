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
    V,
    optimum,
    sequence_logprobs,
    toy_config,
    toy_models,
)

PROMPT = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
PROMPTS = [PROMPT, dataclasses.replace(PROMPT, prompt_id="again")]
A2C = "a2c"
CRITIC_FREE = {"reinforce": "return", "reward_to_go": "reward_to_go", "rloo": "leave_one_out"}


def gradient_state(
    policy, reference, scorer, algorithm, *, steps: int, kl: float, seed: int
) -> GradientState:
    """As policy_gradient.build_state makes it from a folder; a step is one update."""
    config = PolicyGradientConfig(
        policy=ModelOptions(source=ModelSource(path="/nowhere")),
        reward_model_path="/nowhere",
        policy_optimizer=OptimizerOptions(learning_rate=4e-3, schedule="linear", min_lr_ratio=0.0),
        batch=BatchOptions(
            max_prompt_tokens=4, max_response_tokens=scorer.length, max_micro_batch_tokens=8192
        ),
        rollout=RolloutOptions(
            steps=steps, prompts_per_step=2, samples_per_prompt=algorithm.responses_per_minibatch // 2
        ),
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


def learn(
    recipe: str, *, length: int, steps: int, seed: int, beta: float = 0.5, responses: int = 512
) -> tuple[float, float]:
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
            rollout=RolloutOptions(steps=steps, prompts_per_step=2, samples_per_prompt=responses // 2),
            algorithm=AlgorithmOptions(
                responses_per_minibatch=responses, ppo_epochs=1, gae_lambda=0.95, clip_range=None
            ),
            policy_loss=PolicyLossOptions(objective="log_probability"),
        )
        state = build_state(config, policy, reference, critic, scorer, PROMPTS)
        for step in range(1, steps + 1):
            ppo.ppo_step(state, step)
    else:
        algorithm = PolicyGradientOptions(advantage=CRITIC_FREE[recipe], responses_per_minibatch=responses)
        state = gradient_state(policy, reference, scorer, algorithm, steps=steps, kl=beta, seed=seed)
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
@pytest.mark.seeds(5)
@pytest.mark.parametrize(
    ("length", "steps", "beta", "responses"),
    [(1, 40, 0.5, 512), (2, 130, 0.5, 512), pytest.param(3, 280, 1.0, 2048, marks=pytest.mark.full_size)],
)
@pytest.mark.parametrize("recipe", [A2C, *CRITIC_FREE])
def test_the_known_optimum_is_reached_for_every_seed(recipe, length, steps, beta, responses, seed):
    """Of 512 responses of three tokens each is rare: without a ratio to learn from them again it takes more of them."""
    gained, distance = learn(recipe, length=length, steps=steps, seed=seed, beta=beta, responses=responses)
    assert gained >= 0.95 and distance <= 0.1, (gained, distance)


def grpo_optimum(
    reference: dict[tuple[int, ...], float], reward: dict[tuple[int, ...], float], beta: float
) -> dict[tuple[int, ...], float]:
    """The probability of every response where the expected update is 0, of a table of logits for every beginning.

    Of a response s the update adds (A(s) - beta (1 - pi_ref / pi)) / |s| to the score of each of its tokens, with
    A = (r - mean r) / std r and the derivative 1 - pi_ref / pi of k3 (Shao et al. 2024, 4.1.1; Schulman 2020).
    `reference`: log-probability of every response. In float64, by its own ascent, over all responses and no samples.
    """
    sequences = list(reference)
    start = np.exp([reference[s] for s in sequences])
    values = np.array([reward[s] for s in sequences])
    beginnings = sorted({s[:place] for s in sequences for place in range(len(s))})
    visits = [
        (n, beginnings.index(s[:place]), s[place]) for n, s in enumerate(sequences) for place in range(len(s))
    ]
    sequence_T, beginning_T, token_T = np.array(visits).T
    share_T = np.array([1 / len(sequences[n]) for n in sequence_T])
    cell_T = beginning_T * V + token_T

    def by_cell(weight_T: np.ndarray) -> np.ndarray:
        return np.bincount(cell_T, weight_T, len(beginnings) * V).reshape(-1, V)

    held = by_cell(start[sequence_T])
    held /= held.sum(1, keepdims=True)
    logits, change = np.log(held), np.inf
    for _ in range(20_000):
        policy = np.exp(logits - logits.max(1, keepdims=True))
        policy /= policy.sum(1, keepdims=True)
        taken_T = policy.ravel()[cell_T]
        chance_S = np.exp(np.bincount(sequence_T, np.log(taken_T)))
        centred = values - chance_S @ values
        advantage_S = centred / math.sqrt(chance_S @ centred**2)
        of_k3_T = 1 - held.ravel()[cell_T] / taken_T
        weight_T = chance_S[sequence_T] * share_T * (advantage_S[sequence_T] - beta * of_k3_T)
        score, visited = by_cell(weight_T), by_cell(chance_S[sequence_T]).sum(1, keepdims=True)
        update = (score - policy * score.sum(1, keepdims=True)) / visited
        logits += 0.3 * update
        change = np.abs(update).max()
        if change < 1e-9:
            break
    assert change < 1e-8, "not solved"
    return dict(zip(sequences, chance_S, strict=True))


def learn_grpo(*, length: int, steps: int, seed: int, scale: float = 1.0) -> tuple[float, float]:
    """Total variation to the optimum after training on a random reward in units of `scale`, and before."""
    beta = 4.0
    policy, reference, _ = toy_models(seed)
    before = sequence_logprobs(reference, PROMPT.token_ids, length)
    rng = np.random.default_rng(seed)
    reward = {s: float(rng.normal()) * scale for s in before}
    scorer = RuleScorer(reward.__getitem__)
    scorer.length = length
    algorithm = PolicyGradientOptions(
        advantage="group_standardized",
        objective="ratio",
        clip_range=0.2,
        averaging="tokens_of_each",
        kl_loss_coefficient=beta,
        responses_per_minibatch=512,
    )
    state = gradient_state(policy, reference, scorer, algorithm, steps=steps, kl=0.0, seed=seed)
    for step in range(1, steps + 1):
        policy_gradient.gradient_step(state, step)
    expected = grpo_optimum(before, reward, beta)
    after = sequence_logprobs(policy, PROMPT.token_ids, length)
    return tuple(
        0.5 * sum(abs(math.exp(found[s]) - expected[s]) for s in expected) for found in (after, before)
    )


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_grpo_reaches_an_optimum_of_its_own_whatever_the_unit_of_the_reward(scale):
    distance, at_the_start = learn_grpo(length=1, steps=60, seed=0, scale=scale)
    assert distance <= 0.03 and at_the_start > 0.08


@pytest.mark.slow
def test_grpo_reaches_the_optimum_of_longer_responses():
    distance, at_the_start = learn_grpo(length=2, steps=60, seed=0)
    assert distance <= 0.03 and at_the_start > 0.08
