"""What a manager does to rounds: start, end the annotation by hand, retry, cancel, go on."""

from contextlib import suppress
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext

from annotation.batches.actions import reopen_batch
from annotation.importing.usage import mark_prompts_used
from annotation.models import Prompt, PromptSet
from policy_training.mixtures.drawing import require_not_held_out
from policy_training.models import Policy
from rounds.errors import RoundRefused, WrongStage
from rounds.head_to_head import held_out_shortage, require_mixtures
from rounds.learned_criteria import require_learned_criteria
from rounds.lengths import require_lengths, require_readable
from rounds.mixed_prompts import sets_of_plan
from rounds.models import Round, Stage
from rounds.named_rows import require_named_batches, require_named_rows, require_read_options
from rounds.plans import RoundPlan, load_plan, plan_to_dict
from rounds.servers import require_servers
from rounds.stages.annotating import can_reopen_annotation, finish_annotation, require_judgments
from rounds.stages.scoring import next_round_of, open_next_round, require_servers_of_next_round
from rounds.stages.transitions import UNSUCCESSFUL_STATES, enter_stage, stage_runs
from rounds.starting_models import previous_policy, require_start_by_rule
from rounds.step_runs import require_steps, with_available_ptx
from runs.actions import cancel_run, retry_run
from runs.errors import IllegalTransition, RunChanged
from runs.states import UNFINISHED, RunState
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import Criterion, Project, User


def start_round(
    *,
    actor: User,
    project: Project,
    criterion: Criterion,
    start_policy: Policy,
    prompt_set: PromptSet,
    plan: RoundPlan,
    reason: str = "",
) -> Round:
    """Start the project's next round.

    Raises RoundRefused if another round is open, or if a later stage is bound to fail: better now than
    after people have done their part.
    """
    # Before the transaction, which nobody else could write beside on SQLite.
    require_servers(plan, start_policy)
    return start_round_of_asked_servers(
        actor=actor,
        project=project,
        criterion=criterion,
        start_policy=start_policy,
        prompt_set=prompt_set,
        plan=plan,
        reason=reason,
    )


@transaction.atomic
def start_round_of_asked_servers(
    *,
    actor: User,
    project: Project,
    criterion: Criterion,
    start_policy: Policy,
    prompt_set: PromptSet,
    plan: RoundPlan,
    reason: str,
) -> Round:
    """start_round for whoever has asked the plan's servers, before a transaction of their own."""
    require_startable(
        project=project, criterion=criterion, start_policy=start_policy, prompt_set=prompt_set, plan=plan
    )
    why = require_start_by_rule(project, plan, start_policy)
    plan = with_available_ptx(project, plan)
    last_round = project.rounds.order_by("-number").first()
    try:
        with transaction.atomic():
            round_ = Round.objects.create(
                project=project,
                number=last_round.number + 1 if last_round else 1,
                criterion=criterion,
                prompt_set=prompt_set,
                plan=plan_to_dict(plan),
                start_policy=start_policy,
                comparison_policy=previous_policy(project, start_policy),
                started_by=actor,
            )
    except IntegrityError as error:
        # Also when somebody else took the number a moment ago: theirs is the open round.
        if not project.rounds.open().exists():
            raise
        raise RoundRefused(
            gettext("Another round of this project is open: finish, retry or cancel it first."),
            code="round_open",
        ) from error
    reason = reason or f"started by {actor.username}"
    reason = "; ".join(filter(None, (reason, why, held_out_shortage(round_))))
    enter_stage(round_, Stage.SAMPLING, reason, actor=actor)
    return round_


def require_startable(
    *, project: Project, criterion: Criterion, start_policy: Policy, prompt_set: PromptSet, plan: RoundPlan
) -> None:
    """Raises RoundRefused when a round of this plan is bound to fail, now or at a later stage."""
    require_of_project(project, criterion, start_policy, prompt_set, error=RoundRefused)
    _require_prompts(project, prompt_set, start_policy, plan)
    with_available_ptx(project, plan)
    require_named_rows(project, plan)
    require_named_batches(project, plan)
    require_read_options(plan)
    require_lengths(project=project, criterion=criterion, start_policy=start_policy, plan=plan)
    require_learned_criteria(project, criterion, plan)
    require_steps(project, criterion, plan)


def _require_prompts(project: Project, prompt_set: PromptSet, start: Policy, plan: RoundPlan) -> None:
    """Whatever takes prompts of the one set needs some of it; mixtures need what they are asked for."""
    if not (plan.sampling.mixture and plan.policy_prompts):
        _require_prompts_of(prompt_set)
    try:
        for used in sets_of_plan(project, prompt_set, plan):
            mark_prompts_used(used, "a round")
    except ActionError as error:
        raise RoundRefused(error.message, code=error.code) from error
    require_mixtures(project, start, previous_policy(project, start), plan)


def _require_prompts_of(prompt_set: PromptSet) -> None:
    advice = gettext("bring prompts in with `manage.py import_prompts` first")
    try:
        require_not_held_out(prompt_set)
    except ActionError as error:
        raise RoundRefused(error.message, code=error.code) from error
    if not prompt_set.prompts.exists():
        raise RoundRefused(
            gettext("The prompt set “%(name)s” is empty: %(advice)s.")
            % {"name": prompt_set.name, "advice": advice},
            code="no_prompts",
        )
    if not prompt_set.prompts.filter(split=Prompt.Split.TRAIN).exists():
        raise RoundRefused(
            gettext(
                "All prompts of “%(name)s” are held out from training: %(advice)s, some of which "
                "will be on the training side."
            )
            % {"name": prompt_set.name, "advice": advice},
            code="no_prompts",
        )


def _lock_at(round_: Round, *stages: str) -> Round:
    locked = (
        Round.objects.select_for_update(no_key=True, of=("self",))
        .select_related("project", "started_by")
        .get(pk=round_.pk)
    )
    if locked.stage not in stages:
        raise WrongStage(
            gettext("%(locked)s is at “%(get_stage_display)s”: this does not belong there. Reload the page.")
            % {"locked": locked, "get_stage_display": locked.get_stage_display()}
        )
    return locked


@transaction.atomic
def end_annotation(*, actor: User, round_: Round) -> Round:
    """A manager's button: the judgments so far are enough. What is on people's screens may still come in."""
    locked = _lock_at(round_, Stage.ANNOTATING)
    require_judgments(locked)
    finish_annotation(locked, f"ended by {actor.username}", actor=actor, action="round.end_annotation")
    return locked


@transaction.atomic
def reopen_annotation(*, actor: User, round_: Round, quota: int | None = None) -> Round:
    """Go back to the annotation of a round that failed on its judgments, or whose batch somebody closed: it takes more.

    With a quota it ends when that many judgments are in, without one by a manager's button. Raises RoundRefused for a
    round whose batch is open or that has its reward model, WrongStage for one that neither annotates nor failed.
    """
    locked = _lock_at(round_, Stage.FAILED, Stage.ANNOTATING)
    if not can_reopen_annotation(locked):
        sentence = gettext("%(round)s is at its annotation, and its batch is open.") % {"round": locked}
        if locked.stage == Stage.FAILED:
            sentence = gettext(
                "%(round)s failed at “%(stage)s”, not on its judgments: try this stage again instead."
            ) % {"round": locked, "stage": Stage(locked.failed_stage).label}
        raise RoundRefused(sentence, code="not_reopenable")
    if locked.batch is not None:
        reopen_batch(actor=actor, batch=locked.batch, quota=quota)
    enter_stage(
        locked,
        Stage.ANNOTATING,
        f"opened again by {actor.username}",
        actor=actor,
        action="round.reopen_annotation",
        failed_stage="",
        error="",
        dataset=None,  # the judgments are frozen anew
        annotation_deadline=None,
        annotation_by_hand=quota is None,
    )
    return locked


@transaction.atomic
def retry_round(*, actor: User, round_: Round) -> Round:
    """Go on from the stage that failed; its failed runs are queued again and resume from their checkpoints.

    Judgments that were too few, or refused by the reward model's training, are frozen anew: there may
    be more now.
    """
    locked = _lock_at(round_, Stage.FAILED)
    if locked.failed_stage == Stage.SAMPLING:
        _require_readable_plan(locked)
    runs = stage_runs(locked, locked.failed_stage)
    cleared_fields: dict[str, Any] = {"failed_stage": "", "error": ""}
    if locked.failed_stage == Stage.REWARD_MODEL and all(run.state == RunState.USER_ERROR for run in runs):
        cleared_fields["dataset"] = None
        runs = []
    for run in runs:
        if run.state in UNSUCCESSFUL_STATES:
            retry_run(actor=actor, run=run)
    reason = f"retried by {actor.username}"
    enter_stage(locked, locked.failed_stage, reason, actor=actor, action="round.retry", **cleared_fields)
    return locked


def _require_readable_plan(round_: Round) -> None:
    """A plan is never changed, so that the same stage would fail alike. Raises RoundRefused with what to do."""
    try:
        require_readable(
            project=round_.project,
            criterion=round_.criterion,
            start_policy=round_.start_policy,
            plan=load_plan(round_.plan),
        )
    except RoundRefused as error:
        raise RoundRefused(
            gettext("%(message)s A round's plan is never changed: cancel this round and start another.")
            % {"message": error.message},
            code=error.code,
        ) from error


@transaction.atomic
def cancel_round(*, actor: User, round_: Round) -> Round:
    """Stop the round for good; judgments and models made so far stay."""
    open_stages = [stage for stage in Stage.values if stage not in (Stage.DONE, Stage.CANCELLED)]
    locked = _lock_at(round_, *open_stages)
    for run in stage_runs(locked):
        if run.state in UNFINISHED:
            with suppress(IllegalTransition, RunChanged):  # it has ended meanwhile
                cancel_run(actor=actor, run=run)
    now, reason = timezone.now(), f"cancelled by {actor.username}"
    enter_stage(locked, Stage.CANCELLED, reason, actor=actor, action="round.cancel", finished_at=now)
    return locked


def start_next_round(*, actor: User, round_: Round) -> Round:
    """Open the round after a done one with the same plan. A round that was cancelled meanwhile is no obstacle.

    Raises WrongStage, RoundRefused, also where a model server of the plan is away.
    """
    if round_.stage == Stage.DONE and next_round_of(round_) is None:
        require_servers_of_next_round(round_)
    return _start_next_round(actor=actor, round_=round_)


@transaction.atomic
def _start_next_round(*, actor: User, round_: Round) -> Round:
    locked = _lock_at(round_, Stage.DONE)
    if next_round_of(locked) is not None:
        raise WrongStage(gettext("The round after %(locked)s was started already.") % {"locked": locked})
    return open_next_round(locked, actor=actor)
