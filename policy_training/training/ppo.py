"""PPO: the policy learns from a reward model, held near a reference by a per-token KL penalty.

    python -m policy_training.training.ppo RUN_DIR

Reads inputs `prompts` (split "train" is rolled out, everything else is held out for evaluation) and, for the
ptx loss,
`demonstrations`. One round: roll out and score -> look back (log-probs of policy and reference) -> pay
(normalise, clip, missing EOS, KL) -> credit (values, advantages) -> update critic and policy. The critic,
started from the reward model, first learns alone. Writes model/ (the policy), critic/ and result.json.

Suffixes: N responses (of the round, or of a micro-batch), R response tokens (right-padded).
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from learning.batching import micro_batches, shape_of, shuffled
from learning.checkpoints import Checkpoints, Stateful
from learning.command import run_command
from learning.packing import Batch, collate, token_logprobs_and_entropy_NR, token_logprobs_NR, values_NR
from learning.run_context import RunContext
from learning.tokenization import decode_response
from policy_training.training.advantages import explained_variance, generalised_advantages, whiten
from policy_training.training.attention import by_products
from policy_training.training.config import PPOConfig
from policy_training.training.losses import clipped_policy_loss, clipped_value_loss, language_model_loss
from policy_training.training.ppo_setup import PPORun, load
from policy_training.training.rewards import (
    replace_score_without_eos,
    shape_rewards,
    subtract_score_without_eos,
)
from policy_training.training.rollouts import (
    Evaluation,
    Rollout,
    evaluate_policy,
    examples_of,
    roll_out,
    source_sha256s,
)


def _nothing() -> Tensor:
    return torch.empty(0)


@dataclass
class Piece:
    """One micro-batch of rollouts, kept through the round with everything the update reads."""

    batch: Batch
    is_filler: bool
    rows: list[int]  # where its responses stand in the round's rollouts
    # From this very micro-batch and not from the sampler, so that the first ratio is exactly 1.
    old_logprobs_NR: Tensor
    reference_logprobs_NR: Tensor
    entropy: float
    rewards_NR: Tensor = field(default_factory=_nothing)
    old_values_NR: Tensor = field(default_factory=_nothing)
    advantages_NR: Tensor = field(default_factory=_nothing)
    returns_NR: Tensor = field(default_factory=_nothing)

    @property
    def is_response_NR(self) -> Tensor:
        return self.batch.is_response_NR


@dataclass
class PtxPiece:
    """One micro-batch of demonstrations; `weight` turns its token sum into the coefficient times the token
    mean.
    """

    batch: Batch
    is_filler: bool
    weight: float


def main(attempt: RunContext[PPOConfig]) -> dict[str, Any]:
    attempt.status(stage="loading")
    run = load(attempt)
    config, progress = run.config, run.progress
    state: dict[str, Stateful] = {
        "progress": progress,
        "prompts": run.prompt_cursor,
        "moments": run.moments,
        "kl": run.kl_controller,
    }
    if run.ptx_cursor is not None:
        state["ptx"] = run.ptx_cursor
    checkpoints = Checkpoints(
        attempt, run.processes, engines={"policy": run.policy, "critic": run.critic}, state=state
    )
    step = checkpoints.resume()
    if step == 0:
        attempt.status(stage="evaluating", step=0, steps_total=config.rollout.steps)
        progress.before = evaluate(run)[0].as_dict()

    while progress.policy_steps < config.rollout.steps:
        step += 1
        attempt.check()
        metrics, rollouts = train_round(run, step)
        every = config.watching.evaluate_every_steps
        if every and metrics["stage"] == "policy" and progress.policy_steps % every == 0:
            evaluation, _ = evaluate(run)
            metrics |= {"heldout_reward": evaluation.reward, "heldout_kl": evaluation.kl}
        attempt.log_metrics(step, metrics)
        log_samples(run, rollouts, step)
        left = config.rollout.steps - progress.policy_steps
        stage = "training" if metrics["stage"] == "policy" else "critic"
        attempt.status(stage=stage, step=step, steps_total=step + left)
        checkpoints.after_step(step, last=left == 0)

    attempt.status(stage="evaluating", step=step, steps_total=step)
    after, rollouts = evaluate(run)
    log_samples(run, rollouts, step)
    attempt.check()
    attempt.status(stage="saving", step=step, steps_total=step)
    sha256s = run.policy.save_model(run.tokenizer, attempt.path / "model")
    run.critic.save_model(run.tokenizer, attempt.path / "critic")
    before = Evaluation(**progress.before)
    return {
        "reward_before": before.reward,
        "reward_after": after.reward,
        "reward_sd_before": before.reward_sd,
        "kl_before": before.kl,
        "kl": after.kl,
        "eos_rate_before": before.eos_rate,
        "eos_rate_after": after.eos_rate,
        "tokens_before": before.tokens,
        "tokens_after": after.tokens,
        "evaluation_split": run.evaluation_split,
        "evaluation_responses": after.responses,
        "steps": progress.policy_steps,
        "episodes": progress.episodes,
        "critic_updates_alone": progress.critic_updates_alone,
        "tokenizers": "same" if run.scorer.same_tokenizer else "different",
        "layout": run.layout,
        "layout_reason": run.layout_reason,
        "model_sha256s": sha256s,
        "policy_sha256s": source_sha256s(config.policy.source),
        "reference_sha256s": source_sha256s(config.reference or config.policy.source),
        "reward_model_sha256s": run.scorer.sha256s,
        "seconds": progress.seconds,
    }


def train_round(run: PPORun, step: int) -> tuple[dict[str, Any], list[Rollout]]:
    """One round, by which `run` moves on; returns its metrics and rollouts. The noise of the rollouts comes
    from `step`.
    """
    config, progress = run.config, run.progress
    critic_alone = not critic_is_ready(run)
    started = time.perf_counter()
    rollouts = roll_out(
        run.policy,
        [run.train_prompts[index] for index in run.prompt_cursor.next()],
        run.scorer,
        n_samples=config.rollout.samples_a_prompt,
        sampling=config.rollout.sampling,
        max_response_tokens=config.batch.max_response_tokens,
        seed=f"{config.runtime.seed}/{step}",
        processes=run.processes,
    )
    rolled_out = time.perf_counter()
    minibatches = look_back(run, rollouts)
    metrics: dict[str, Any] = {"stage": "critic" if critic_alone else "policy", "responses": len(rollouts)}
    metrics |= pay(run, rollouts, minibatches)
    metrics |= credit(run, minibatches)
    looked_back = time.perf_counter()
    metrics |= update(run, minibatches, step, critic_alone=critic_alone)
    finished = time.perf_counter()
    progress.episodes += len(rollouts)
    progress.seconds += finished - started
    if not critic_alone:
        progress.policy_steps += 1
        run.kl_controller.update(metrics["kl"], n_responses=len(rollouts))
    metrics["seconds_rollout"] = rolled_out - started
    metrics["seconds_look_back"] = looked_back - rolled_out
    metrics["seconds_update"] = finished - looked_back
    return metrics, rollouts


def critic_is_ready(run: PPORun) -> bool:
    """Whether critic pre-training is over: enough updates, or a loss that has stopped falling."""
    options, losses = run.config.critic, run.progress.critic_losses
    if run.progress.policy_steps > 0 or run.progress.critic_updates_alone >= options.pretraining_updates:
        return True
    window = options.flat_window
    if len(losses) < 2 * window:
        return False
    earlier, later = sum(losses[-2 * window : -window]), sum(losses[-window:])
    return later > (1.0 - options.flat_gain) * earlier


def look_back(run: PPORun, rollouts: Sequence[Rollout]) -> list[list[Piece]]:
    """Minibatches of micro-batches with log-probs of policy and reference; nothing is recomputed per epoch.

    A minibatch takes whole prompts; cutting it into micro-batches by a token budget does not change its
    update.
    """
    config = run.config
    n_samples, temperature = config.rollout.samples_a_prompt, config.rollout.sampling.temperature
    examples = examples_of(rollouts, n_samples)
    shapes = [shape_of(example, run.layout) for example in examples]
    prompts_a_minibatch = config.algorithm.responses_a_minibatch // n_samples
    minibatches = []
    for start in range(0, len(examples), prompts_a_minibatch):
        pieces = []
        for micro in micro_batches(
            shapes,
            range(start, min(start + prompts_a_minibatch, len(examples))),
            max_tokens=config.batch.max_micro_batch_tokens,
            rank=run.processes.rank,
            world_size=run.processes.world_size,
        ):
            batch = collate(
                [examples[index] for index in micro.indices],
                layout=run.layout,
                pad_id=run.tokenizer.pad_token_id,
                device=run.processes.device,
            )
            logprobs_NR, entropy_NR = run.policy.infer(
                by_products, token_logprobs_and_entropy_NR, batch, temperature
            )
            reference_NR = run.reference.infer(token_logprobs_NR, batch, temperature)
            pieces.append(
                Piece(
                    batch=batch,
                    is_filler=micro.is_filler,
                    rows=[index * n_samples + k for index in micro.indices for k in range(n_samples)],
                    old_logprobs_NR=logprobs_NR,
                    reference_logprobs_NR=reference_NR,
                    entropy=float(entropy_NR.sum()),
                )
            )
        minibatches.append(pieces)
    return minibatches


def pay(run: PPORun, rollouts: Sequence[Rollout], minibatches: Sequence[Sequence[Piece]]) -> dict[str, float]:
    """Raw scores -> per-token rewards on every piece, in the order RewardOptions states; figures for the
    metrics.
    """
    options, progress = run.config.reward, run.progress
    scores_N = torch.tensor([rollout.score for rollout in rollouts], dtype=torch.float64)
    has_eos_N = torch.tensor([rollout.response.has_eos for rollout in rollouts])
    paid_N = scores_N
    if options.missing_eos == "replace":
        paid_N = replace_score_without_eos(paid_N, has_eos_N, score=options.missing_eos_score)
    if options.normalise:
        # Every rank holds all rollouts of the round, so all update alike.
        run.moments.update(paid_N)
        paid_N = run.moments.normalise(paid_N, clip=options.clip)
    if options.missing_eos == "subtract":
        paid_N = subtract_score_without_eos(paid_N, has_eos_N, penalty=-options.missing_eos_score)
    if progress.episodes == 0 and run.config.critic.start == "reward_model":
        progress.value_shift = run.scorer.reward_model.reward_shift + (
            run.moments.mean if options.normalise else 0.0
        )
        progress.value_scale = run.moments.standard_deviation if options.normalise else 1.0
    totals = torch.zeros(3, dtype=torch.float64)  # KL, entropy, tokens
    for piece in (piece for pieces in minibatches for piece in pieces):
        piece.rewards_NR = shape_rewards(
            paid_N[piece.rows].float().to(piece.old_logprobs_NR.device),
            piece.old_logprobs_NR,
            piece.reference_logprobs_NR,
            piece.is_response_NR,
            kl_coefficient=run.kl_controller.coefficient,
        )
        if not piece.is_filler:
            log_ratio_NR = piece.old_logprobs_NR - piece.reference_logprobs_NR
            totals[0] += log_ratio_NR[piece.is_response_NR].double().sum().cpu()
            totals[1] += piece.entropy
            totals[2] += piece.batch.n_tokens
    kl, entropy, tokens = run.processes.all_reduce_sum(totals.to(run.processes.device)).tolist()
    return {
        "reward": float(scores_N.mean()),
        "reward_sd": float(scores_N.std(unbiased=False)),
        "reward_paid": float(paid_N.mean()),
        "kl": kl / len(rollouts),
        "kl_coefficient": run.kl_controller.coefficient,
        "entropy": entropy / tokens,
        "eos_rate": float(has_eos_N.double().mean()),
        "response_tokens": tokens / len(rollouts),
    }


def values_of(run: PPORun, raw_NR: Tensor) -> Tensor:
    """The critic starts on the reward model's scale; its values are on the scale of what is paid."""
    return (raw_NR - run.progress.value_shift) / run.progress.value_scale


def credit(run: PPORun, minibatches: Sequence[Sequence[Piece]]) -> dict[str, float]:
    """Values, advantages and returns on every piece."""
    options = run.config.algorithm
    pieces = [piece for pieces in minibatches for piece in pieces]
    for piece in pieces:
        piece.old_values_NR = values_of(run, run.critic.infer(values_NR, piece.batch))
        piece.advantages_NR, piece.returns_NR = generalised_advantages(
            piece.rewards_NR,
            piece.old_values_NR,
            piece.is_response_NR,
            discount=options.discount,
            lambda_=options.lambda_,
        )
    counted = [piece for piece in pieces if not piece.is_filler]
    if options.whiten_advantages:
        flat_M = torch.cat([piece.advantages_NR[piece.is_response_NR] for piece in counted])
        white_M = whiten(
            flat_M, torch.ones_like(flat_M, dtype=torch.bool), all_reduce_sum=run.processes.all_reduce_sum
        )
        parts = white_M.split([piece.batch.n_tokens for piece in counted])
        for piece, part in zip(counted, parts, strict=True):
            piece.advantages_NR = piece.advantages_NR.masked_scatter(piece.is_response_NR, part)
    values_M, returns_M = (
        torch.cat([getattr(piece, name)[piece.is_response_NR] for piece in counted])
        for name in ("old_values_NR", "returns_NR")
    )
    return {"explained_variance": explained_variance(values_M, returns_M, torch.ones_like(values_M).bool())}


def update(
    run: PPORun, minibatches: Sequence[Sequence[Piece]], step: int, *, critic_alone: bool
) -> dict[str, Any]:
    """The round's optimiser steps, one a minibatch and epoch for each of critic and policy."""
    options, progress = run.config.algorithm, run.progress
    sums: dict[str, list[float]] = {}

    def note(**figures: float) -> None:
        for name, figure in figures.items():
            sums.setdefault(name, []).append(figure)

    for epoch in range(options.epochs):
        for index in shuffled(len(minibatches), seed=run.config.runtime.seed + step, epoch=epoch):
            if critic_alone and progress.critic_updates_alone >= run.config.critic.pretraining_updates:
                break
            pieces = minibatches[index]
            tokens = run.processes.sum(sum(float(p.batch.n_tokens) for p in pieces if not p.is_filler))
            note(**update_critic(run, pieces, tokens))
            if critic_alone:
                progress.critic_updates_alone += 1
                progress.critic_losses.append(sums["value_loss"][-1])
                continue
            note(**update_policy(run, pieces, tokens))
            if options.stop_at_kl is not None and sums["kl_to_sampler"][-1] > options.stop_at_kl:
                return averages(sums) | {"updates": len(sums["value_loss"]), "stopped_by_kl": True}
    return averages(sums) | {"updates": len(sums["value_loss"]), "stopped_by_kl": False}


def averages(sums: dict[str, list[float]]) -> dict[str, Any]:
    return {name: sum(figures) / len(figures) for name, figures in sums.items()}


def update_critic(run: PPORun, pieces: Sequence[Piece], tokens: float) -> dict[str, float]:
    clipped = 0.0

    def loss_sum(piece: Piece) -> Tensor:
        nonlocal clipped
        terms = clipped_value_loss(
            values_of(run, run.critic.forward(by_products, values_NR, piece.batch)),
            piece.old_values_NR,
            piece.returns_NR,
            piece.is_response_NR,
            clip=run.config.algorithm.value_clip,
        )
        clipped += 0.0 if piece.is_filler else float(terms.clipped_tokens)
        return terms.loss

    done = run.critic.update(pieces, loss_sum, normaliser=tokens)
    return {
        "value_loss": done.loss,
        "value_clip_fraction": run.processes.sum(clipped) / tokens,
        "critic_gradient_norm": done.gradient_norm,
    }


def update_policy(run: PPORun, pieces: Sequence[Piece], tokens: float) -> dict[str, float]:
    """One optimiser step: the clipped loss on the rollouts plus the ptx loss on demonstrations, gradients in
    one buffer.
    """
    temperature = run.config.rollout.sampling.temperature
    totals = {"policy_loss": 0.0, "ptx_loss": 0.0, "clip_fraction": 0.0, "kl_to_sampler": 0.0}

    def loss_sum(piece: Piece | PtxPiece) -> Tensor:
        counts = 0.0 if piece.is_filler else 1.0
        if isinstance(piece, PtxPiece):
            logprobs_NR = run.policy.forward(by_products, token_logprobs_NR, piece.batch)
            loss = piece.weight * language_model_loss(logprobs_NR, piece.batch.is_response_NR)
            totals["ptx_loss"] += counts * float(loss.detach())
            return loss
        terms = clipped_policy_loss(
            run.policy.forward(by_products, token_logprobs_NR, piece.batch, temperature),
            piece.old_logprobs_NR,
            piece.advantages_NR,
            piece.is_response_NR,
            clip=run.config.algorithm.ratio_clip,
        )
        totals["policy_loss"] += counts * float(terms.loss.detach())
        totals["clip_fraction"] += counts * float(terms.clipped_tokens)
        totals["kl_to_sampler"] += counts * float(terms.kl_to_sampler)
        return terms.loss

    everything: list[Piece | PtxPiece] = [*pieces, *ptx_pieces(run, tokens)]
    done = run.policy.update(everything, loss_sum, normaliser=tokens)
    return {name: run.processes.sum(total) / tokens for name, total in totals.items()} | {
        "gradient_norm": done.gradient_norm,
        "learning_rate": done.learning_rate,
    }


def ptx_pieces(run: PPORun, tokens: float) -> list[PtxPiece]:
    """The next demonstrations, weighted so that the sum over `tokens` is ptx_coefficient times their mean
    token loss.
    """
    if run.ptx_cursor is None:
        return []
    chosen = [run.demonstrations[index] for index in run.ptx_cursor.next()]
    ptx_tokens = sum(len(example.responses_ids[0]) for example in chosen)
    weight = run.config.algorithm.ptx_coefficient * tokens / ptx_tokens
    return [
        PtxPiece(
            batch=collate(
                [chosen[index] for index in micro.indices],
                layout="padded",  # one response each: nothing to share
                pad_id=run.tokenizer.pad_token_id,
                device=run.processes.device,
            ),
            is_filler=micro.is_filler,
            weight=weight,
        )
        for micro in micro_batches(
            [shape_of(example, "padded") for example in chosen],
            range(len(chosen)),
            max_tokens=run.config.batch.max_micro_batch_tokens,
            rank=run.processes.rank,
            world_size=run.processes.world_size,
        )
    ]


def evaluate(run: PPORun) -> tuple[Evaluation, list[Rollout]]:
    """One sample for each held-out prompt, always with the same noise: what changes is the policy."""
    return evaluate_policy(
        run.policy,
        run.reference,
        run.evaluation_prompts,
        run.scorer,
        n_samples=1,
        sampling=run.config.rollout.sampling,
        batch=run.config.batch,
        layout="padded",
        seed=f"{run.config.runtime.seed}/evaluation",
        processes=run.processes,
    )


def log_samples(run: PPORun, rollouts: Sequence[Rollout], step: int) -> None:
    for rollout in rollouts[: run.config.watching.samples]:
        run.attempt.log_sample(
            step,
            prompt=rollout.prompt.text,
            response=decode_response(run.tokenizer, rollout.response.token_ids),
            reward=f"{rollout.score:.4f}",
        )


if __name__ == "__main__":
    run_command(main, PPOConfig)
