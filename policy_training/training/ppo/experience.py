"""What a PPO step learns from: log-probs, token rewards, advantages and returns of sampled and scored responses.

Reads and writes no files. The update of policy and critic is in ppo_update.py.

Suffixes: N responses (of the step, or of a micro-batch), R response tokens (right-padded), M response tokens of
several micro-batches in one row.
"""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from learning.batches.collation import collate
from learning.batches.forward import (
    compute_token_logprobs,
    compute_token_logprobs_and_entropy,
    compute_values,
)
from learning.batches.micro_batching import example_size, micro_batches
from learning.batches.samplers import even_parts
from learning.distributed import DistributedContext
from learning.interface.training_options import BatchOptions, Layout
from policy_training.training.attention import with_math_attention
from policy_training.training.ppo.config import RewardOptions, RolloutOptions
from policy_training.training.ppo.micro_batches import Minibatch, RolloutMicroBatch
from policy_training.training.ppo.policy_loss import entropy_weight
from policy_training.training.ppo.setup import PPOState
from policy_training.training.rewards.sources import critic_scale, whiten_scores
from policy_training.training.rollouts.advantages import compute_gae, explained_variance, whiten
from policy_training.training.rollouts.importance import compare_with_sampler, mean_mismatch
from policy_training.training.rollouts.measures import distinct_metrics, perplexity, spread_metrics
from policy_training.training.rollouts.rewards import (
    KLController,
    RunningMoments,
    compute_token_rewards,
    replace_score_without_eos,
    subtract_score_without_eos,
)
from policy_training.training.rollouts.rollouts import Rollout, part_means, rollouts_to_examples
from policy_training.training.rollouts.step_rewards import spread_over_tokens


class Learner(Protocol):
    """Takes the gradients of a minibatch while its experience is gathered, from the same passes."""

    minibatch: Minibatch

    @property
    def learns_policy(self) -> bool:
        """False: the critic alone learns."""
        ...

    def learn(
        self, micro_batch: RolloutMicroBatch, logprobs_NR: Tensor, entropy_NR: Tensor, raw_values_NR: Tensor
    ) -> None:
        """`micro_batch` is complete; log-probs and entropy (where the policy learns) and values carry their graphs."""
        ...


class RolloutState(Protocol):
    """What a recipe that learns from rollouts has, with a critic or without."""

    @property
    def config(self) -> "RolloutConfig": ...

    @property
    def layout(self) -> Layout: ...

    @property
    def tokenizer(self) -> Any: ...

    @property
    def distributed(self) -> DistributedContext: ...

    @property
    def kl_controller(self) -> KLController: ...


class UpdateOptions(Protocol):
    @property
    def responses_per_minibatch(self) -> int: ...


class RolloutConfig(Protocol):
    @property
    def batch(self) -> BatchOptions: ...

    @property
    def rollout(self) -> RolloutOptions: ...

    @property
    def algorithm(self) -> UpdateOptions: ...


def make_minibatches(state: RolloutState, rollouts: Sequence[Rollout]) -> list[Minibatch]:
    """Minibatches of micro-batches, of this rank, without what models say about them.

    A minibatch takes whole prompts, and minibatches differ by one prompt at most. Cutting one into micro-batches by
    a token budget does not change its update.
    """
    config, n_samples = state.config, state.config.rollout.samples_per_prompt
    examples = rollouts_to_examples(rollouts, n_samples)
    shapes = [example_size(example, state.layout) for example in examples]
    return [
        [
            RolloutMicroBatch(
                batch=collate(
                    [examples[index] for index in micro.indices],
                    layout=state.layout,
                    pad_id=state.tokenizer.pad_token_id,
                    device=state.distributed.device,
                ),
                is_dummy=micro.is_dummy,
                examples=[examples[index] for index in micro.indices],
                rollout_indices=[index * n_samples + k for index in micro.indices for k in range(n_samples)],
            )
            for micro in micro_batches(
                shapes,
                part,
                max_tokens=config.batch.micro_batch_tokens,
                rank=state.distributed.rank,
                world_size=state.distributed.world_size,
            )
        ]
        for part in even_parts(len(examples), config.algorithm.responses_per_minibatch // n_samples)
    ]


def gather_experience(
    state: PPOState,
    rollouts: Sequence[Rollout],
    minibatches: Sequence[Minibatch],
    learner: Learner | None = None,
) -> dict[str, float]:
    """Log-probs of policy and reference, token rewards, values, advantages and returns in every micro-batch, computed
    once for all PPO epochs; the metrics.

    `score` is the reward model's, `processed_score` what remains of it after the missing-EOS rule, normalization and
    clip, `rlhf_reward` that minus the KL penalty: what PPO maximises. All three are means over responses.
    """
    processed_scores_N = process_scores(state, rollouts)
    # The learner's minibatch last: no other pass comes between its gradients and the step they are for.
    taught = learner.minibatch if learner is not None else None
    for minibatch in minibatches:
        if minibatch is not taught:
            for micro_batch in minibatch:
                _complete(state, micro_batch, rollouts, processed_scores_N, None)
    for micro_batch in taught or ():
        _complete(state, micro_batch, rollouts, processed_scores_N, learner)
    metrics = reward_metrics(state, rollouts, processed_scores_N, minibatches)
    state.entropy_weight = entropy_weight(state.config.policy_loss, metrics["entropy"])
    if state.config.policy_loss.entropy_coefficient:
        metrics["entropy_weight"] = state.entropy_weight
    every_one = [micro_batch for minibatch in minibatches for micro_batch in minibatch]
    counted = [micro_batch for micro_batch in every_one if not micro_batch.is_dummy]
    metrics |= _token_metrics(state, counted)  # of advantages as they are, before they are whitened
    options = state.config.algorithm
    if options.whiten_advantages:
        for group in minibatches if options.whitening_scope == "minibatch" else [every_one]:
            whiten_advantages(state, group, clip=options.advantage_clip)
    values_M, returns_M = (_response_tokens(state, counted, name) for name in ("old_values_NR", "returns_NR"))
    return metrics | {
        "explained_variance": explained_variance(
            values_M,
            returns_M,
            torch.ones_like(values_M).bool(),
            all_reduce_sum=state.distributed.all_reduce_sum,
        )
    }


def processed_scores(
    options: RewardOptions, moments: RunningMoments, rollouts: Sequence[Rollout], *, whiten: bool
) -> Tensor:
    """Raw scores after missing-EOS rule, normalization, scaling or whitening, clip, in this order: (N,) float64.

    `moments` takes the scores in.
    """
    scores_N = torch.tensor([rollout.end_score for rollout in rollouts], dtype=torch.float64)
    has_eos_N = torch.tensor([rollout.response.has_eos for rollout in rollouts])
    if options.missing_eos_rule == "replace":
        scores_N = replace_score_without_eos(scores_N, has_eos_N, score=options.missing_eos_score)
    if options.normalize or options.scale:
        # Every rank holds all rollouts of the step, so all update alike.
        moments.update(scores_N)
        standardize = moments.normalize if options.normalize else moments.scale
        scores_N = standardize(scores_N, clip=options.clip_range)
    if whiten:
        scores_N = whiten_scores(scores_N)
    if options.missing_eos_rule == "subtract":
        scores_N = subtract_score_without_eos(scores_N, has_eos_N, penalty=-options.missing_eos_score)
    return scores_N


def process_scores(state: PPOState, rollouts: Sequence[Rollout]) -> Tensor:
    """The processed scores, (N,) float64; the first call puts the critic on their scale."""
    options, progress = state.config.reward, state.progress
    scores_N = processed_scores(options, state.score_moments, rollouts, whiten=state.config.rewards.whiten)
    if progress.episodes > 0 or state.config.critic.init_from != "reward_model":
        return scores_N
    reward_shift = state.scorer.reward_model.reward_shift
    if rollouts[0].parts or state.config.rewards.whiten:
        progress.value_shift, progress.value_scale = critic_scale(
            rollouts, scores_N, reward_shift=reward_shift
        )
    else:
        divided = options.normalize or options.scale
        progress.value_shift = reward_shift + (state.score_moments.mean if options.normalize else 0.0)
        progress.value_scale = state.score_moments.standard_deviation if divided else 1.0
    return scores_N


def _complete(
    state: PPOState,
    micro_batch: RolloutMicroBatch,
    rollouts: Sequence[Rollout],
    processed_scores_N: Tensor,
    learner: Learner | None,
) -> None:
    """Everything the update reads in this micro-batch, but for whitening."""
    config, batch = state.config, micro_batch.batch
    temperature = config.rollout.trained_temperature
    read_policy = state.policy.forward if learner and learner.learns_policy else state.policy.infer
    read_critic = state.critic.forward if learner else state.critic.infer
    logprobs_NR, entropy_NR = read_policy(
        with_math_attention,
        compute_token_logprobs_and_entropy,
        batch,
        temperature,
        config.policy_loss.entropy_coefficient > 0,
    )
    micro_batch.old_logprobs_NR = logprobs_NR.detach()
    micro_batch.entropy_sum = float(entropy_NR.detach().sum())
    weigh_against_sampler(config.rollout, rollouts, micro_batch)
    micro_batch.reference_logprobs_NR = state.reference.infer(compute_token_logprobs, batch, temperature)
    micro_batch.rewards_NR = compute_token_rewards(
        processed_scores_N[micro_batch.rollout_indices].float().to(logprobs_NR.device),
        micro_batch.old_logprobs_NR,
        micro_batch.reference_logprobs_NR,
        micro_batch.is_response_NR,
        kl_coefficient=state.kl_controller.coefficient,
        step_rewards_NR=step_rewards(rollouts, micro_batch),
    )
    raw_NR = read_critic(with_math_attention, compute_values, batch)
    micro_batch.old_values_NR = rescale_values(state, raw_NR.detach())
    micro_batch.advantages_NR, micro_batch.returns_NR = compute_gae(
        micro_batch.rewards_NR,
        micro_batch.old_values_NR,
        micro_batch.is_response_NR,
        gamma=config.algorithm.gamma,
        gae_lambda=config.algorithm.gae_lambda,
    )
    if config.algorithm.gae_lambda_value is not None:
        _, micro_batch.returns_NR = compute_gae(
            micro_batch.rewards_NR,
            micro_batch.old_values_NR,
            micro_batch.is_response_NR,
            gamma=config.algorithm.gamma,
            gae_lambda=config.algorithm.gae_lambda_value,
        )
    if learner:
        learner.learn(micro_batch, logprobs_NR, entropy_NR, raw_NR)


def weigh_against_sampler(
    options: RolloutOptions, rollouts: Sequence[Rollout], micro_batch: RolloutMicroBatch
) -> None:
    """The importance weights of a micro-batch whose `old_logprobs_NR` are known."""
    if options.measures_mismatch:
        micro_batch.weights_NR, micro_batch.mismatch = compare_with_sampler(
            micro_batch.old_logprobs_NR,
            [rollouts[index].response.logprobs for index in micro_batch.rollout_indices],
            micro_batch.is_response_NR,
            options.importance,
        )


def step_rewards(rollouts: Sequence[Rollout], micro_batch: RolloutMicroBatch) -> Tensor | None:
    """What functions gave to steps of these responses, (N, R); None where they gave nothing."""
    own = [rollouts[index].step_rewards for index in micro_batch.rollout_indices]
    return spread_over_tokens(own, micro_batch.is_response_NR) if any(own) else None


def reward_metrics(
    state: RolloutState,
    rollouts: Sequence[Rollout],
    processed_scores_N: Tensor,
    minibatches: Sequence[Minibatch],
) -> dict[str, float]:
    totals = torch.zeros(4, dtype=torch.float64)  # KL, entropy, tokens, log-probs
    for micro_batch in (micro_batch for minibatch in minibatches for micro_batch in minibatch):
        if not micro_batch.is_dummy:
            log_ratio_NR = micro_batch.old_logprobs_NR - micro_batch.reference_logprobs_NR
            if micro_batch.weights_NR is not None:  # an expectation under the policy, whoever drew the tokens
                log_ratio_NR = log_ratio_NR * micro_batch.weights_NR
            totals[0] += log_ratio_NR[micro_batch.is_response_NR].double().sum().cpu()
            totals[1] += micro_batch.entropy_sum
            totals[2] += micro_batch.batch.n_tokens
            totals[3] += micro_batch.old_logprobs_NR[micro_batch.is_response_NR].double().sum().cpu()
    totals = state.distributed.all_reduce_sum(totals.to(state.distributed.device))
    kl_sum, entropy, tokens, logprobs = totals.tolist()
    kl, processed_score = kl_sum / len(rollouts), float(processed_scores_N.mean())
    scores_N = torch.tensor([rollout.score for rollout in rollouts], dtype=torch.float64)
    of_steps = math.fsum(rollout.score - rollout.end_score for rollout in rollouts) / len(rollouts)
    return {
        "score": float(scores_N.mean()),
        "score_std": float(scores_N.std(unbiased=False)),
        **{f"score_{name}": mean for name, mean in part_means(rollouts).items()},
        "processed_score": processed_score,
        **({"step_reward": of_steps} if any(rollout.step_rewards for rollout in rollouts) else {}),
        "rlhf_reward": processed_score + of_steps - state.kl_controller.coefficient * kl,
        "kl": kl,
        "sqrt_kl": math.sqrt(max(kl, 0.0)),  # what gold and proxy scores are drawn against (Gao et al. 2022)
        "kl_coefficient": state.kl_controller.coefficient,
        "entropy": entropy / tokens,
        "eos_rate": sum(rollout.response.has_eos for rollout in rollouts) / len(rollouts),
        "response_tokens": tokens / len(rollouts),
        "response_perplexity": perplexity(logprobs, tokens),
        **distinct_metrics([rollout.response.token_ids for rollout in rollouts]),
        **mean_mismatch(
            [one.mismatch for group in minibatches for one in group if one.mismatch and not one.is_dummy],
            state.distributed,
        ),
    }


def _token_metrics(state: PPOState, counted: Sequence[RolloutMicroBatch]) -> dict[str, float]:
    """Mean and standard deviation of values, advantages and returns over the response tokens of all ranks."""
    names = {"value": "old_values_NR", "advantage": "advantages_NR", "return": "returns_NR"}
    flat = {name: _response_tokens(state, counted, field) for name, field in names.items()}
    return spread_metrics(flat, all_reduce_sum=state.distributed.all_reduce_sum)


def _response_tokens(state: PPOState, counted: Sequence[RolloutMicroBatch], field: str) -> Tensor:
    """(M,): a field of these micro-batches at their response tokens; of none, nothing."""
    return torch.cat(
        [torch.empty(0, device=state.distributed.device)]
        + [getattr(micro_batch, field)[micro_batch.is_response_NR] for micro_batch in counted]
    )


def rescale_values(state: PPOState, raw_NR: Tensor) -> Tensor:
    """The critic's raw output, in units of the reward model's score, in the units of the processed scores."""
    return (raw_NR - state.progress.value_shift) / state.progress.value_scale


def whiten_advantages(
    state: PPOState, micro_batches: Sequence[RolloutMicroBatch], *, clip: float | None
) -> None:
    """Advantages of mean 0 and variance 1 over the response tokens of these micro-batches on all ranks, then
    clipped to +-`clip` standard deviations (Secrets of RLHF I, 5.3.1).
    """
    counted = [micro_batch for micro_batch in micro_batches if not micro_batch.is_dummy]
    flat_M = _response_tokens(state, counted, "advantages_NR")
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
