"""PPO: the policy learns from a reward model, held near a reference by a per-token KL penalty.

    python -m policy_training.training.ppo.recipe RUN_DIR

Reads inputs `prompts` (split "train" is rolled out, everything else is held out for evaluation) and, for the ptx
loss, `texts` and `demonstrations`. Each step: generate and score rollouts, recompute log-probs under policy and
reference, turn scores into per-token rewards, compute values and GAE advantages, update critic and policy. The critic
is initialized from the reward model and pre-trained before the first policy update.

Writes model/ (the policy), critic/ and result.json.
"""

import time
from collections.abc import Sequence
from typing import Any

from learning.checkpoints import Checkpoints, Stateful
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.alarms.alarms import OBJECTIVE, AlarmWatch
from policy_training.training.alarms.steps import end_with_best, keep_step, reward_limits, unknown_support
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.ppo.experience import gather_experience, make_minibatches
from policy_training.training.ppo.micro_batches import Minibatch
from policy_training.training.ppo.reports import (
    evaluate,
    evaluate_start,
    evaluate_step,
    log_samples,
    result_of,
    step_objective,
)
from policy_training.training.ppo.setup import PPOState, build_state
from policy_training.training.ppo.shared_trunk import SharedCritic
from policy_training.training.ppo.step_rollouts import step_rollouts
from policy_training.training.ppo.update import (
    critic_pretraining_done,
    first_update,
    measure_kl,
    ppo_update,
)
from policy_training.training.rewards.sources import judge_metrics, scorer_state
from policy_training.training.rollouts.rollouts import Rollout, cut_notes


def main(context: RunContext[PPOConfig]) -> dict[str, Any]:
    context.set_status(stage="loading")
    state = build_state(context)
    config, progress = state.config, state.progress
    alarms = AlarmWatch()
    stateful: dict[str, Stateful] = {
        "progress": progress,
        "prompts": state.prompt_sampler,
        "moments": state.score_moments,
        "kl": state.kl_controller,
        "penalty": state.penalty_controller,
        "alarms": alarms,
        **scorer_state(state.scorer),
    }
    if state.ptx is not None:
        stateful["ptx"] = state.ptx
    if state.weight_average is not None:
        stateful["weight_average"] = state.weight_average
    engines = {"policy": state.policy}
    if not isinstance(state.critic, SharedCritic):
        engines["critic"] = state.critic
    checkpoints = Checkpoints(
        context,
        state.distributed,
        scored_by=OBJECTIVE,
        engines=engines,
        state=stateful,
        rank_state={"buffer": state.buffer} if state.buffer.steps > 1 else {},
    )
    limits = reward_limits(config.alarms, config.rewards, state.scorer)
    notes = cut_notes(state.train_prompts, config.batch.max_prompt_tokens)
    notes += unknown_support(config.alarms, limits)
    # The critic alone may learn before.
    checkpoints.require_steps(config.rollout.steps + config.critic.max_pretraining_updates)
    step = checkpoints.resume()
    if step == 0:
        context.set_status(stage="evaluating", step=0, steps_total=config.rollout.steps)
        evaluate_start(state)
    context.set_status(notes=[*notes, *alarms.notes])
    raised = list(alarms.notes)  # what a run that ends early ends for
    ends_early = context.run_directory.is_asked_to_end()
    if ends_early:
        step = end_with_best(context, checkpoints, state.distributed)

    def steps_left() -> int:
        return config.rollout.steps - progress.policy_steps if progress.stopped_at_kl is None else 0

    while steps_left() > 0 and not ends_early:
        step += 1
        context.require_current()
        metrics, rollouts = ppo_step(state, step)
        metrics |= judge_metrics(state.scorer)
        if metrics["phase"] == "policy":
            metrics[OBJECTIVE] = step_objective(state, rollouts, metrics["kl"])
        interval = config.evaluation.evaluate_every_steps
        if interval and metrics["phase"] == "policy" and progress.policy_steps % interval == 0:
            metrics |= evaluate_step(state, step)
        if step == 1:
            metrics["initial_scores"] = progress.initial_scores
        new_alarms = look_for_alarms(state, alarms, metrics, step)
        context.log_metrics(step, metrics)
        log_samples(state, rollouts, step)
        if metrics["phase"] == "policy" and config.rollout.is_far_enough(metrics["kl"]):
            progress.stopped_at_kl = metrics["kl"]
        stage = "training" if metrics["phase"] == "policy" else "critic"
        context.set_status(stage=stage, step=step, steps_total=step + steps_left())
        keep_step(
            context,
            checkpoints,
            alarms,
            config.alarms,
            metrics=metrics,
            step=step,
            policy_step=progress.policy_steps,
            evaluates=0 < interval <= config.rollout.steps and not config.rewards.judge.server.name,
            last=steps_left() == 0,
            raised=new_alarms,
            notes=notes,
        )

    context.set_status(stage="evaluating", step=step, steps_total=step)
    if state.weight_average is not None:  # what is saved is what is measured
        state.weight_average.put_into_model()
    after, rollouts = evaluate(state)
    state.scorer.close()
    if state.rollout_server is not None:
        state.rollout_server.close()
    log_samples(state, rollouts, step, after)
    context.require_current()
    context.set_status(stage="saving", step=step, steps_total=step)
    critic_path = context.path / "critic"
    if isinstance(state.critic, SharedCritic):
        state.critic.save_critic(state.tokenizer, critic_path, is_main=state.distributed.is_main)
    else:
        state.critic.save_model(state.tokenizer, critic_path)
    sha256s = state.policy.save_model(state.tokenizer, context.path / "model")
    result = result_of(
        state,
        after,
        rollouts,
        steps=progress.policy_steps,
        alarms=raised if ends_early else alarms.notes,
        ended_early_at_step=step if ends_early else None,
        model_sha256s=sha256s,
    )
    return result | {
        "saved_weights": "last" if config.ema_decay is None else "moving average",
        "critic_pretraining_updates": progress.critic_pretraining_updates,
        "ptx_examples": state.ptx.drawn if state.ptx is not None else None,
    }


def ppo_step(state: PPOState, step: int) -> tuple[dict[str, Any], list[Rollout]]:
    """Rollouts and the update on them, which change `state`; returns metrics and rollouts.

    The noise of the rollouts comes from `step`.
    """
    progress = state.progress
    critic_only = not critic_pretraining_done(state)
    started_at = time.perf_counter()
    rollouts, seconds = step_rollouts(state, step)
    rollout_done_at = time.perf_counter()
    metrics: dict[str, Any] = {"phase": "critic" if critic_only else "policy", "responses": len(rollouts)}
    minibatches = make_minibatches(state, rollouts)
    # While the critic learns alone, all rollouts are of one policy: there is no earlier one to learn from.
    learned = minibatches if critic_only else state.buffer.with_earlier(minibatches)
    first = first_update(state, learned, step, own=len(minibatches), critic_only=critic_only)
    metrics |= gather_experience(state, rollouts, minibatches, first)
    experience_ready_at = time.perf_counter()
    metrics |= ppo_update(state, learned, step, critic_only=critic_only, first=first)
    finished_at = time.perf_counter()
    progress.episodes += len(rollouts)
    progress.seconds += finished_at - started_at
    if not critic_only:
        progress.policy_steps += 1
        if state.buffer.steps > 1:
            metrics["minibatches_of_earlier_steps"] = len(learned) - len(minibatches)
            state.buffer.add(minibatches)
        state.kl_controller.update(metrics["kl"], n_responses=len(rollouts))
        metrics |= update_penalty(state, minibatches)
        if state.weight_average is not None:
            metrics["ema_distance"] = state.weight_average.distance()
    metrics |= seconds
    metrics["seconds_experience"] = experience_ready_at - rollout_done_at
    metrics["seconds_update"] = finished_at - experience_ready_at
    return metrics, rollouts


def look_for_alarms(state: PPOState, alarms: AlarmWatch, metrics: dict[str, Any], step: int) -> list[str]:
    """Sentences of the alarms that this step raises. While the critic alone learns there are none."""
    if metrics["phase"] != "policy":
        return []
    options = state.config.alarms
    limits = reward_limits(options, state.config.rewards, state.scorer)
    return alarms.look(metrics, options, step=step, limits=limits)


def update_penalty(state: PPOState, minibatches: Sequence[Minibatch]) -> dict[str, float]:
    """PPO-penalty's coefficient of this step, and with a target the KL after the updates that moves it."""
    options, coefficient = state.config.policy_loss, state.penalty_controller.coefficient
    if options.kl_penalty_coefficient == 0:
        return {}
    if options.kl_penalty_target is None:
        return {"kl_penalty_coefficient": coefficient}
    kl = measure_kl(state, minibatches)
    state.penalty_controller.update(kl)
    return {"kl_penalty_coefficient": coefficient, "kl_after_update": kl}


if __name__ == "__main__":
    run_recipe(main, PPOConfig)
