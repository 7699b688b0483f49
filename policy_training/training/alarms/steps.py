"""What recipes that learn from rollouts do about alarms: when a step raises one, and when a run goes on after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from learning.checkpoints import Checkpoints
from learning.distributed import DistributedContext
from learning.run_context import PauseRequested, RunContext
from policy_training.training.alarms.alarms import AlarmWatch, RewardLimits, supported_kl
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.alarms.objective import HELD_OUT_OBJECTIVE
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.rollouts.rollouts import RolloutScorer


def reward_limits(
    options: AlarmOptions, rewards: RewardSourcesOptions, scorer: RolloutScorer
) -> RewardLimits:
    """What the reward model can speak for: a given score, or its own figures where it has them.

    The KL is that of the reward model that learned from the fewest answers. A score that is also a function's or a
    judge's has a range of its own, and no KL where no reward model takes part.
    """
    models = [scorer.reward_model, *(further.reward_model for further in scorer.further_scorers.values())]
    weights = [rewards.weight, *(part.weight for part in rewards.models)]
    configs = [
        model.model.config
        for model, weight in zip(models, weights, strict=True)
        if weight or rewards.combination != "weighted_sum"
    ]
    score = options.score_limit
    known = getattr(scorer.reward_model.model.config, "reward_range", None)
    if score is None and known and rewards.is_single:
        score = float(known[1])
    answers = [getattr(config, "labelled_answers", None) for config in configs]
    counted = [count for count in answers if count is not None]
    if options.supporting_answers is None or not counted or len(counted) < len(answers):
        return RewardLimits(score=score)
    return RewardLimits(score=score, kl=supported_kl(min(counted), options.supporting_answers))


def unknown_support(options: AlarmOptions, limits: RewardLimits) -> list[str]:
    """What to say of a run that waits for an alarm which cannot come."""
    if options.action != "pause" or options.supporting_answers is None or limits.kl is not None:
        return []
    return [
        "No alarm looks at how far the policy goes from its reference: the reward model does not say how many answers "
        "it learned from. Train it again for that, or set alarms.supporting_answers to null."
    ]


def keep_step(
    context: RunContext[Any],
    checkpoints: Checkpoints,
    alarms: AlarmWatch,
    options: AlarmOptions,
    *,
    metrics: Mapping[str, Any],
    step: int,
    policy_step: int,
    evaluates: bool,
    last: bool,
    raised: Sequence[str],
    notes: Sequence[str],
) -> None:
    """A checkpoint where one is due or this step is the best so far, and the sentences of `raised` beside the run's
    other `notes`. `metrics` are the step's; `evaluates`: the run evaluates on held-out prompts between its steps.

    Raises PauseRequested where the alarms pause, once a checkpoint is written: what is now is what later steps are then
    compared with.
    """
    if raised:
        context.set_status(notes=[*notes, *alarms.notes])
    if raised and options.action == "pause" and not last:
        alarms.start_anew()
        checkpoints.save(step)
        raise PauseRequested(" ".join(raised))
    score = best_by(alarms, options, metrics, policy_step=policy_step, evaluates=evaluates)
    checkpoints.after_step(step, last=last, score=score)


def best_by(
    alarms: AlarmWatch,
    options: AlarmOptions,
    metrics: Mapping[str, Any],
    *,
    policy_step: int,
    evaluates: bool,
) -> float | None:
    """What this step is compared by with others for the best checkpoint; None where it is not.

    Evaluations answer the same prompts with the same noise, so where there are any they alone decide; else the mean
    over the alarms' window does, which evens out what prompts a step happens to have. Looked at once a window, for a
    run that only improves writes a checkpoint each time. After an alarm no step is best: its score is then what the
    policy exploits.
    """
    if options.action == "off" or alarms.notes:
        return None
    if evaluates:
        return metrics.get(HELD_OUT_OBJECTIVE)
    return alarms.objective() if policy_step % options.window == 0 else None


def end_with_best(context: RunContext[Any], checkpoints: Checkpoints, distributed: DistributedContext) -> int:
    """Put a paused run that is to end back to its best checkpoint; returns its step.

    Raises PauseRequested where none can be used: the weights since the alarm are not what was asked for.
    """
    step = checkpoints.restore_best()
    if step is None:
        distributed.barrier()  # every rank has read the request
        if context.is_main:
            context.run_directory.ask_to_end(False)
        raise PauseRequested(
            "No checkpoint from before the alarm can be used, so the run cannot end with one; have it go on, or cancel "
            "it."
        )
    return step


def compare_ends(
    before: Mapping[str, float], after: Mapping[str, float], options: AlarmOptions, limits: RewardLimits
) -> list[str]:
    """The sentences about a training whose answers are measured before and after it only."""
    if options.action == "off":
        return []
    alarms = AlarmWatch()
    alarms.see(before, window=1)
    alarms.see(after, window=1)
    return [f"Alarm: {words}." for words in alarms.found(options, limits).values()]
