"""The optimizer steps of one PPO step: the critic's and the policy's, the ptx loss with the latter.

Reads and writes no files. What the update learns from is computed in experience.py.

Suffixes: N responses (of a micro-batch), R response tokens (right-padded).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from learning.batches.collation import TokenBatch, collate
from learning.batches.forward import compute_token_logprobs, compute_values
from learning.batches.micro_batching import example_size, micro_batches
from learning.batches.samplers import epoch_permutation
from policy_training.training.attention import with_math_attention
from policy_training.training.experience import Minibatch, RolloutMicroBatch, rescale_values
from policy_training.training.losses import clipped_policy_loss, clipped_value_loss, language_model_loss
from policy_training.training.ppo_setup import PPOState


@dataclass
class PtxMicroBatch:
    """One micro-batch of the ptx mix; `step_tokens`: its counted tokens in the optimizer step, on all ranks."""

    batch: TokenBatch
    is_dummy: bool
    step_tokens: int


def critic_pretraining_done(state: PPOState) -> bool:
    """Whether critic pre-training is over: enough updates, or a loss that has stopped falling."""
    options, losses = state.config.critic, state.progress.critic_losses
    if (
        state.progress.policy_steps > 0
        or state.progress.critic_pretraining_updates >= options.max_pretraining_updates
    ):
        return True
    window = options.plateau_window
    if len(losses) < 2 * window:
        return False
    earlier, later = sum(losses[-2 * window : -window]), sum(losses[-window:])
    return later > (1.0 - options.plateau_min_improvement) * earlier


def ppo_update(
    state: PPOState, minibatches: Sequence[Minibatch], step: int, *, critic_only: bool
) -> dict[str, Any]:
    """One optimizer step a minibatch and PPO epoch, for each of critic and policy; the metrics."""
    options, progress = state.config.algorithm, state.progress
    history: dict[str, list[float]] = {}
    planned_updates = options.ppo_epochs * len(minibatches)
    if not critic_only and progress.policy_steps == 0:
        # The critic's schedule holds room for all of its pre-training, which may have ended before.
        state.critic.skip_steps(
            state.config.critic.max_pretraining_updates - progress.critic_pretraining_updates
        )

    def record(**figures: float) -> None:
        for name, figure in figures.items():
            history.setdefault(name, []).append(figure)

    for epoch in range(options.ppo_epochs):
        for index in epoch_permutation(len(minibatches), seed=state.config.runtime.seed + step, epoch=epoch):
            if (
                critic_only
                and progress.critic_pretraining_updates >= state.config.critic.max_pretraining_updates
            ):
                break
            minibatch = minibatches[index]
            tokens = state.distributed.sum(sum(float(m.batch.n_tokens) for m in minibatch if not m.is_dummy))
            record(**update_critic(state, minibatch, tokens))
            if critic_only:
                progress.critic_pretraining_updates += 1
                progress.critic_losses.append(history["value_loss"][-1])
                continue
            record(**update_policy(state, minibatch, tokens))
            if options.target_kl is not None and history["approx_kl"][-1] > options.target_kl:
                skipped = planned_updates - len(history["approx_kl"])
                state.policy.skip_steps(skipped)
                state.critic.skip_steps(skipped)
                return _metrics(history, early_stopped=True)
    return _metrics(history, early_stopped=False)


def _metrics(history: dict[str, list[float]], *, early_stopped: bool) -> dict[str, Any]:
    return mean_metrics(history) | {
        "optimizer_steps": len(history["value_loss"]),
        "early_stopped": early_stopped,
    }


def mean_metrics(history: dict[str, list[float]]) -> dict[str, Any]:
    return {name: sum(figures) / len(figures) for name, figures in history.items()}


def update_critic(state: PPOState, minibatch: Minibatch, tokens: float) -> dict[str, float]:
    """One optimizer step of the critic; `tokens` are the response tokens of the minibatch on all ranks."""
    clipped = 0.0

    def loss_sum(micro_batch: RolloutMicroBatch) -> Tensor:
        nonlocal clipped
        raw_NR = state.critic.forward(with_math_attention, compute_values, micro_batch.batch)
        terms = clipped_value_loss(
            rescale_values(state, raw_NR),
            micro_batch.old_values_NR,
            micro_batch.returns_NR,
            micro_batch.is_response_NR,
            clip=state.config.algorithm.clip_range_value,
        )
        clipped += 0.0 if micro_batch.is_dummy else float(terms.clipped_tokens)
        return terms.loss

    result = state.critic.accumulate_and_step(minibatch, loss_sum, loss_denominator=tokens)
    return {
        "value_loss": result.loss,
        "value_clip_fraction": state.distributed.sum(clipped) / tokens,
        "critic_gradient_norm": result.gradient_norm,
    }


def update_policy(state: PPOState, minibatch: Minibatch, tokens: float) -> dict[str, float]:
    """One optimizer step of the policy: the clipped loss on the rollouts plus ptx_coefficient times the ptx loss on the
    texts and demonstrations mixed in, gradients in one buffer. The metric `ptx_loss` is in nats a token, as any
    language-model loss, whatever the coefficient.
    """
    temperature = state.config.rollout.sampling.temperature
    coefficient = state.config.algorithm.ptx_coefficient
    ptx = ptx_micro_batches(state)
    ptx_loss = 0.0
    totals = {"policy_loss": 0.0, "clip_fraction": 0.0, "approx_kl": 0.0}

    def loss_sum(micro_batch: RolloutMicroBatch | PtxMicroBatch) -> Tensor:
        nonlocal ptx_loss
        weight = 0.0 if micro_batch.is_dummy else 1.0
        if isinstance(micro_batch, PtxMicroBatch):
            logprobs_NR = state.policy.forward(with_math_attention, compute_token_logprobs, micro_batch.batch)
            nats = language_model_loss(logprobs_NR, micro_batch.batch.is_response_NR)
            ptx_loss += weight * float(nats.detach())
            return (coefficient * tokens / micro_batch.step_tokens) * nats
        terms = clipped_policy_loss(
            state.policy.forward(with_math_attention, compute_token_logprobs, micro_batch.batch, temperature),
            micro_batch.old_logprobs_NR,
            micro_batch.advantages_NR,
            micro_batch.is_response_NR,
            clip=state.config.algorithm.clip_range,
        )
        totals["policy_loss"] += weight * float(terms.loss.detach())
        totals["clip_fraction"] += weight * float(terms.clipped_tokens)
        totals["approx_kl"] += weight * float(terms.approx_kl)
        return terms.loss

    inputs: list[RolloutMicroBatch | PtxMicroBatch] = [*minibatch, *ptx]
    result = state.policy.accumulate_and_step(inputs, loss_sum, loss_denominator=tokens)
    metrics = {name: state.distributed.sum(total) / tokens for name, total in totals.items()}
    if ptx:
        metrics["ptx_loss"] = state.distributed.sum(ptx_loss) / ptx[0].step_tokens
    return metrics | {"gradient_norm": result.gradient_norm, "learning_rate": result.learning_rate}


def ptx_micro_batches(state: PPOState) -> list[PtxMicroBatch]:
    """The next texts and demonstrations; none when the ptx loss is off."""
    if state.ptx is None:
        return []
    examples = state.ptx.next()
    step_tokens = sum(len(example.response_ids[0]) for example in examples)
    return [
        PtxMicroBatch(
            batch=collate(
                [examples[index] for index in micro.indices],
                layout="padded",  # one response each: nothing to share
                pad_id=state.tokenizer.pad_token_id,
                device=state.distributed.device,
            ),
            is_dummy=micro.is_dummy,
            step_tokens=step_tokens,
        )
        for micro in micro_batches(
            [example_size(example, "padded") for example in examples],
            range(len(examples)),
            max_tokens=state.config.batch.max_micro_batch_tokens,
            rank=state.distributed.rank,
            world_size=state.distributed.world_size,
        )
    ]
