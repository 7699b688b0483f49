"""What recipes that learn from rollouts do about alarms: when a step raises one, and when a run goes on after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from learning.checkpoints import Checkpoints
from learning.distributed import DistributedContext
from learning.run_context import PauseRequested, RunContext
from policy_training.training.alarms.alarms import HELD_OUT_OBJECTIVE, AlarmWatch, RewardLimits, supported_kl
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.reward_config import MAIN_PART, RewardSourcesOptions
from policy_training.training.rollouts.rollouts import RolloutScorer


def reward_limits(
    options: AlarmOptions, rewards: RewardSourcesOptions, scorer: RolloutScorer
) -> RewardLimits:
    """What the reward model can speak for: a given score, or its own figures where it has them.

    The KL is that of the reward model that learned from the fewest answers. Of a score that is made of several each
    reward model that takes part is held against its own range: what they make together has none, nor have functions and
    a judge. There is no KL where no reward model takes part.
    """
    models = {MAIN_PART: scorer.reward_model}
    models |= {name: further.reward_model for name, further in scorer.further_scorers.items()}
    weights = [rewards.weight, *(part.weight for part in rewards.models)]
    configs = {
        name: model.model.config
        for (name, model), weight in zip(models.items(), weights, strict=True)
        if weight or rewards.combination != "weighted_sum"
    }
    score, parts = options.score_limit, {}
    if score is None:
        ranges = {name: getattr(config, "reward_range", None) for name, config in configs.items()}
        parts = {name: float(known[1]) for name, known in ranges.items() if known}
        if rewards.is_single:
            score, parts = parts.get(MAIN_PART), {}
    answers = [getattr(config, "labelled_answers", None) for config in configs.values()]
    counted = [count for count in answers if count is not None]
    kl = None
    if options.supporting_answers is not None and counted and len(counted) == len(answers):
        kl = supported_kl(min(counted), options.supporting_answers)
    return RewardLimits(score=score, parts=parts, kl=kl)


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
    other `notes`. `metrics` are the step's; `evaluates`: the run evaluates on held-out prompts between its steps, by
    all that it learns from (a judge takes no part in evaluations).

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
    alarms.see(before, window=1, parts=limits.parts)
    alarms.see(after, window=1, parts=limits.parts)
    return [f"Alarm: {words}." for words in alarms.found(options, limits).values()]
