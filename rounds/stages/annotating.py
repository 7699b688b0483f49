"""People compare; the stage ends at the quota, at the deadline or by a manager's button."""

from annotation.batches.actions import close_batch
from annotation.batches.progress import batch_progress
from annotation.models import Judgment, Prompt
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plans import RoundPlan, load_plan
from rounds.stages.transitions import enter_stage
from workspace.models import User

# A reward model learns from differences; one judgment has nothing to be held against.
MIN_JUDGMENTS = 2


def advance_annotating(round_: Round, plan: RoundPlan) -> bool:
    assert round_.batch is not None
    progress = batch_progress(round_.batch)
    if not (progress.quota_met or round_.annotation_is_over):
        return False
    if count_training_judgments(round_, plan) < MIN_JUDGMENTS:
        return False
    if progress.quota_met:
        return finish_annotation(round_, f"the quota of {progress.quota} judgments is met")
    return finish_annotation(
        round_, f"the time set is over with {progress.counted} of {progress.quota} judgments"
    )


def count_training_judgments(round_: Round, plan: RoundPlan) -> int:
    """Judgments a reward model of this round would learn from: all so far, of the plan's kinds of annotators."""
    judgments = (
        Judgment.objects.counted()
        .in_visible_batches()
        .of_project(round_.project)
        .of_criterion(round_.criterion)
        .for_reward_model_training()
    )
    kinds = plan.annotation.annotator_kinds
    return judgments.of_annotator_kinds(*kinds).filter(task__prompt__split=Prompt.Split.TRAIN).count()


def missing_judgments_message(round_: Round) -> str:
    """What to do while the judgments so far are too few to train on: a closed batch could not bring more. Empty when
    they are enough.
    """
    plan = load_plan(round_.plan)
    count = count_training_judgments(round_, plan)
    if count >= MIN_JUDGMENTS:
        return ""
    kinds = " or ".join(plan.annotation.annotator_kinds)
    return (
        f"There {'is' if count == 1 else 'are'} {count} judgment{'' if count == 1 else 's'} to train on (by "
        f"{kinds}, on prompts of the training side, not head to head) and a reward model needs at least "
        f"{MIN_JUDGMENTS}: let people judge a few more tasks first, or import comparisons."
    )


def require_judgments(round_: Round) -> None:
    """Raises RoundRefused while there are too few judgments to train on."""
    if message := missing_judgments_message(round_):
        raise RoundRefused(message, code="too_few_judgments")


def finish_annotation(round_: Round, reason: str, *, actor: User | None = None, **fields: str) -> bool:
    """Close the locked round's batch (what is on people's screens may still come in) and go on."""
    assert round_.batch is not None
    close_batch(actor=actor or round_.started_by, batch=round_.batch)
    enter_stage(round_, Stage.REWARD_MODEL, reason, actor=actor, **fields)
    return True
