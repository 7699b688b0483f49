"""Rewards of steps: at the token that completes the step, seen there by gamma, GAE and rewards-to-go."""

import dataclasses
import os
import sys

import numpy as np
import pytest
import torch

from learning.batches.forward import compute_values
from learning.models.tokenization import decode_response, encode_response
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.policy_gradient.config import PolicyGradientConfig, PolicyGradientOptions
from policy_training.training.ppo.config import AlgorithmOptions, RewardOptions
from policy_training.training.ppo.experience import gather_experience
from policy_training.training.reward_config import RewardFunctionPart, RewardSourcesOptions
from policy_training.training.rewards.function_calls import ALLOWED_VARIABLE
from policy_training.training.rollouts.step_rewards import at_tokens, spread_over_tokens
from tests.policy_training.training.conftest import create_run, in_process, prompt_rows
from tests.policy_training.training.ppo_states import collect_experience
from tests.policy_training.training.test_policy_gradient import gradient_config


def test_a_step_ends_at_the_first_token_with_which_the_text_is_so_long(tokenizer):
    ids = encode_response(tokenizer, "The fox is kind. The owl is big.", 64)
    text = decode_response(tokenizer, ids)
    ends = [text.index(".") + 1, len(text), 0]
    places = [place for place, _ in at_tokens(tokenizer, ids, [(end, 1.0) for end in ends])]
    for place, end in zip(places[:2], ends[:2], strict=True):
        assert len(decode_response(tokenizer, ids[: place + 1])) >= end
        assert len(decode_response(tokenizer, ids[:place])) < end
    assert places[2] == 0 and at_tokens(tokenizer, ids, []) == []


def test_two_rewards_at_one_token_are_added():
    mask_NR = torch.tensor([[True, True, False], [True, True, True]])
    found = spread_over_tokens([[(1, 0.5), (1, 2.0)], []], mask_NR)
    assert found.tolist() == [[0.0, 2.5, 0.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize("normalize", [False, True])
def test_gae_sees_them_where_they_stand_and_normalisation_only_the_score(small_state, normalize):
    gamma, lam = 0.9, 0.7
    state = small_state(
        reward=RewardOptions(normalize=normalize, clip_range=None, kl_coefficient=0.1),
        algorithm=AlgorithmOptions(responses_per_minibatch=8, gamma=gamma, gae_lambda=lam),
    )
    rollouts, minibatches = collect_experience(state, gather=False)
    scores = np.array([rollout.score for rollout in rollouts])
    steps = [
        ((0, 0.5), (len(r.response.token_ids) - 1, -0.25)) if n % 2 else () for n, r in enumerate(rollouts)
    ]
    rollouts = [
        dataclasses.replace(r, score=r.score + sum(value for _, value in own), step_rewards=own)
        for r, own in zip(rollouts, steps, strict=True)
    ]
    metrics = gather_experience(state, rollouts, minibatches)
    ends = (scores - scores.mean()) / scores.std() if normalize else scores
    for micro_batch in (m for minibatch in minibatches for m in minibatch):
        values_NR = (
            state.critic.infer(compute_values, micro_batch.batch) - state.progress.value_shift
        ) / state.progress.value_scale
        for row, index in enumerate(micro_batch.rollout_indices):
            length = len(rollouts[index].response.token_ids)
            ratio = (micro_batch.old_logprobs_NR - micro_batch.reference_logprobs_NR)[row, :length].numpy()
            rewards = -0.1 * ratio.astype(np.float64)
            rewards[-1] += ends[index]
            for place, value in steps[index]:
                rewards[place] += value
            values = np.append(values_NR[row, :length].double().numpy(), 0.0)
            deltas = rewards + gamma * values[1:] - values[:-1]
            for t in range(length):
                expected = sum((gamma * lam) ** (u - t) * deltas[u] for u in range(t, length))
                assert float(micro_batch.advantages_NR[row, t]) == pytest.approx(expected, abs=2e-4)
    assert metrics["step_reward"] == pytest.approx(0.125, abs=1e-9)
    assert metrics["score"] == pytest.approx(scores.mean() + 0.125, abs=1e-6)
    assert metrics["rlhf_reward"] == pytest.approx(ends.mean() + 0.125 - 0.1 * metrics["kl"], abs=1e-6)


MODULE = '''
def letters(prompts, responses):
    """A tenth of a point at the third character, and two at the end of the text."""
    return [[(min(3, len(text)), 0.1), (len(text), 2.0)] for text in responses]
'''


def test_a_run_learns_from_the_steps_of_a_function_of_the_settings(
    tmp_path, monkeypatch, policy_path, reward_model_path
):
    (tmp_path / "step_functions.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setenv(ALLOWED_VARIABLE, "step_functions.letters")
    config = gradient_config(
        policy_path,
        reward_model_path,
        reward=RewardOptions(normalize=True, clip_range=None, kl_coefficient=0.0),
        algorithm=PolicyGradientOptions(advantage="reward_to_go", responses_per_minibatch=8),
        rewards=RewardSourcesOptions(
            functions=(RewardFunctionPart(function="step_functions.letters", weight=0.5),)
        ),
    )
    config = dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, steps=2))
    run = create_run(tmp_path / "run", "policy_gradient", config, prompts=prompt_rows(10))
    in_process(policy_gradient, PolicyGradientConfig, run)
    for row in run.metrics()[0]:
        assert row["score_letters"] == pytest.approx(2.1, abs=1e-9)
        assert row["step_reward"] == pytest.approx(1.05, abs=1e-9)
        assert row["score"] == pytest.approx(row["score_reward_model"] + 1.05, abs=1e-6)
