"""CHECKS 10 and 12, and the start of 23: log-probs, rewards and values of rollouts, as the update reads them."""

import itertools

import numpy as np
import pytest
import torch

from learning.batches.forward import compute_token_logprobs, compute_values
from learning.interface.training_options import (
    RuntimeOptions,
)
from policy_training.training.attention import with_math_attention
from policy_training.training.ppo import experience
from policy_training.training.ppo import update as ppo_update
from policy_training.training.ppo.config import AlgorithmOptions, RewardOptions, RolloutOptions
from policy_training.training.rollouts.rewards import RunningMoments
from tests.policy_training.training.ppo_states import collect_experience


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("layout", ["shared_prompt", "padded"])
def test_the_first_ratio_is_exactly_one_and_nothing_is_clipped(small_state, layout, dtype):
    """The model's own configuration asks for dropout; PPO runs without."""
    state = small_state(dropout=0.1, runtime=RuntimeOptions(dtype=dtype))
    state.layout = layout
    rollouts, minibatches = collect_experience(state)
    for micro_batch in minibatches[0]:
        again_NR = state.policy.forward(with_math_attention, compute_token_logprobs, micro_batch.batch, 1.0)
        ratio_NR = (again_NR - micro_batch.old_logprobs_NR).exp()
        assert (ratio_NR[micro_batch.is_response_NR] == 1.0).all()
        assert again_NR.requires_grad
        for position, row in enumerate(micro_batch.rollout_indices):
            response = rollouts[row].response
            own = micro_batch.old_logprobs_NR[position, : len(response.token_ids)].tolist()
            # The sampler keeps the precision of the weights; in bf16 only the update's own pass is exact.
            assert own == pytest.approx(response.logprobs, abs=1e-4 if dtype == "fp32" else 0.05)
    minibatch = minibatches[0]
    figures = ppo_update.update_policy(state, minibatch, float(sum(p.batch.n_tokens for p in minibatch)))
    assert figures["approx_kl"] < 1e-10 and figures["clip_fraction"] == 0.0


def test_rollouts_carry_rewards_that_sum_to_score_minus_the_penalty(small_state):
    state = small_state(reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.3))
    with torch.no_grad():  # move the policy off its reference, so that there is a penalty
        for parameter in state.policy.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    rollouts, minibatches = collect_experience(state)
    for micro_batch in itertools.chain.from_iterable(minibatches):
        log_ratio_NR = micro_batch.old_logprobs_NR - micro_batch.reference_logprobs_NR
        for position, row in enumerate(micro_batch.rollout_indices):
            length = len(rollouts[row].response.token_ids)
            assert int(micro_batch.is_response_NR[position].sum()) == length
            total = micro_batch.rewards_NR[position].sum().item()
            penalty = 0.3 * log_ratio_NR[position, :length].sum().item()
            assert total == pytest.approx(rollouts[row].score - penalty, abs=1e-5)
    assert (
        max(abs(float((p.old_logprobs_NR - p.reference_logprobs_NR).abs().max())) for p in minibatches[0])
        > 0.01
    )


def test_rlhf_reward_is_the_processed_score_minus_the_penalty_of_whole_responses(small_state):
    """Against NumPy on logits of plain forward passes: score, missing EOS, running moments, clip and KL."""
    state = small_state(
        reward=RewardOptions(
            clip_range=1.0, missing_eos_rule="subtract", missing_eos_score=-0.5, kl_coefficient=0.3
        )
    )
    generator = torch.Generator().manual_seed(8)
    with torch.no_grad():  # move the policy off its reference, so that there is a penalty
        for parameter in state.policy.model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    state.policy.model.lm_head.weight.data[state.tokenizer.eos_token_id] += 0.1  # some responses end
    rollouts, minibatches = collect_experience(state)
    state.score_moments = RunningMoments()
    metrics = experience.gather_experience(state, rollouts, minibatches)

    def summed_logprob(model, rollout) -> float:
        prompt, response = rollout.prompt.token_ids, rollout.response.token_ids
        with torch.no_grad():
            logits = model(torch.tensor([prompt + response])).logits[0].double().numpy()
        logits -= logits.max(axis=1, keepdims=True)
        logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return sum(logprobs[len(prompt) - 1 + place, token] for place, token in enumerate(response))

    def score(rollout) -> float:
        ids = torch.tensor([rollout.prompt.token_ids + rollout.response.token_ids])
        with torch.no_grad():
            logit = state.scorer.reward_model.model(ids, attention_mask=torch.ones_like(ids)).logits.item()
        return logit - 0.25

    has_eos = np.array([r.response.token_ids[-1] == state.tokenizer.eos_token_id for r in rollouts])
    scores = np.array([score(rollout) for rollout in rollouts])
    processed = np.clip((scores - scores.mean()) / scores.std(), -1.0, 1.0) - 0.5 * ~has_eos
    policy, reference = state.policy.model, state.reference.model
    kl = np.array([summed_logprob(policy, r) - summed_logprob(reference, r) for r in rollouts])
    assert 0 < has_eos.sum() < len(rollouts) and abs(0.3 * kl.mean()) > 0.05
    assert metrics["score"] == pytest.approx(scores.mean(), abs=1e-5)
    assert metrics["processed_score"] == pytest.approx(processed.mean(), abs=1e-4)
    assert metrics["rlhf_reward"] == pytest.approx((processed - 0.3 * kl).mean(), abs=1e-4)


def test_the_reward_models_score_is_its_logit_minus_the_shift(small_state):
    state = small_state()
    rollouts, _ = collect_experience(state)
    model = state.scorer.reward_model.model
    for rollout in rollouts[:4]:
        ids = torch.tensor([[*rollout.prompt.token_ids, *rollout.response.token_ids]])
        with torch.no_grad():
            logit = model(ids, attention_mask=torch.ones_like(ids)).logits[0, 0].item()
        assert rollout.score == pytest.approx(logit - 0.25, abs=1e-5)


def test_the_critic_starts_as_an_exact_copy_of_the_reward_model(small_state):
    state = small_state()
    score = state.scorer.reward_model.model.state_dict()
    critic = state.critic.model.state_dict()
    assert score.keys() == critic.keys()
    assert all(torch.equal(score[name], critic[name]) for name in score)
    rollouts, minibatches = collect_experience(state)
    # Its value is the reward model's output on the scale of the processed scores.
    moments = state.score_moments
    for micro_batch in minibatches[0]:
        raw_NR = state.critic.infer(compute_values, micro_batch.batch)
        expected_NR = (raw_NR - 0.25 - moments.mean) / moments.standard_deviation
        torch.testing.assert_close(micro_batch.old_values_NR, expected_NR, rtol=0, atol=1e-5)


def advantages_of(minibatch) -> np.ndarray:
    return np.concatenate([m.advantages_NR[m.is_response_NR].double().numpy() for m in minibatch])


def test_minibatches_differ_by_one_prompt_at_most(small_state):
    """Five prompts of two responses, at most eight responses a minibatch: not eight and two."""
    state = small_state(
        rollout=RolloutOptions(steps=1, prompts_per_step=5, samples_per_prompt=2),
        algorithm=AlgorithmOptions(responses_per_minibatch=8),
    )
    _, minibatches = collect_experience(state)
    assert [sum(len(m.rollout_indices) for m in minibatch) for minibatch in minibatches] == [4, 6]


@pytest.mark.parametrize("clip", [None, 0.5])
def test_advantages_are_whitened_within_a_minibatch_or_over_the_step(small_state, clip):
    """Against NumPy in float64, from the advantages of a run without whitening."""

    def advantages(**options):
        state = small_state(algorithm=AlgorithmOptions(responses_per_minibatch=4, **options))
        return [advantages_of(minibatch) for minibatch in collect_experience(state)[1]]

    def white(values, of):
        scaled = (values - of.mean()) / of.std()
        return scaled if clip is None else np.clip(scaled, -clip, clip)

    raw = advantages()
    assert len(raw) == 4
    whole = np.concatenate(raw)
    by_minibatch = advantages(whiten_advantages=True, whitening_scope="minibatch", advantage_clip=clip)
    by_step = advantages(whiten_advantages=True, advantage_clip=clip)
    for index, values in enumerate(raw):
        np.testing.assert_allclose(by_minibatch[index], white(values, values), atol=1e-5)
        np.testing.assert_allclose(by_step[index], white(values, whole), atol=1e-5)
