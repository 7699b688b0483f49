"""People compare; the stage ends at the quota, at the deadline or by a manager's button."""

from annotation.batches.actions import close_batch
from annotation.batches.progress import batch_progress
from annotation.datasets.supply import current_training_supply
from annotation.models import Batch
from learning.interface.usable_comparisons import TrainingSupply, shortfall
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plans import RoundPlan, load_plan
from rounds.stages.transitions import enter_stage
from rounds.training_batches import training_batches
from workspace.models import User


def advance_annotating(round_: Round, plan: RoundPlan) -> bool:
    assert round_.batch is not None
    if round_.annotation_by_hand:
        return False
    progress = batch_progress(round_.batch)
    if not (progress.quota_met or round_.annotation_is_over):
        return False
    if not round_training_supply(round_, plan).is_enough:
        return False
    if progress.quota_met:
        return finish_annotation(round_, f"the quota of {progress.quota} judgments is met")
    return finish_annotation(
        round_, f"the time set is over with {progress.counted} of {progress.quota} judgments"
    )


def round_training_supply(round_: Round, plan: RoundPlan) -> TrainingSupply:
    """What a reward model of this round would learn from now: all judgments so far, of the plan's kinds of
    annotators.
    """
    return current_training_supply(
        round_.project,
        criterion=round_.criterion,
        annotator_kinds=plan.annotation.annotator_kinds,
        ranking_loss=plan.reward_model.objective.ranking_loss,
        consensus=plan.consensus,
        batches=training_batches(round_, plan),
    )


def missing_judgments_message(round_: Round) -> str:
    """What to do while the judgments so far are too few to train on: a closed batch could not bring more. Empty when
    they are enough.
    """
    plan = load_plan(round_.plan)
    supply = round_training_supply(round_, plan)
    if supply.is_enough:
        return ""
    kinds = " or ".join(plan.annotation.annotator_kinds)
    missing = shortfall(supply, plan.reward_model.objective.ranking_loss)
    return (
        f"Not enough to train on yet: {missing} (judgments by {kinds}, not head to head). {_advice(round_)}"
    )


def _advice(round_: Round) -> str:
    tasks_left = round_.batch.tasks.filter(open_slots__gt=0).count() if round_.batch is not None else 0
    if tasks_left:
        left = f"{tasks_left} task{' is' if tasks_left == 1 else 's are'} left"
        return f"The annotation stays open, {left}: it ends as soon as there is enough."
    return (
        "No task is left, so the annotation waits: import comparisons (`manage.py import_comparisons`), let annotators "
        "look at their judgments again, or cancel the round and sample at a higher temperature."
    )


def require_judgments(round_: Round) -> None:
    """Raises RoundRefused while there are too few judgments to train on."""
    if message := missing_judgments_message(round_):
        raise RoundRefused(message, code="too_few_judgments")


def can_reopen_annotation(round_: Round) -> bool:
    """Whether more judgments, or other ones, may mend the round: it failed before it had a reward model, or somebody
    closed its batch.
    """
    if round_.batch is None:
        return False
    if round_.stage == Stage.ANNOTATING:
        return round_.batch.state == Batch.State.CLOSED
    return round_.stage == Stage.FAILED and round_.failed_stage in (Stage.ANNOTATING, Stage.REWARD_MODEL)


def finish_annotation(round_: Round, reason: str, *, actor: User | None = None, **fields: str) -> bool:
    """Close the locked round's batch (what is on people's screens may still come in) and go on."""
    assert round_.batch is not None
    close_batch(actor=actor or round_.started_by, batch=round_.batch)
    enter_stage(round_, Stage.REWARD_MODEL, reason, actor=actor, **fields)
    return True
