"""What recipes that learn from rollouts do about alarms: when a step raises one, and when a run goes on after it."""

from collections.abc import Mapping, Sequence
from typing import Any

from learning.checkpoints import Checkpoints
from learning.run_context import PauseRequested, RunContext
from policy_training.training.alarms.alarms import AlarmWatch
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.reward_config import RewardSourcesOptions
from policy_training.training.rollouts.rollouts import RolloutScorer


def score_limit(options: AlarmOptions, rewards: RewardSourcesOptions, scorer: RolloutScorer) -> float | None:
    """The score above which the reward model has left what it knows; its own figure where none is given."""
    known = getattr(scorer.reward_model.model.config, "reward_range", None)
    if options.score_limit is None and known and rewards.is_single:
        return float(known[1])
    return options.score_limit


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
    before: Mapping[str, float], after: Mapping[str, float], options: AlarmOptions, *, limit: float | None
) -> list[str]:
    """The sentences about a training whose answers are measured before and after it only."""
    if options.action == "off":
        return []
    alarms = AlarmWatch()
    alarms.see(before, window=1)
    alarms.see(after, window=1)
    return [f"Alarm: {words}." for words in alarms.found(options, score_limit=limit).values()]
