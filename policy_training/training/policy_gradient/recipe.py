"""REINFORCE, RLOO and GRPO: the policy learns from a reward model, without a critic.

    python -m policy_training.training.policy_gradient.recipe RUN_DIR

Reads inputs `prompts` (split "train" is rolled out, everything else is held out for evaluation) and, for the ptx loss,
`texts` and `demonstrations`. Each step: generate and score rollouts, recompute log-probs under policy and reference,
turn scores into returns and these into advantages by comparing responses with each other (losses.py), update the
policy. Which algorithm it is, the options say: the presets `reinforce`, `rloo` and `grpo`.

Writes model/ (the policy) and result.json.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from learning.batches.branch_attention import checkpoint_layers
from learning.batches.forward import compute_token_logprobs, compute_token_logprobs_and_entropy
from learning.batches.layout import choose_layout
from learning.batches.samplers import ContinuousBatchSampler, epoch_permutation, even_parts
from learning.checkpoints import Checkpoints, DataclassState
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.training_options import Layout
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.sizes import role_sizes, sizes_as_rows
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.alarms.alarms import OBJECTIVE, AlarmWatch
from policy_training.training.alarms.steps import end_with_best, keep_step, reward_limits, unknown_support
from policy_training.training.attention import with_math_attention
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.policy_gradient.losses import (
    baseline,
    count_units,
    policy_gradient_loss,
    response_advantages,
    token_advantages,
)
from policy_training.training.ppo.experience import (
    make_minibatches,
    processed_scores,
    reward_metrics,
    step_rewards,
    weigh_against_sampler,
)
from policy_training.training.ppo.micro_batches import Minibatch
from policy_training.training.ppo.reports import (
    evaluate,
    evaluate_start,
    evaluate_step,
    log_samples,
    result_of,
    step_objective,
)
from policy_training.training.ppo.setup import read_prompts
from policy_training.training.ppo.shared_base import load_models
from policy_training.training.ppo.step_rollouts import step_rollouts
from policy_training.training.ptx import PtxMix, add_ptx, read_ptx_mix
from policy_training.training.rewards.function_calls import require_functions
from policy_training.training.rewards.sources import judge_metrics, load_scorer, models_by_role, scorer_state
from policy_training.training.rollouts.rewards import KLController, RunningMoments, compute_token_rewards
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Prompt,
    Rollout,
    RolloutScorer,
    cut_notes,
    self_check_examples,
    tokenize_prompts,
)
from policy_training.training.servers.rollouts import RolloutServer, connect_rollout_server


@dataclass
class TrainingState(DataclassState):
    """What a checkpoint keeps beside the model, optimizer, sampler, moments and the KL coefficient."""

    episodes: int = 0
    initial_evaluation: dict[str, Any] = field(default_factory=dict)
    initial_scores: list[float] = field(default_factory=list)  # of the same prompts, see `thinned`
    seconds: float = 0.0
    stopped_at_kl: float | None = None  # the KL that ended the run before its steps


@dataclass
class GradientState:
    """Everything a step needs, built once."""

    context: RunContext[PolicyGradientConfig]
    config: PolicyGradientConfig
    distributed: DistributedContext
    tokenizer: Any
    policy: Engine
    reference: FrozenModel
    scorer: RolloutScorer
    train_prompts: list[Prompt]
    evaluation_prompts: list[Prompt]
    evaluation_split: str
    layout: Layout
    layout_reason: str
    prompt_sampler: ContinuousBatchSampler
    score_moments: RunningMoments
    kl_controller: KLController
    progress: TrainingState
    ptx: PtxMix | None = None  # what is mixed into the policy's loss
    rollout_server: RolloutServer | None = None


def main(context: RunContext[PolicyGradientConfig]) -> dict[str, Any]:
    context.set_status(stage="loading")
    state = build_state(context)
    config, progress, alarms = state.config, state.progress, AlarmWatch()
    checkpoints = Checkpoints(
        context,
        state.distributed,
        scored_by=OBJECTIVE,
        engines={"policy": state.policy},
        state={
            "progress": progress,
            "prompts": state.prompt_sampler,
            "moments": state.score_moments,
            "kl": state.kl_controller,
            "alarms": alarms,
            **scorer_state(state.scorer),
            **({} if state.ptx is None else {"ptx": state.ptx}),
        },
    )
    steps_total = config.rollout.steps
    limits = reward_limits(config.alarms, config.rewards, state.scorer)
    notes = cut_notes(state.train_prompts, config.batch.max_prompt_tokens)
    notes += unknown_support(config.alarms, limits)
    checkpoints.require_steps(steps_total)
    step = checkpoints.resume()
    if step == 0:
        context.set_status(stage="evaluating", step=0, steps_total=steps_total)
        evaluate_start(state)
    context.set_status(notes=[*notes, *alarms.notes])
    raised = list(alarms.notes)  # what a run that ends early ends for
    ends_early = context.run_directory.is_asked_to_end()
    if ends_early:
        steps_total = step = end_with_best(context, checkpoints, state.distributed)
    while step < steps_total and progress.stopped_at_kl is None:
        step += 1
        context.require_current()
        metrics, rollouts = gradient_step(state, step)
        metrics |= judge_metrics(state.scorer)
        metrics[OBJECTIVE] = step_objective(state, rollouts, metrics["kl"])
        every = config.evaluation.evaluate_every_steps
        if every and step % every == 0:
            metrics |= evaluate_step(state, step)
        if step == 1:
            metrics["initial_scores"] = progress.initial_scores
        new_alarms = alarms.look(metrics, config.alarms, step=step, limits=limits)
        context.log_metrics(step, metrics)
        log_samples(state, rollouts, step)
        context.set_status(stage="training", step=step, steps_total=steps_total)
        if config.rollout.is_far_enough(metrics["kl"]):
            progress.stopped_at_kl = metrics["kl"]
        last = step == steps_total or progress.stopped_at_kl is not None
        keep_step(
            context,
            checkpoints,
            alarms,
            config.alarms,
            metrics=metrics,
            step=step,
            policy_step=step,
            evaluates=0 < every <= config.rollout.steps and not config.rewards.judge.server.name,
            last=last,
            raised=new_alarms,
            notes=notes,
        )

    context.set_status(stage="evaluating", step=step, steps_total=step)
    if state.rollout_server is not None:
        state.rollout_server.close()
    after, rollouts = evaluate(state)
    log_samples(state, rollouts, step, after)
    context.require_current()
    context.set_status(stage="saving", step=step, steps_total=step)
    sha256s = state.policy.save_model(state.tokenizer, context.path / "model")
    result = result_of(
        state,
        after,
        rollouts,
        steps=step,
        alarms=raised if ends_early else alarms.notes,
        ended_early_at_step=step if ends_early else None,
        model_sha256s=sha256s,
    )
    return result | {"ptx_examples": state.ptx.drawn if state.ptx is not None else None}


def build_state(context: RunContext[PolicyGradientConfig]) -> GradientState:
    """Models, prompts and counters of the run. Raises UserError for anything the user can put right."""
    config = context.options
    distributed = DistributedContext.start(config.runtime)
    train_rows, heldout_rows = read_prompts(context)
    watched = (heldout_rows or train_rows)[: config.evaluation.max_examples]
    require_functions(config.rewards.functions, [*train_rows, *watched], distributed)
    tokenizer = load_tokenizer(config.policy.source)
    policy, reference, load_model = load_models(config.policy, config.reference, tokenizer)
    scorer = load_scorer(context, tokenizer, distributed, load_model=load_model)
    roles = {"policy": policy, "reference": reference, **models_by_role(scorer)}
    context.write_models(sizes_as_rows(role_sizes(roles, trained=("policy",))))
    config = replace(config, batch=resolve_micro_batch_tokens(context, distributed, config.batch, policy))
    require_max_positions(policy, config.batch.max_sequence_tokens)
    if config.policy.gradient_checkpointing:
        checkpoint_layers(policy)
    train_prompts = tokenize_prompts(train_rows, tokenizer, config.batch.max_prompt_tokens)
    scorer.choose_layout(train_prompts, config.rollout.samples_per_prompt)
    layout, layout_reason = choose_layout(
        policy,
        self_check_examples(train_prompts, config.rollout.samples_per_prompt),
        dtype=config.runtime.dtype,
        requested=config.batch.layout,
    )
    prompt_sampler = ContinuousBatchSampler(
        len(train_prompts), seed=config.runtime.seed, examples_per_step=config.rollout.prompts_per_step
    )
    prompts_per_step = prompt_sampler.examples_per_step
    steps = config.rollout.steps_over(len(train_prompts), prompts_per_step=prompts_per_step)
    config = replace(config, rollout=replace(config.rollout, steps=steps))
    prompts_per_minibatch = config.algorithm.responses_per_minibatch // config.rollout.samples_per_prompt
    updates = steps * config.algorithm.epochs * len(even_parts(prompts_per_step, prompts_per_minibatch))
    return GradientState(
        context=context,
        config=config,
        distributed=distributed,
        tokenizer=tokenizer,
        policy=Engine(
            policy,
            optimizer=config.policy_optimizer,
            steps_total=updates,
            runtime=config.runtime,
            distributed=distributed,
        ),
        reference=FrozenModel(reference, config.runtime, distributed.device),
        scorer=scorer,
        train_prompts=train_prompts,
        evaluation_prompts=tokenize_prompts(watched, tokenizer, config.batch.max_prompt_tokens),
        evaluation_split="heldout" if heldout_rows else "train",
        layout=layout,
        layout_reason=layout_reason,
        prompt_sampler=prompt_sampler,
        score_moments=RunningMoments(),
        kl_controller=KLController(
            config.reward.kl_coefficient, config.reward.kl_target, config.reward.kl_controller
        ),
        progress=TrainingState(),
        ptx=read_ptx_mix(context, tokenizer),
        rollout_server=connect_rollout_server(context, config, tokenizer, distributed),
    )


def gradient_step(state: GradientState, step: int) -> tuple[dict[str, Any], list[Rollout]]:
    """Rollouts and the updates on them; returns metrics and rollouts. The noise comes from `step`."""
    config, progress = state.config, state.progress
    started_at = time.perf_counter()
    rollouts, seconds = step_rollouts(state, step)
    rollout_done_at = time.perf_counter()
    minibatches = make_minibatches(state, rollouts)
    metrics: dict[str, Any] = {"responses": len(rollouts)}
    metrics |= gather_advantages(state, rollouts, minibatches)
    experience_ready_at = time.perf_counter()
    history: list[dict[str, float]] = []
    for epoch in range(config.algorithm.epochs):
        order = epoch_permutation(len(minibatches), seed=config.runtime.seed + step, epoch=epoch)
        history += [update_policy(state, minibatches[index]) for index in order]
    for name in dict.fromkeys(name for row in history for name in row):  # nothing is mixed into some updates
        figures = [row[name] for row in history if name in row]
        metrics[name] = sum(figures) / len(figures)
    finished_at = time.perf_counter()
    progress.episodes += len(rollouts)
    progress.seconds += finished_at - started_at
    state.kl_controller.update(metrics["kl"], n_responses=len(rollouts))
    return metrics | {
        "optimizer_steps": len(history),
        **seconds,
        "seconds_experience": experience_ready_at - rollout_done_at,
        "seconds_update": finished_at - experience_ready_at,
    }, rollouts


def gather_advantages(
    state: GradientState, rollouts: Sequence[Rollout], minibatches: Sequence[Minibatch]
) -> dict[str, float]:
    """Log-probs of policy and reference, token rewards and advantages in every micro-batch; the metrics."""
    config, device = state.config, state.distributed.device
    scores_N = processed_scores(config.reward, state.score_moments, rollouts, whiten=config.rewards.whiten)
    temperature = config.rollout.trained_temperature
    every_one = [micro_batch for minibatch in minibatches for micro_batch in minibatch]
    returns_N = torch.zeros(len(rollouts), dtype=torch.float64, device=device)
    for micro_batch in every_one:
        logprobs_NR, entropy_NR = state.policy.infer(
            with_math_attention, compute_token_logprobs_and_entropy, micro_batch.batch, temperature
        )
        micro_batch.old_logprobs_NR = logprobs_NR
        micro_batch.entropy_sum = float(entropy_NR.sum())
        weigh_against_sampler(config.rollout, rollouts, micro_batch)
        micro_batch.reference_logprobs_NR = state.reference.infer(
            compute_token_logprobs, micro_batch.batch, temperature
        )
        micro_batch.rewards_NR = compute_token_rewards(
            scores_N[micro_batch.rollout_indices].float().to(device),
            micro_batch.old_logprobs_NR,
            micro_batch.reference_logprobs_NR,
            micro_batch.is_response_NR,
            kl_coefficient=state.kl_controller.coefficient,
            step_rewards_NR=step_rewards(rollouts, micro_batch),
        )
        if not micro_batch.is_dummy:
            returns_N[micro_batch.rollout_indices] = micro_batch.rewards_NR.double().sum(1)
    # Each rank has the returns of its own responses: a prompt's samples are compared where all are known.
    returns_N = state.distributed.all_reduce_sum(returns_N)
    options = config.algorithm
    advantages_N = response_advantages(
        returns_N, options, samples_per_prompt=config.rollout.samples_per_prompt
    )
    for micro_batch in every_one:
        micro_batch.advantages_NR = token_advantages(
            micro_batch.rewards_NR,
            micro_batch.is_response_NR,
            options,
            advantages_N=advantages_N[micro_batch.rollout_indices],
            baseline=baseline(returns_N, options),
        )
    metrics = reward_metrics(state, rollouts, scores_N, minibatches)
    return metrics | {
        "return_std": float(returns_N.std(unbiased=False)),
        "advantage_std": float(advantages_N.std(unbiased=False)),
    }


def update_policy(state: GradientState, minibatch: Minibatch) -> dict[str, float]:
    """One optimizer step; its metrics: losses as they were minimised (`loss` with the ptx loss), the others means over
    all response tokens.
    """
    options, distributed = state.config.algorithm, state.distributed
    temperature = state.config.rollout.trained_temperature
    counted = [micro_batch for micro_batch in minibatch if not micro_batch.is_dummy]
    tokens = distributed.sum(sum(float(m.batch.n_tokens) for m in counted))
    units = distributed.sum(sum(count_units(m.is_response_NR, options) for m in counted))
    totals, policy_loss = {"clip_fraction": 0.0, "approx_kl": 0.0, "reference_kl": 0.0}, 0.0
    for micro_batch in minibatch:
        logprobs_NR = state.policy.forward(
            with_math_attention, compute_token_logprobs, micro_batch.batch, temperature
        )
        terms = policy_gradient_loss(
            logprobs_NR,
            micro_batch.old_logprobs_NR,
            micro_batch.reference_logprobs_NR,
            micro_batch.advantages_NR,
            micro_batch.is_response_NR,
            options,
            micro_batch.weights_NR,
        )
        if not micro_batch.is_dummy:
            policy_loss += float(terms.policy.loss.detach())
            totals["clip_fraction"] += float(terms.policy.clipped_tokens)
            totals["approx_kl"] += float(terms.policy.approx_kl)
            totals["reference_kl"] += float(terms.reference_kl)
        state.policy.accumulate(terms.loss, units, is_dummy=micro_batch.is_dummy)
    ptx_metrics = add_ptx(state, sum(len(m.is_response_NR) for m in counted), units)
    result = state.policy.take_step()
    return (
        {name: distributed.sum(total) / tokens for name, total in totals.items()}
        | ptx_metrics
        | {
            "policy_loss": distributed.sum(policy_loss) / units,
            "loss": result.loss,
            "gradient_norm": result.gradient_norm,
            "learning_rate": result.learning_rate,
        }
    )


if __name__ == "__main__":
    run_recipe(main, PolicyGradientConfig)
