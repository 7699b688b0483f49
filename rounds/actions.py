"""What a manager does to rounds: start, end the annotation by hand, retry, cancel, go on."""

from contextlib import suppress
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from annotation.batches.actions import close_batch
from annotation.models import Batch, Prompt, PromptSet
from policy_training.models import Policy
from rounds.errors import RoundRefused, WrongStage
from rounds.models import Round
from rounds.plans import RoundPlan, plan_mapping
from rounds.stages import Stage, enter, finish_annotation, open_next_round, require_labels, runs_of
from runs.actions import cancel_run, retry_run
from runs.errors import IllegalTransition, RunChanged
from runs.states import ACTIVE, RunState
from workspace.models import Criterion, Project, User


@transaction.atomic
def start_round(
    *,
    actor: User,
    project: Project,
    criterion: Criterion,
    start_policy: Policy,
    prompt_set: PromptSet,
    plan: RoundPlan,
) -> Round:
    """Start the project's next round.

    Raises RoundRefused for whatever would stop the round later, when people have done their part, and while
    another round is open.
    """
    for thing in (criterion, start_policy, prompt_set):
        if thing.project_id != project.pk:
            raise RoundRefused(f"“{thing}” belongs to another project.", code="wrong_project")
    _require_prompts(prompt_set)
    if plan.policy.algorithm.ptx_coefficient > 0 and not project.demonstrations.exists():
        raise RoundRefused(
            "The plan mixes demonstrations into PPO (ptx) and the project has none: bring some in with "
            "`manage.py import_demonstrations`, or set policy.algorithm.ptx_coefficient=0.",
            code="no_demonstrations",
        )
    known = set(Policy.objects.filter(project=project).values_list("name", flat=True))
    missing = [name for name in plan.sampling.further_policies if name not in known]
    if missing:
        raise RoundRefused(f"There is no policy “{missing[0]}” in this project.", code="no_policy")
    members = set(project.memberships.values_list("user__username", flat=True))
    strangers = [name for name in plan.annotation.reserved_for if name not in members]
    if strangers:
        raise RoundRefused(f"Tasks cannot be kept for “{strangers[0]}”, who is no member of this project.")
    last = project.rounds.order_by("-number").first()
    try:
        with transaction.atomic():
            round_ = Round.objects.create(
                project=project,
                number=last.number + 1 if last else 1,
                criterion=criterion,
                prompt_set=prompt_set,
                plan=plan_mapping(plan),
                start_policy=start_policy,
                previous_policy=_previous_policy(last, start_policy),
                started_by=actor,
            )
    except IntegrityError as error:
        # Also when somebody else took the number a moment ago: theirs is the open round.
        if not project.rounds.exclude(stage__in=[Stage.DONE, Stage.CANCELLED]).exists():
            raise
        raise RoundRefused(
            "Another round of this project is open: finish, retry or cancel it first.", code="round_open"
        ) from error
    enter(round_, Stage.SAMPLING, f"started by {actor.username}", actor=actor)
    return round_


def _require_prompts(prompt_set: PromptSet) -> None:
    bring = "bring prompts in with `manage.py import_prompts` first"
    if prompt_set.purpose in (PromptSet.Purpose.EVALUATION, PromptSet.Purpose.ANCHOR):
        raise RoundRefused(
            f"The prompt set “{prompt_set.name}” is kept for {prompt_set.get_purpose_display().lower()}: a policy "
            "that is trained on its prompts can no longer be measured on them. Choose another.",
            code="held_out_prompts",
        )
    if not prompt_set.prompts.exists():
        raise RoundRefused(f"The prompt set “{prompt_set.name}” is empty: {bring}.", code="no_prompts")
    if not prompt_set.prompts.filter(split=Prompt.Split.TRAIN).exists():
        raise RoundRefused(
            f"All prompts of “{prompt_set.name}” are held out from training: {bring}, some of which will be on the "
            "training side.",
            code="no_prompts",
        )


def _previous_policy(last: Round | None, start: Policy) -> Policy | None:
    """Whom head-to-head pairs set against the start policy."""
    if last is not None and last.start_policy_id != start.pk:
        return last.start_policy
    return start.parent


def _lock_at(round_: Round, *stages: str) -> Round:
    locked = (
        Round.objects.select_for_update(of=("self",))
        .select_related("project", "started_by")
        .get(pk=round_.pk)
    )
    if locked.stage not in stages:
        raise WrongStage(
            f"{locked} is at “{locked.get_stage_display()}”: this does not belong there. Reload the page."
        )
    return locked


@transaction.atomic
def end_annotation(*, actor: User, round_: Round) -> Round:
    """A manager's button: the labels so far are enough. What is on people's screens may still come in."""
    locked = _lock_at(round_, Stage.ANNOTATING)
    require_labels(locked)
    finish_annotation(locked, f"ended by {actor.username}", actor=actor, action="round.end_annotation")
    return locked


@transaction.atomic
def retry_round(*, actor: User, round_: Round) -> Round:
    """Go on from the stage that failed; its failed runs are queued again and resume from their checkpoints.

    Labels that were too few, or refused by the reward model's training, are taken anew: there may be more now.
    """
    locked = _lock_at(round_, Stage.FAILED)
    runs = runs_of(locked, locked.failed_stage)
    cleared: dict[str, Any] = {"failed_stage": "", "error": ""}
    if locked.failed_stage == Stage.REWARD_MODEL and all(run.state == RunState.USER_ERROR for run in runs):
        cleared["dataset"] = None
        runs = []
    for run in runs:
        if run.state in (RunState.FAILED, RunState.USER_ERROR, RunState.CANCELLED):
            retry_run(actor=actor, run=run)
    reason = f"retried by {actor.username}"
    enter(locked, locked.failed_stage, reason, actor=actor, action="round.retry", **cleared)
    return locked


@transaction.atomic
def cancel_round(*, actor: User, round_: Round) -> Round:
    """Stop the round for good; judgments and models made so far stay."""
    open_stages = [s for s in Stage.values if s not in (Stage.DONE, Stage.CANCELLED)]
    locked = _lock_at(round_, *open_stages)
    for run in runs_of(locked):
        if run.state in ACTIVE:
            with suppress(IllegalTransition, RunChanged):  # it has ended meanwhile
                cancel_run(actor=actor, run=run)
    # The tasks kept for single people are batches of their own.
    for batch in Batch.objects.filter(project=locked.project, round_number=locked.number):
        close_batch(actor=actor, batch=batch)
    now, reason = timezone.now(), f"cancelled by {actor.username}"
    enter(locked, Stage.CANCELLED, reason, actor=actor, action="round.cancel", finished_at=now)
    return locked


@transaction.atomic
def continue_rounds(*, actor: User, round_: Round) -> Round:
    """Open the round after a done one with the same plan."""
    locked = _lock_at(round_, Stage.DONE)
    if Round.objects.filter(project=locked.project, number__gt=locked.number).exists():
        raise WrongStage(f"The round after {locked} was started already.")
    return open_next_round(locked, actor=actor)
