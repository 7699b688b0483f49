"""The reward model scores this round's responses, so that people can see how far it agrees with them."""

from django.utils import timezone

from annotation.models import Judgment, Response
from learning.interface.options import options_to_dict
from rewardmodel.actions import score_responses
from rounds.models import Round, Stage
from rounds.plans import RoundPlan
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from workspace.models import User


def advance_scoring(round_: Round, plan: RoundPlan) -> bool:
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
        )
        attach_run(round_, run)
        return True
    require_none_unsuccessful(runs)
    if not all_done(runs):
        return False
    enter_stage(round_, Stage.DONE, "the new policy is ready", finished_at=timezone.now())
    if plan.continue_automatically:
        open_next_round(round_)
    return True


def responses_to_score(round_: Round) -> list[Response]:
    """The round's own responses and whatever people have judged on this criterion: each can see the agreement."""
    of_round = Response.objects.filter(
        task_responses__task__batch__round_number=round_.number,
        task_responses__task__batch__project=round_.project,
    )
    judged = Judgment.objects.current().of_project(round_.project).of_criterion(round_.criterion).by_people()
    of_people = Response.objects.filter(task_responses__task__in=judged.values("task"))
    return list((of_round | of_people).distinct().order_by("pk"))


def open_next_round(round_: Round, *, actor: User | None = None) -> Round:
    """The round after a done one, with the same plan: its start is this round's new policy."""
    assert round_.new_policy is not None
    next_round = Round.objects.create(
        project=round_.project,
        number=round_.number + 1,
        criterion=round_.criterion,
        prompt_set=round_.prompt_set,
        plan=round_.plan,
        start_policy=round_.new_policy,
        comparison_policy=round_.start_policy,
        started_by=actor or round_.started_by,
    )
    enter_stage(next_round, Stage.SAMPLING, f"round {round_.number} is done", actor=actor)
    return next_round
