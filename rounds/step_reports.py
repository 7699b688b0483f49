"""What a round's page says of each step of its policy training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import UserError
from policy_training.figures import held_out_reward
from policy_training.models import Policy
from rounds.models import Round, Stage
from rounds.plans import load_plan
from rounds.stages.transitions import stage_runs
from rounds.steps import RECIPES
from runs.line_pictures import LinePicture, line_picture
from runs.models import Run
from runs.reward_figures import WITH_ROLLOUTS
from runs.run_files import read_metrics


@dataclass(frozen=True)
class StepReport:
    number: int  # from 1
    label: str
    preset: str
    run: Run | None  # None: it is not due yet
    policy: Policy | None
    outcome: tuple[str, str] | None  # (what was measured, before → after)
    pictures: list[LinePicture]  # reward and KL over its steps, where it learned from rollouts


def step_reports(round_: Round) -> list[StepReport]:
    """None where the policy is trained by one recipe alone: the round's page tells all of that."""
    try:
        plan = load_plan(round_.plan)
    except UserError:  # a plan of another version of this program
        return []
    if not plan.steps:
        return []
    runs: list[Run | None] = [*stage_runs(round_, Stage.POLICY)]
    runs += [None] * (len(plan.steps) - len(runs))
    policies = {
        policy.produced_by_id: policy
        for policy in Policy.objects.filter(produced_by__in=[run for run in runs if run]).select_related(
            "produced_by", "reward_model"
        )
    }
    reports = []
    for number, (step, run) in enumerate(zip(plan.steps, runs, strict=False), 1):
        policy = policies.get(run.pk) if run else None
        label = gettext(RECIPES[step.recipe].label)
        learned = outcome(policy.report) if policy else None
        reports.append(
            StepReport(
                number,
                label,
                plan.config_of(step).preset,
                run,
                policy,
                learned,
                step_pictures(run) if run else [],
            )
        )
    return reports


def step_pictures(run: Run) -> list[LinePicture]:
    """Mean reward and KL of the answers of each step of the policy; none of runs without rollouts."""
    if run.kind not in WITH_ROLLOUTS:
        return []
    rows = read_metrics(run, 0).rows
    pictures = []
    for name, title in (
        ("score", gettext("Mean reward of a step's answers")),
        ("kl", gettext("KL to the reference, nats an answer")),
    ):
        points = [
            (float(row["step"] or 0), float(value))
            for row in rows
            if (value := row.get(name)) is not None and row.get("step") is not None
        ]
        if len(points) > 1:
            pictures.append(line_picture(title, points, last_step=points[-1][0] or 1))
    return pictures


def outcome(report: Mapping[str, Any]) -> tuple[str, str] | None:
    """What a training's report says first: the reward, how people judged, or the loss; each before → after."""
    for name, label, shown in (
        ("score", held_out_reward(report), "{:.2f}"),
        ("accuracy", gettext("Held-out pairs ordered as people did"), "{:.0%}"),
        ("loss", gettext("Loss on held-out rows"), "{:.3f}"),
    ):
        before, after = report.get(f"{name}_before"), report.get(f"{name}_after")
        if isinstance(before, int | float) and isinstance(after, int | float):
            return label, f"{shown.format(before)} → {shown.format(after)}"
    return None
