"""The reward model scores this round's responses, so that people can see how far it agrees with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.db.models import Q
from django.utils import timezone

from annotation.models import Batch, Judgment, Response, Task
from annotation.models.judgments import JudgmentQuerySet
from learning.interface.options import options_to_dict
from policy_training.models import Policy
from rewardmodel.actions import score_responses
from rounds.errors import RoundRefused
from rounds.head_to_head import held_out_shortage, require_mixtures
from rounds.learned_criteria import require_learned_criteria
from rounds.lengths import require_lengths
from rounds.models import Round, Schedule, Stage
from rounds.named_rows import require_named_rows
from rounds.plans import RoundPlan, load_plan, plan_to_dict
from rounds.servers import require_servers, servers_of
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from rounds.starting_models import start_by_rule
from rounds.step_runs import require_steps
from workspace.models import User


def ask_servers_of_next_round(round_: Round) -> Mapping[str, Any]:
    """Why a model server refuses the round after this one, "" where none does: asked when this one is over, and before
    it is locked, since a server may take seconds to answer. Nothing while it goes on.
    """
    plan = load_plan(round_.plan)
    if not (_goes_on(round_, plan) and all_done(stage_runs(round_, Stage.SCORING))):
        return {}
    try:
        require_servers_of_next_round(round_)
    except RoundRefused as error:
        return {"refusal_of_servers": error.message}
    return {"refusal_of_servers": ""}


def require_servers_of_next_round(round_: Round) -> None:
    """Asks them, outside of a transaction. Raises RoundRefused, as rounds.servers.require_servers."""
    plan = load_plan(round_.plan)
    require_servers(plan, start_by_rule(round_.project, plan, round_.new_policy)[0])


def _goes_on(round_: Round, plan: RoundPlan) -> bool:
    return plan.continue_automatically and not Schedule.objects.takes_over(round_.project)


def advance_scoring(round_: Round, plan: RoundPlan, *, refusal_of_servers: str | None = None) -> bool:
    """`refusal_of_servers`: see ask_servers_of_next_round; None: they were not asked."""
    runs = stage_runs(round_, Stage.SCORING)
    if not runs:
        assert round_.reward_model is not None
        run = score_responses(
            actor=round_.started_by,
            project=round_.project,
            reward_model=round_.reward_model,
            responses=responses_to_score(round_),
            config={
                "batch": options_to_dict(plan.reward_model.batch),
                "runtime": options_to_dict(plan.reward_model.runtime),
            },
            processes=plan.processes,
        )
        attach_run(round_, run)
        return True
    require_none_unsuccessful(runs)
    if not all_done(runs):
        return False
    goes_on = _goes_on(round_, plan)
    refusal = ""
    if goes_on and refusal_of_servers is None and servers_of(plan, None):
        return False  # its runs have ended since the unlocked look; the next call asks
    if goes_on and refusal_of_servers:
        refusal = f"; the next round was not opened: {refusal_of_servers}"
    elif goes_on:
        try:
            _require_next(round_, plan)
        except RoundRefused as error:
            # This round is done all the same.
            refusal = f"; the next round was not opened: {error.message}"
    enter_stage(round_, Stage.DONE, f"the new policy is ready{refusal}", finished_at=timezone.now())
    if goes_on and not refusal:
        open_next_round(round_)
    return True


def _require_next(round_: Round, plan: RoundPlan) -> None:
    """Raises RoundRefused where a round with the same plan would be refused at its start."""
    start, _ = start_by_rule(round_.project, plan, round_.new_policy)
    require_named_rows(round_.project, plan)
    require_lengths(project=round_.project, criterion=round_.criterion, start_policy=start, plan=plan)
    require_mixtures(round_.project, start, _compared_with(round_, start), plan)
    require_learned_criteria(round_.project, round_.criterion, plan)
    require_steps(round_.project, round_.criterion, plan)


def _compared_with(round_: Round, start: Policy) -> Policy | None:
    """Whom the next round sets its start against: this round's start, unless it is the same once more."""
    return round_.start_policy if start.pk != round_.start_policy_id else start.parent


def responses_to_score(round_: Round) -> list[Response]:
    """The round's own responses and those of the judgments that its page compares with the reward model.

    Not all that people ever judged: a project that began with an import had 12,851 responses scored for a round of 101.
    """
    tasks = Task.objects.filter(batch__project=round_.project, batch__round_number=round_.number)
    judged = judgments_to_compare(round_).values("task")
    of_round = Q(task_responses__task__in=tasks) | Q(task_responses__task__in=judged)
    return list(Response.objects.filter(of_round).distinct().order_by("pk"))


def judgments_to_compare(round_: Round) -> JudgmentQuerySet:
    """What people hold now of the round's tasks, and what they judged here outside of any round since the one before.

    Imported judgments are nobody's who would look for an agreement, and those of earlier rounds are on their pages.
    """
    compared = Q(task__batch__round_number=round_.number)
    before = (
        round_.project.rounds.filter(number__lt=round_.number, stage=Stage.DONE).order_by("-number").first()
    )
    outside = Q(task__batch__round_number__isnull=True, from_import__isnull=True)
    if before is not None:
        outside &= Q(created_at__gt=before.finished_at)
    return (
        Judgment.objects.current()
        .of_project(round_.project)
        .of_criterion(round_.criterion)
        .by_people()
        .of_purposes(Task.Purpose.NORMAL, Task.Purpose.HEAD_TO_HEAD)
        .filter(compared | outside)
    )


def next_round_of(round_: Round) -> Round | None:
    """The first round after this one that was not cancelled."""
    later = round_.project.rounds.filter(number__gt=round_.number).exclude(stage=Stage.CANCELLED)
    return later.order_by("number").first()


def plan_of_next_round(round_: Round) -> dict[str, Any]:
    """The same plan; where it names batches, with this round's own among them."""
    plan = load_plan(round_.plan)
    if not plan.batches:
        return dict(round_.plan)
    own = Batch.objects.filter(project=round_.project, round_number=round_.number, visible=True)
    names = dict.fromkeys((*plan.batches, *own.order_by("pk").values_list("name", flat=True)))
    return plan_to_dict(replace(plan, batches=tuple(names)))


def open_next_round(round_: Round, *, actor: User | None = None) -> Round:
    """The round after a done one, with the same plan: its start is this round's new policy, unless the plan has another
    rule. Raises RoundRefused.
    """
    plan = load_plan(round_.plan)
    _require_next(round_, plan)
    start, why = start_by_rule(round_.project, plan, round_.new_policy)
    last = round_.project.rounds.order_by("-number").first()
    assert last is not None
    next_round = Round.objects.create(
        project=round_.project,
        number=last.number + 1,  # a cancelled round keeps its number
        criterion=round_.criterion,
        prompt_set=round_.prompt_set,
        plan=plan_of_next_round(round_),
        start_policy=start,
        comparison_policy=_compared_with(round_, start),
        started_by=actor or round_.started_by,
    )
    reason = f"round {round_.number} is done"
    reason = "; ".join(filter(None, (reason, why, held_out_shortage(next_round))))
    enter_stage(next_round, Stage.SAMPLING, reason, actor=actor)
    return next_round
