"""What recipes that learn from rollouts do about alarms: when a step raises one, and when a run goes on after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from learning.checkpoints import Checkpoints
from learning.run_context import PauseRequested, RunContext
from policy_training.training.alarms.alarms import AlarmWatch, RewardLimits, supported_kl
from policy_training.training.alarms.config import AlarmOptions
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
    step: int,
    last: bool,
    raised: Sequence[str],
    notes: Sequence[str],
) -> None:
    """A checkpoint where one is due, and the sentences of `raised` beside the run's other `notes`.

    Raises PauseRequested where the alarms pause, once a checkpoint is written: what is now is what later steps are then
    compared with.
    """
    if raised:
        context.set_status(notes=[*notes, *alarms.notes])
    if raised and options.action == "pause" and not last:
        alarms.start_anew()
        checkpoints.save(step)
        raise PauseRequested(" ".join(raised))
    score = alarms.objective() if options.action == "pause" else None
    checkpoints.after_step(step, last=last, score=score)


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
