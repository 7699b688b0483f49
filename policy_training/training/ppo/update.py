"""The optimizer steps of one PPO step: the critic's and the policy's, the ptx loss with the latter.

Reads and writes no files. What the update learns from is computed in experience.py.

Suffixes: N responses (of a micro-batch), R response tokens (right-padded).
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from learning.batches.forward import (
    compute_token_logprobs,
    compute_token_logprobs_and_entropy,
    compute_values,
)
from learning.batches.samplers import epoch_permutation
from policy_training.training.attention import with_math_attention
from policy_training.training.losses import (
    clipped_value_loss,
    kl_to_present_policy,
)
from policy_training.training.ppo.experience import rescale_values
from policy_training.training.ppo.micro_batches import Minibatch, RolloutMicroBatch
from policy_training.training.ppo.policy_loss import policy_loss
from policy_training.training.ppo.setup import PPOState
from policy_training.training.ppo.shared_trunk import SharedCritic
from policy_training.training.ptx import add_ptx


def critic_pretraining_done(state: PPOState) -> bool:
    """Whether critic pre-training is over: enough updates, or a loss that is low or has stopped falling."""
    options, losses = state.config.critic, state.progress.critic_losses
    if (
        state.progress.policy_steps > 0
        or state.progress.critic_pretraining_updates >= options.max_pretraining_updates
    ):
        return True
    window, threshold = options.plateau_window, options.pretraining_loss_threshold
    if threshold is not None and len(losses) >= window and sum(losses[-window:]) < threshold * window:
        return True
    if len(losses) < 2 * window:
        return False
    earlier, later = sum(losses[-2 * window : -window]), sum(losses[-window:])
    return later > (1.0 - options.plateau_min_improvement) * earlier


def minibatch_order(state: PPOState, n_minibatches: int, step: int, epoch: int) -> Sequence[int]:
    """In which order the minibatches of a PPO epoch are taken."""
    return epoch_permutation(n_minibatches, seed=state.config.runtime.seed + step, epoch=epoch)


def ppo_update(
    state: PPOState,
    minibatches: Sequence[Minibatch],
    step: int,
    *,
    critic_only: bool,
    first: "FirstUpdate | None" = None,
) -> dict[str, Any]:
    """One optimizer step a minibatch and PPO epoch, for each of critic and policy; the metrics.

    `first` holds gradients of the first one already.
    """
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
        for index in minibatch_order(state, len(minibatches), step, epoch):
            if (
                critic_only
                and progress.critic_pretraining_updates >= state.config.critic.max_pretraining_updates
            ):
                break
            minibatch = minibatches[index]
            tokens = step_tokens(state, minibatch)
            critic, policy = (first.critic, first.policy) if first is not None else (None, None)
            first = None
            record(**(critic.finish() if critic is not None else update_critic(state, minibatch, tokens)))
            if critic_only:
                progress.critic_pretraining_updates += 1
                progress.critic_losses.append(history["value_loss"][-1])
                continue
            record(**(policy.finish() if policy is not None else update_policy(state, minibatch, tokens)))
            if options.target_kl is not None and history["approx_kl"][-1] > options.target_kl:
                skipped = planned_updates - len(history["approx_kl"])
                state.policy.skip_steps(skipped)
                state.critic.skip_steps(skipped)
                return _metrics(history, early_stopped=True)
    return _metrics(history, early_stopped=False)


def measure_kl(state: PPOState, minibatches: Sequence[Minibatch]) -> float:
    """KL(policy that sampled || present policy) after a step's updates, nats a token, over all its responses."""
    total, tokens = 0.0, 0.0
    temperature = state.config.rollout.trained_temperature
    for micro_batch in (micro_batch for minibatch in minibatches for micro_batch in minibatch):
        logprobs_NR = state.policy.infer(
            with_math_attention, compute_token_logprobs, micro_batch.batch, temperature
        )
        if not micro_batch.is_dummy:
            kl = kl_to_present_policy(
                logprobs_NR, micro_batch.old_logprobs_NR, micro_batch.is_response_NR, micro_batch.weights_NR
            )
            total += float(kl)
            tokens += micro_batch.batch.n_tokens
    return state.distributed.sum(total) / state.distributed.sum(tokens)


def step_tokens(state: PPOState, minibatch: Minibatch) -> float:
    """Response tokens of the minibatch, on all ranks."""
    return state.distributed.sum(sum(float(m.batch.n_tokens) for m in minibatch if not m.is_dummy))


def _metrics(history: dict[str, list[float]], *, early_stopped: bool) -> dict[str, Any]:
    return mean_metrics(history) | {
        "optimizer_steps": len(history["value_loss"]),
        "early_stopped": early_stopped,
    }


def mean_metrics(history: dict[str, list[float]]) -> dict[str, Any]:
    return {name: sum(figures) / len(figures) for name, figures in history.items()}


def update_critic(state: PPOState, minibatch: Minibatch, tokens: float) -> dict[str, float]:
    """One optimizer step of the critic; `tokens` are the response tokens of the minibatch on all ranks."""
    update = CriticUpdate(state, tokens)
    for micro_batch in minibatch:
        update.add(micro_batch, state.critic.forward(with_math_attention, compute_values, micro_batch.batch))
    return update.finish()


def update_policy(state: PPOState, minibatch: Minibatch, tokens: float) -> dict[str, float]:
    """One optimizer step of the policy; `tokens` as above."""
    update = PolicyUpdate(state, tokens)
    temperature = state.config.rollout.trained_temperature
    for micro_batch in minibatch:
        entropy_NR, batch = None, micro_batch.batch
        if state.entropy_weight:
            logprobs_NR, entropy_NR = state.policy.forward(
                with_math_attention, compute_token_logprobs_and_entropy, batch, temperature, True
            )
        else:
            logprobs_NR = state.policy.forward(
                with_math_attention, compute_token_logprobs, batch, temperature
            )
        update.add(micro_batch, logprobs_NR, entropy_NR)
    return update.finish()


class CriticUpdate:
    """One optimizer step of the critic on the clipped value loss; `tokens`: of its minibatch, on all ranks."""

    def __init__(self, state: PPOState, tokens: float) -> None:
        self._state, self._tokens, self._clipped = state, tokens, 0.0

    def add(self, micro_batch: RolloutMicroBatch, raw_values_NR: Tensor) -> None:
        """The gradient of a micro-batch, through the critic's raw output."""
        terms = clipped_value_loss(
            rescale_values(self._state, raw_values_NR),
            micro_batch.old_values_NR,
            micro_batch.returns_NR,
            micro_batch.is_response_NR,
            clip=self._state.config.algorithm.clip_range_value,
            weights_NR=micro_batch.weights_NR,
        )
        self._clipped += 0.0 if micro_batch.is_dummy else float(terms.clipped_tokens)
        self._state.critic.accumulate(terms.loss, self._tokens, is_dummy=micro_batch.is_dummy)

    def finish(self) -> dict[str, float]:
        critic, total = self._state.critic, self._state.distributed.sum
        clipped = {"value_clip_fraction": total(self._clipped) / self._tokens}
        if isinstance(critic, SharedCritic):  # the policy's step is the critic's
            return {"value_loss": total(critic.take_loss())} | clipped
        result = critic.take_step()
        return {"value_loss": result.loss} | clipped | {"critic_gradient_norm": result.gradient_norm}


class PolicyUpdate:
    """One optimizer step of the policy: the policy loss on the rollouts plus ptx_coefficient times the ptx loss on the
    texts and demonstrations mixed in, gradients in one buffer. `tokens`: of its minibatch, on all ranks.
    """

    def __init__(self, state: PPOState, tokens: float) -> None:
        self._state, self._tokens = state, tokens
        self._responses = 0  # of this process
        self._totals = {"policy_loss": 0.0, "clip_fraction": 0.0, "approx_kl": 0.0}

    def add(self, micro_batch: RolloutMicroBatch, logprobs_NR: Tensor, entropy_NR: Tensor | None) -> None:
        """The gradient of a micro-batch, through the policy's log-probs and, where it counts, its entropy."""
        state = self._state
        terms = policy_loss(
            state.config.policy_loss,
            logprobs_NR,
            micro_batch.advantages_NR,
            micro_batch.is_response_NR,
            sampling_logprobs_NR=micro_batch.old_logprobs_NR,
            reference_logprobs_NR=micro_batch.reference_logprobs_NR,
            clip=state.config.algorithm.clip_range,
            penalty=state.penalty_controller.coefficient,
            entropy_NR=entropy_NR,
            entropy_weight=state.entropy_weight,
            weights_NR=micro_batch.weights_NR,
        )
        if not micro_batch.is_dummy:
            self._responses += len(micro_batch.is_response_NR)
            self._totals["policy_loss"] += float(terms.loss.detach())
            self._totals["clip_fraction"] += float(terms.clipped_tokens)
            self._totals["approx_kl"] += float(terms.approx_kl)
        self._state.policy.accumulate(terms.loss, self._tokens, is_dummy=micro_batch.is_dummy)

    def finish(self) -> dict[str, float]:
        state = self._state
        ptx_metrics = add_ptx(state, self._responses, self._tokens)
        result = state.policy.take_step()
        if state.weight_average is not None:
            state.weight_average.update()
        metrics = {name: state.distributed.sum(total) / self._tokens for name, total in self._totals.items()}
        return (
            metrics
            | ptx_metrics
            | {"gradient_norm": result.gradient_norm, "learning_rate": result.learning_rate}
        )


class FirstUpdate:
    """The first optimizer step of a PPO step, on the very passes that its experience comes from.

    Until that step the weights are those which the log-probs and values are wanted of, so that passes of its own would
    compute the same bits once more. The policy waits where advantages are whitened or the entropy bonus has a
    threshold: then what it needs is known only when all the experience is.
    """

    def __init__(
        self, state: PPOState, minibatches: Sequence[Minibatch], step: int, *, critic_only: bool
    ) -> None:
        self.minibatch = minibatches[minibatch_order(state, len(minibatches), step, 0)[0]]
        tokens = step_tokens(state, self.minibatch)
        self.critic = CriticUpdate(state, tokens)
        options = state.config
        waits = (
            critic_only
            or options.algorithm.whiten_advantages
            or options.policy_loss.entropy_threshold is not None
        )
        self.policy = None if waits else PolicyUpdate(state, tokens)

    @property
    def learns_policy(self) -> bool:
        return self.policy is not None

    def learn(
        self, micro_batch: RolloutMicroBatch, logprobs_NR: Tensor, entropy_NR: Tensor, raw_values_NR: Tensor
    ) -> None:
        self.critic.add(micro_batch, raw_values_NR)
        if self.policy is not None:
            self.policy.add(micro_batch, logprobs_NR, entropy_NR)


def first_update(
    state: PPOState, minibatches: Sequence[Minibatch], step: int, *, own: int, critic_only: bool
) -> FirstUpdate | None:
    """None where the step's first update is on a minibatch of an earlier step, whose experience is known already; the
    first `own` are the step's.
    """
    if minibatch_order(state, len(minibatches), step, 0)[0] >= own:
        return None
    return FirstUpdate(state, minibatches, step, critic_only=critic_only)
