"""Rewards, the critic's targets and start, the moving average and the length of a run, each by its option."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from learning.interface.training_options import ModelSource, OptimizerOptions
from learning.models.architectures import backbone
from policy_training.training.config import SamplingOptions
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    CriticOptions,
    PPOConfig,
    RewardOptions,
    RolloutOptions,
)
from policy_training.training.ppo.experience import process_scores
from policy_training.training.ppo.setup import load_critic
from policy_training.training.ppo.weight_average import WeightAverage
from policy_training.training.rollouts.rollouts import Rollout
from policy_training.training.rollouts.sampler import SampledResponse
from tests.policy_training.training.conftest import create_run, in_process, ppo_config, prompt_rows
from tests.policy_training.training.ppo_states import collect_experience


def scored(prompt, scores) -> list[Rollout]:
    response = SampledResponse(prompt_id="p0", sample_index=0, token_ids=[5], logprobs=[-1.0], has_eos=True)
    return [Rollout(prompt=prompt, response=response, score=score) for score in scores]


@pytest.mark.parametrize("clip", [None, 0.7])
def test_scaled_rewards_are_divided_by_the_deviation_of_all_returns_so_far_and_keep_their_mean(
    small_state, clip
):
    """Engstrom et al. 2020, algorithm 1, with responses as episodes: R <- gamma R + r from R = 0, r / std(all R). In
    NumPy, over three steps.
    """
    state = small_state(reward=RewardOptions(normalize=False, scale=True, clip_range=clip))
    seen: list[float] = []
    for scores in ([5.0, 7.0, 9.0], [1.0, -2.0], [30.0, 4.0, 4.0]):
        got = process_scores(state, scored(state.train_prompts[0], scores))
        for reward in scores:
            episode = 0.0
            episode = state.config.algorithm.gamma * episode + reward
            seen.append(episode)
        expected = np.array(scores) / np.std(seen)
        expected = expected if clip is None else np.clip(expected, -clip, clip)
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)
    assert clip is not None or got.mean() > 0.5  # the mean stays


def test_the_critic_of_scaled_rewards_starts_on_their_scale(small_state):
    state = small_state(reward=RewardOptions(normalize=False, scale=True, clip_range=None))
    rollouts, minibatches = collect_experience(state)
    scores = np.array([rollout.score for rollout in rollouts])
    assert state.progress.value_shift == pytest.approx(0.25)  # the reward model's own
    assert state.progress.value_scale == pytest.approx(scores.std())


def test_scaling_and_normalizing_at_once_is_refused():
    with pytest.raises(ValueError, match="scale takes the place of normalize"):
        RewardOptions(scale=True)


@pytest.mark.parametrize("value_lambda", [None, 0.0, 0.4, 1.0])
def test_the_critics_targets_have_a_lambda_of_their_own(small_state, value_lambda):
    """Targets by their definition: the lambda-weighted mean of n-step returns; 1 is the rewards-to-go."""
    gamma, gae_lambda = 0.95, 0.8
    state = small_state(
        algorithm=AlgorithmOptions(
            responses_per_minibatch=16, gamma=gamma, gae_lambda=gae_lambda, gae_lambda_value=value_lambda
        )
    )
    _, minibatches = collect_experience(state)
    weight = gae_lambda if value_lambda is None else value_lambda
    for micro_batch in minibatches[0]:
        for row in range(len(micro_batch.rollout_indices)):
            length = int(micro_batch.is_response_NR[row].sum())
            rewards = micro_batch.rewards_NR[row, :length].double().numpy()
            values = micro_batch.old_values_NR[row, :length].double().numpy()
            for t in range(length):
                n_step = []
                for n in range(1, length - t + 1):
                    total = sum(gamma**k * rewards[t + k] for k in range(n))
                    n_step.append(total + (gamma**n * values[t + n] if t + n < length else 0.0))
                # All weights that the series gives to n beyond the end belong to the complete return.
                weights = [(1 - weight) * weight ** (n - 1) for n in range(1, len(n_step))]
                weights.append(weight ** (len(n_step) - 1))
                target = float(np.dot(weights, n_step))
                assert micro_batch.returns_NR[row, t].item() == pytest.approx(target, abs=2e-5)
                if weight == 1.0:
                    to_go = sum(gamma ** (k - t) * rewards[k] for k in range(t, length))
                    assert target == pytest.approx(to_go)


def test_the_targets_lambda_leaves_the_advantages_alone(small_state):
    found = []
    for value_lambda in (None, 1.0):
        options = AlgorithmOptions(responses_per_minibatch=16, gae_lambda=0.8, gae_lambda_value=value_lambda)
        _, minibatches = collect_experience(small_state(algorithm=options))
        found.append(minibatches[0][0])
    assert torch.equal(found[0].advantages_NR, found[1].advantages_NR)
    assert not torch.equal(found[0].returns_NR, found[1].returns_NR)


def test_a_critic_may_start_from_the_reference(small_state, policy_path, reward_model_path, tmp_path):
    state = small_state()
    with torch.no_grad():
        for parameter in state.reference.model.parameters():
            parameter.add_(0.5)
    state.reference.model.save_pretrained(tmp_path / "other")
    state.tokenizer.save_pretrained(tmp_path / "other")
    config = ppo_config(
        policy_path,
        reward_model_path,
        reference=ModelSource(path=str(tmp_path / "other")),
        critic=CriticOptions(init_from="reference"),
    )
    critic = load_critic(config, state.scorer, state.tokenizer, None)
    expected = backbone(state.reference.model).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in backbone(critic).state_dict().items())


@pytest.mark.parametrize(
    ("losses", "done"),
    [([0.09], False), ([0.3, 0.09], False), ([0.3, 0.105, 0.09], True), ([0.3, 0.2, 0.15], False)],
)
def test_critic_pre_training_may_end_below_a_threshold(small_state, losses, done):
    """The mean of the last two must be below 0.1; flat it never is here."""
    state = small_state(
        critic=CriticOptions(plateau_window=2, plateau_min_improvement=0.0, pretraining_loss_threshold=0.1)
    )
    state.progress.critic_losses = losses
    assert ppo_update.critic_pretraining_done(state) is done


def test_passes_over_the_prompts_say_how_many_steps_there_are(tmp_path, policy_path, reward_model_path):
    """10 training prompts, 4 a step, 2 passes: 20 / 4 = 5 steps, and half a pass is 2."""
    rollout = RolloutOptions(passes=2.0, prompts_per_step=4, samples_per_prompt=2)
    assert rollout.steps_over(10, prompts_per_step=4) == 5
    assert dataclasses.replace(rollout, passes=0.5).steps_over(10, prompts_per_step=4) == 2
    assert dataclasses.replace(rollout, passes=None, steps=9).steps_over(10, prompts_per_step=4) == 9
    config = ppo_config(
        policy_path, reward_model_path, rollout=rollout, critic=CriticOptions(max_pretraining_updates=0)
    )
    run = create_run(tmp_path / "run", "ppo", config, prompts=prompt_rows(14))
    result = in_process(ppo, PPOConfig, run)
    assert result["steps"] == 5 == len(run.metrics()[0]) and result["episodes"] == 5 * 8
    with pytest.raises(ValueError, match="passes must be positive, found 0"):
        RolloutOptions(passes=0.0)
    with pytest.raises(ValueError, match="stop_at_kl must be positive, found 0"):
        RolloutOptions(stop_at_kl=0.0)
    # The run ends with the step whose responses are far enough from the reference, and goes no further when it is
    # started again at its end.
    kls = [row["kl"] for row in run.metrics()[0]]
    last = next(step for step, kl in enumerate(kls, 1) if step > 1 and kl > max(kls[: step - 1]))
    far = dataclasses.replace(rollout, stop_at_kl=kls[last - 1])
    stopped = create_run(
        tmp_path / "stopped", "ppo", dataclasses.replace(config, rollout=far), prompts=prompt_rows(14)
    )
    for _ in range(2):
        result = in_process(ppo, PPOConfig, stopped)
        assert (result["steps"], result["stopped_at_kl"]) == (last, kls[last - 1])
        assert [row["kl"] for row in stopped.metrics()[0]] == kls[:last]
        (stopped.path / "result.json").unlink()
        shutil.rmtree(stopped.path / "model")
    assert RolloutOptions(sampling=SamplingOptions()).passes is None


def test_the_saved_policy_is_the_moving_average_of_the_weights_after_each_optimizer_step(
    tmp_path, policy_path, reward_model_path, monkeypatch
):
    """average <- 0.8 average + 0.2 weights, from the start's weights, in float64 over the weights that were there."""
    history = []
    real = WeightAverage.update

    def update(self):
        history.append({name: weight.detach().double().clone() for name, weight in self._weights.items()})
        real(self)

    monkeypatch.setattr(WeightAverage, "update", update)
    config = ppo_config(
        policy_path,
        reward_model_path,
        ema_decay=0.8,
        rollout=RolloutOptions(steps=3, prompts_per_step=4, samples_per_prompt=4),
        policy_optimizer=OptimizerOptions(learning_rate=3e-3, schedule="constant"),
    )
    run = create_run(tmp_path / "run", "ppo", config, prompts=prompt_rows(10))
    result = in_process(ppo, PPOConfig, run)
    rows = [row for row in run.metrics()[0] if row["phase"] == "policy"]
    assert len(history) == sum(row["optimizer_steps"] for row in rows) == 12
    start = load_file(policy_path / "model.safetensors")
    saved = load_file(run.path / "model/model.safetensors")
    moved = 0.0
    for name, tensor in saved.items():
        average = start[name].double()
        for weights in history:
            average = 0.8 * average + 0.2 * weights[name]
        torch.testing.assert_close(tensor.double(), average, rtol=0, atol=1e-6)
        moved = max(moved, float((tensor - history[-1][name]).abs().max()))
    assert moved > 1e-4, "the last weights are others"
    assert result["saved_weights"] == "moving average"
    difference = sum(float((history[-1][name] - saved[name].double()).square().sum()) for name in history[-1])
    norm = sum(float(weight.square().sum()) for weight in history[-1].values())
    assert rows[-1]["ema_distance"] == pytest.approx((difference / norm) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_a_decay_outside_of_its_range_is_refused(policy_path, reward_model_path, decay):
    with pytest.raises(ValueError, match="ema_decay must be between 0 and 1"):
        ppo_config(policy_path, reward_model_path, ema_decay=decay)
