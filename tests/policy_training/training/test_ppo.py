"""CHECKS 11 (learning to end), 22 (PPO) and 23 (explained variance): what PPO reaches where the optimum is known.

The reward model is replaced by a table or a rule behind the same two calls.
"""

import dataclasses
import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from learning.batches.collation import Example, collate
from learning.batches.forward import compute_token_logprobs
from learning.interface.training_options import (
    BatchOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    CriticOptions,
    PPOConfig,
    RewardOptions,
    RolloutOptions,
)
from policy_training.training.rollouts.rollouts import (
    Prompt,
    Scored,
)
from tests.policy_training.training.ppo_states import build_state

# ---- known optimum ---------------------------------------------------------------------------------------------

V, EOS, PAD = 8, 1, 0


class RuleScorer:
    """A reward that is known: a function of a response's token ids."""

    same_tokenizer = True

    def __init__(self, rule) -> None:
        self.rule = rule
        self.policy_tokenizer = SimpleNamespace(eos_token_id=EOS, pad_token_id=PAD)
        self.reward_model = SimpleNamespace(reward_shift=0.0)

    def score_parts(self, prompts, groups):
        return Scored(scores=[self.rule(tuple(response.token_ids)) for group in groups for response in group])


def toy_models(seed: int, width: int = 32):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=V,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        pad_token_id=PAD,
        bos_token_id=2,
        eos_token_id=EOS,
        attn_implementation="sdpa",
    )
    policy = LlamaForCausalLM(config)
    with torch.no_grad():
        policy.lm_head.weight.normal_(std=0.15)
    reference = LlamaForCausalLM(config)
    reference.load_state_dict(policy.state_dict())
    from transformers import LlamaForSequenceClassification

    critic = LlamaForSequenceClassification(config)
    critic.config.num_labels = 1
    critic.score = torch.nn.Linear(width, 1, bias=False)
    torch.nn.init.zeros_(critic.score.weight)
    return policy, reference, critic


def toy_config(*, length: int, steps: int, learning_rate: float, seed: int, **changes) -> PPOConfig:
    nowhere = ModelSource(path="/nowhere")
    values = {
        "policy": ModelOptions(source=nowhere),
        "reward_model_path": "/nowhere",
        "policy_optimizer": OptimizerOptions(
            learning_rate=learning_rate, schedule="linear", min_lr_ratio=0.0
        ),
        "critic_optimizer": OptimizerOptions(learning_rate=learning_rate, schedule="constant"),
        "batch": BatchOptions(max_prompt_tokens=4, max_response_tokens=length, max_micro_batch_tokens=8192),
        "rollout": RolloutOptions(steps=steps, prompts_per_step=1, samples_per_prompt=256),
        "reward": RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.5),
        "algorithm": AlgorithmOptions(responses_per_minibatch=256, ppo_epochs=2, gae_lambda=1.0),
        "critic": CriticOptions(init_from="policy", max_pretraining_updates=0),
        "runtime": RuntimeOptions(seed=seed),
    }
    return PPOConfig(**(values | changes))


def sequence_logprobs(model, prompt, length: int) -> dict[tuple[int, ...], float]:
    """log-probability of every complete response: ended by EOS, or cut at `length`."""
    complete = [
        (*body, EOS)
        for n in range(length)
        for body in itertools.product([t for t in range(V) if t != EOS], repeat=n)
    ] + list(itertools.product([t for t in range(V) if t != EOS], repeat=length))
    batch = collate([Example(prompt, [ids]) for ids in complete], layout="padded", pad_id=PAD)
    with torch.no_grad():
        logprobs = compute_token_logprobs(model, batch).double().sum(1).tolist()
    return dict(zip(complete, logprobs, strict=True))


def optimum(reference: dict, reward: dict, beta: float) -> tuple[dict, float, float]:
    """(pi*, J*, J_ref) with pi* ~ pi_ref exp(r / beta) and J* = beta log Z; J = E r - beta KL."""
    weights = {s: math.exp(lp + reward[s] / beta) for s, lp in reference.items()}
    z = sum(weights.values())
    start = sum(math.exp(lp) * reward[s] for s, lp in reference.items())
    return {s: w / z for s, w in weights.items()}, beta * math.log(z), start


def learn_table(*, length: int, steps: int, seed: int, beta: float = 0.5):
    """PPO on a random reward for every response of at most `length` tokens.

    Returns (share of J* - J_ref gained, total variation to pi*, total variation to the reference). Two copies of the
    prompt make two minibatches a step.
    """
    policy, reference, critic = toy_models(seed)
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    before = sequence_logprobs(reference, prompt.token_ids, length)
    assert sum(math.exp(lp) for lp in before.values()) == pytest.approx(1.0, abs=1e-5)
    rng = np.random.default_rng(seed)
    reward = {s: float(rng.normal()) for s in before}
    config = toy_config(
        length=length,
        steps=steps,
        learning_rate=4e-3,
        seed=seed,
        reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=beta),
        rollout=RolloutOptions(steps=steps, prompts_per_step=2, samples_per_prompt=256),
        algorithm=AlgorithmOptions(responses_per_minibatch=256, ppo_epochs=1, gae_lambda=1.0),
    )
    prompts = [prompt, dataclasses.replace(prompt, prompt_id="again")]
    state = build_state(config, policy, reference, critic, RuleScorer(reward.__getitem__), prompts)
    for step in range(1, steps + 1):
        ppo.ppo_step(state, step)
    after = sequence_logprobs(policy, prompt.token_ids, length)
    best, j_best, j_start = optimum(before, reward, beta)
    j_after = sum(math.exp(lp) * (reward[s] - beta * (lp - before[s])) for s, lp in after.items())
    distance = 0.5 * sum(abs(math.exp(lp) - best[s]) for s, lp in after.items())
    drift = 0.5 * sum(abs(math.exp(lp) - math.exp(before[s])) for s, lp in after.items())
    return (j_after - j_start) / (j_best - j_start), distance, drift


def test_ppo_reaches_the_known_optimum():
    gained, distance, _ = learn_table(length=2, steps=60, seed=0)
    assert gained >= 0.95 and distance <= 0.1


@pytest.mark.slow
@pytest.mark.seeds(5)
@pytest.mark.parametrize(
    ("length", "steps", "beta"),
    [(1, 40, 0.5), (2, 80, 0.5), pytest.param(3, 280, 1.0, marks=pytest.mark.full_size)],
)
def test_ppo_reaches_the_known_optimum_for_every_seed(length, steps, beta, seed):
    gained, distance, _ = learn_table(length=length, steps=steps, seed=seed, beta=beta)
    assert gained >= 0.95 and distance <= 0.1


def test_a_large_penalty_keeps_the_policy_at_the_reference():
    _, _, drift = learn_table(length=1, steps=20, seed=0, beta=50.0)
    assert drift <= 0.03


def test_a_penalised_toy_policy_learns_to_end():
    policy, reference, critic = toy_models(0)
    with torch.no_grad():
        policy.lm_head.weight[EOS] -= 0.1
    config = toy_config(
        length=6,
        steps=40,
        learning_rate=4e-3,
        seed=0,
        reward=RewardOptions(
            normalize=False,
            clip_range=None,
            kl_coefficient=0.02,
            missing_eos_rule="replace",
            missing_eos_score=-1.0,
        ),
    )
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    state = build_state(config, policy, reference, critic, RuleScorer(lambda ids: 0.5), [prompt])
    first, _ = ppo.ppo_step(state, 1)
    for step in range(2, 41):
        last, _ = ppo.ppo_step(state, step)
    assert first["eos_rate"] < 0.8 and last["eos_rate"] > 0.9


def test_the_subtract_rule_teaches_it_too_after_normalisation():
    policy, reference, critic = toy_models(0)
    rule = RewardOptions(
        normalize=True,
        clip_range=0.8,
        kl_coefficient=0.02,
        missing_eos_rule="subtract",
        missing_eos_score=-1.0,
    )
    config = toy_config(length=6, steps=40, learning_rate=4e-3, seed=0, reward=rule)
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    state = build_state(
        config, policy, reference, critic, RuleScorer(lambda ids: 0.1 * (len(ids) % 2)), [prompt]
    )
    first, _ = ppo.ppo_step(state, 1)
    for step in range(2, 41):
        last, _ = ppo.ppo_step(state, step)
    assert first["eos_rate"] < 0.8 and last["eos_rate"] > 0.9


def test_the_pre_trained_critic_explains_most_of_the_variance():
    """The toy's reward is read off the first token, so that almost all of it can be foreseen from there on."""
    policy, reference, critic = toy_models(0)
    config = toy_config(
        length=4,
        steps=1,
        learning_rate=3e-3,
        seed=0,
        critic=CriticOptions(
            init_from="policy", max_pretraining_updates=60, plateau_min_improvement=0.0, plateau_window=30
        ),
    )
    prompt = Prompt(prompt_id="p", messages=[], token_ids=[2, 3])
    state = build_state(
        config, policy, reference, critic, RuleScorer(lambda ids: 2.0 * (ids[0] % 2)), [prompt]
    )
    untouched = {name: value.clone() for name, value in policy.state_dict().items()}
    history, step = [], 0
    while not ppo_update.critic_pretraining_done(state):
        step += 1
        metrics, _ = ppo.ppo_step(state, step)
        history.append(metrics["explained_variance"])
    assert all(torch.equal(untouched[name], value) for name, value in policy.state_dict().items())
    assert history[0] < 0.1 and history[-1] > 0.5
