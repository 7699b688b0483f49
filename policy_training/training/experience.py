"""What a PPO step learns from: log-probs, token rewards, advantages and returns of sampled and scored responses.

Reads and writes no files. The update of policy and critic is in ppo_update.py.

Suffixes: N responses (of the step, or of a micro-batch), R response tokens (right-padded), M response tokens of
several micro-batches in one row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from learning.batches.collation import TokenBatch, collate
from learning.batches.forward import (
    compute_token_logprobs,
    compute_token_logprobs_and_entropy,
    compute_values,
)
from learning.batches.micro_batching import example_size, micro_batches
from learning.batches.samplers import even_parts
from policy_training.training.advantages import compute_gae, explained_variance, whiten
from policy_training.training.attention import with_math_attention
from policy_training.training.ppo_setup import PPOState
from policy_training.training.rewards import (
    compute_token_rewards,
    replace_score_without_eos,
    subtract_score_without_eos,
)
from policy_training.training.rollouts import Rollout, rollouts_to_examples


def _empty_tensor() -> Tensor:
    return torch.empty(0)


@dataclass
class RolloutMicroBatch:
    """One micro-batch of rollouts, kept through the step with everything the update reads."""

    batch: TokenBatch
    is_dummy: bool
    rollout_indices: list[int]  # of its responses, in the step's rollouts
    # From this very micro-batch and not from the sampler, so that the first ratio is exactly 1.
    old_logprobs_NR: Tensor
    reference_logprobs_NR: Tensor
    entropy_sum: float  # over its response tokens
    rewards_NR: Tensor = field(default_factory=_empty_tensor)
    old_values_NR: Tensor = field(default_factory=_empty_tensor)
    advantages_NR: Tensor = field(default_factory=_empty_tensor)
    returns_NR: Tensor = field(default_factory=_empty_tensor)

    @property
    def is_response_NR(self) -> Tensor:
        return self.batch.is_response_NR


Minibatch = list[RolloutMicroBatch]  # of one optimizer step


def recompute_logprobs(state: PPOState, rollouts: Sequence[Rollout]) -> list[Minibatch]:
    """Minibatches of micro-batches with log-probs of policy and reference, computed once for all PPO epochs.

    A minibatch takes whole prompts, and minibatches differ by one prompt at most. Cutting one into micro-batches by
    a token budget does not change its update.
    """
    config = state.config
    n_samples, temperature = config.rollout.samples_per_prompt, config.rollout.sampling.temperature
    examples = rollouts_to_examples(rollouts, n_samples)
    shapes = [example_size(example, state.layout) for example in examples]
    minibatches = []
    for part in even_parts(len(examples), config.algorithm.responses_per_minibatch // n_samples):
        minibatch = []
        for micro in micro_batches(
            shapes,
            part,
            max_tokens=config.batch.max_micro_batch_tokens,
            rank=state.distributed.rank,
            world_size=state.distributed.world_size,
        ):
            batch = collate(
                [examples[index] for index in micro.indices],
                layout=state.layout,
                pad_id=state.tokenizer.pad_token_id,
                device=state.distributed.device,
            )
            logprobs_NR, entropy_NR = state.policy.infer(
                with_math_attention, compute_token_logprobs_and_entropy, batch, temperature
            )
            reference_NR = state.reference.infer(compute_token_logprobs, batch, temperature)
            minibatch.append(
                RolloutMicroBatch(
                    batch=batch,
                    is_dummy=micro.is_dummy,
                    rollout_indices=[
                        index * n_samples + k for index in micro.indices for k in range(n_samples)
                    ],
                    old_logprobs_NR=logprobs_NR,
                    reference_logprobs_NR=reference_NR,
                    entropy_sum=float(entropy_NR.sum()),
                )
            )
        minibatches.append(minibatch)
    return minibatches


def compute_rewards(
    state: PPOState, rollouts: Sequence[Rollout], minibatches: Sequence[Minibatch]
) -> dict[str, float]:
    """Raw scores -> per-token rewards in every micro-batch, in the order RewardOptions states; the metrics.

    `score` is the reward model's, `processed_score` what remains of it after the missing-EOS rule, normalization and
    clip, `rlhf_reward` that minus the KL penalty: what PPO maximises. All three are means over responses.
    """
    options, progress = state.config.reward, state.progress
    scores_N = torch.tensor([rollout.score for rollout in rollouts], dtype=torch.float64)
    has_eos_N = torch.tensor([rollout.response.has_eos for rollout in rollouts])
    processed_scores_N = scores_N
    if options.missing_eos_rule == "replace":
        processed_scores_N = replace_score_without_eos(
            processed_scores_N, has_eos_N, score=options.missing_eos_score
        )
    if options.normalize:
        # Every rank holds all rollouts of the step, so all update alike.
        state.score_moments.update(processed_scores_N)
        processed_scores_N = state.score_moments.normalize(processed_scores_N, clip=options.clip_range)
    if options.missing_eos_rule == "subtract":
        processed_scores_N = subtract_score_without_eos(
            processed_scores_N, has_eos_N, penalty=-options.missing_eos_score
        )
    if progress.episodes == 0 and state.config.critic.init_from == "reward_model":
        progress.value_shift = state.scorer.reward_model.reward_shift + (
            state.score_moments.mean if options.normalize else 0.0
        )
        progress.value_scale = state.score_moments.standard_deviation if options.normalize else 1.0
    totals = torch.zeros(3, dtype=torch.float64)  # KL, entropy, tokens
    for micro_batch in (micro_batch for minibatch in minibatches for micro_batch in minibatch):
        micro_batch.rewards_NR = compute_token_rewards(
            processed_scores_N[micro_batch.rollout_indices].float().to(micro_batch.old_logprobs_NR.device),
            micro_batch.old_logprobs_NR,
            micro_batch.reference_logprobs_NR,
            micro_batch.is_response_NR,
            kl_coefficient=state.kl_controller.coefficient,
        )
        if not micro_batch.is_dummy:
            log_ratio_NR = micro_batch.old_logprobs_NR - micro_batch.reference_logprobs_NR
            totals[0] += log_ratio_NR[micro_batch.is_response_NR].double().sum().cpu()
            totals[1] += micro_batch.entropy_sum
            totals[2] += micro_batch.batch.n_tokens
    kl_sum, entropy, tokens = state.distributed.all_reduce_sum(totals.to(state.distributed.device)).tolist()
    kl, processed_score = kl_sum / len(rollouts), float(processed_scores_N.mean())
    return {
        "score": float(scores_N.mean()),
        "score_std": float(scores_N.std(unbiased=False)),
        "processed_score": processed_score,
        "rlhf_reward": processed_score - state.kl_controller.coefficient * kl,
        "kl": kl,
        "kl_coefficient": state.kl_controller.coefficient,
        "entropy": entropy / tokens,
        "eos_rate": float(has_eos_N.double().mean()),
        "response_tokens": tokens / len(rollouts),
    }


def rescale_values(state: PPOState, raw_NR: Tensor) -> Tensor:
    """The critic's raw output, in units of the reward model's score, in the units of the processed scores."""
    return (raw_NR - state.progress.value_shift) / state.progress.value_scale


def compute_advantages(state: PPOState, minibatches: Sequence[Minibatch]) -> dict[str, float]:
    """Values, advantages and returns in every micro-batch; the metrics."""
    options = state.config.algorithm
    micro_batches = [micro_batch for minibatch in minibatches for micro_batch in minibatch]
    for micro_batch in micro_batches:
        micro_batch.old_values_NR = rescale_values(
            state, state.critic.infer(compute_values, micro_batch.batch)
        )
        micro_batch.advantages_NR, micro_batch.returns_NR = compute_gae(
            micro_batch.rewards_NR,
            micro_batch.old_values_NR,
            micro_batch.is_response_NR,
            gamma=options.gamma,
            gae_lambda=options.gae_lambda,
        )
    if options.whiten_advantages:
        groups = minibatches if options.whitening_scope == "minibatch" else [micro_batches]
        for group in groups:
            whiten_advantages(state, group, clip=options.advantage_clip)
    counted = [micro_batch for micro_batch in micro_batches if not micro_batch.is_dummy]
    values_M, returns_M = (
        torch.cat([getattr(micro_batch, name)[micro_batch.is_response_NR] for micro_batch in counted])
        for name in ("old_values_NR", "returns_NR")
    )
    return {"explained_variance": explained_variance(values_M, returns_M, torch.ones_like(values_M).bool())}


def whiten_advantages(
    state: PPOState, micro_batches: Sequence[RolloutMicroBatch], *, clip: float | None
) -> None:
    """Advantages of mean 0 and variance 1 over the response tokens of these micro-batches on all ranks, then
    clipped to +-`clip` standard deviations (Secrets of RLHF I, 5.3.1).
    """
    counted = [micro_batch for micro_batch in micro_batches if not micro_batch.is_dummy]
    flat_M = torch.cat(
        [torch.empty(0, device=state.distributed.device)]
        + [micro_batch.advantages_NR[micro_batch.is_response_NR] for micro_batch in counted]
    )
    white_M = whiten(
        flat_M, torch.ones_like(flat_M, dtype=torch.bool), all_reduce_sum=state.distributed.all_reduce_sum
    )
    if clip is not None:
        white_M = white_M.clamp(-clip, clip)
    for micro_batch, part_M in zip(
        counted, white_M.split([micro_batch.batch.n_tokens for micro_batch in counted]), strict=True
    ):
        micro_batch.advantages_NR = micro_batch.advantages_NR.masked_scatter(
            micro_batch.is_response_NR, part_M
        )
