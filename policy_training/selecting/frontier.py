"""KL against reward: policies measured alike, the Pareto front among them, and the way that trainings took."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import UserError, load_options
from policy_training.run_kinds import POLICY_GRADIENT, PPO
from policy_training.selecting.measurements import Measurement, checkpoints_of
from policy_training.selecting.queries import Group
from policy_training.selection_rules import pareto_front
from policy_training.training.reward_config import RewardSourcesOptions
from rewardmodel.models import RewardModel
from runs.models import Run
from runs.reward_figures import evenly
from runs.run_files import read_metrics
from workspace.models import Project

MAX_LINE_POINTS = 60  # of one training: what a table can hold
MAX_RUNS = 12  # drawn at once
SHOWN_RUNS = 50  # to choose from, the newest


@dataclass(frozen=True, kw_only=True)
class Point:
    """One policy, or one checkpoint measured like the policies."""

    name: str
    kl: float
    reward: float
    error: float | None = None
    policy: int | None = None
    is_on_front: bool = False


@dataclass(frozen=True, kw_only=True)
class Line:
    """(step, KL, reward) of a training, in the order of its steps."""

    name: str
    run: int
    measured: str
    points: Sequence[tuple[int, float, float]]


@dataclass(frozen=True, kw_only=True)
class Frontier:
    points: Sequence[Point]
    without_kl: Sequence[Measurement]
    lines: Sequence[Line]

    def as_dict(self) -> dict[str, Any]:
        """What the picture is drawn from."""
        return {
            "points": [
                {
                    "name": one.name, "kl": one.kl, "reward": one.reward, "error": one.error,
                    "policy": one.policy, "front": one.is_on_front,
                }
                for one in self.points
            ],
            "lines": [{"name": line.name, "points": list(line.points)} for line in self.lines],
        }  # fmt: skip


def frontier(group: Group | None, runs: Sequence[Run]) -> Frontier:
    """Checkpoints of comparisons along a training are points of the front like policies, and a line besides."""
    if group is None:
        return Frontier(points=[], without_kl=[], lines=[line for run in runs if (line := line_of(run))])
    policies = sorted(group.measurements, key=lambda one: one.policy.pk)
    points = [
        Point(
            name=one.policy.name,
            kl=one.kl,
            reward=one.reward,
            error=one.standard_error,
            policy=one.policy.pk,
        )
        for one in policies
        if one.kl is not None
    ]
    lines = []
    for comparison in group.along:
        assert comparison.of_run is not None
        title, found = comparison.of_run.title, checkpoints_of(comparison)
        points += [
            Point(
                name=gettext("%(run)s, step %(step)s") % {"run": title, "step": one.step},
                kl=one.kl,
                reward=one.reward,
            )
            for one in found
        ]
        start = next((one for one in policies if one.policy.pk == comparison.policy_id), None)
        began = [(0, 0.0, start.reward)] if start else []
        lines.append(
            Line(
                name=title,
                run=comparison.of_run.pk,
                measured=gettext("checkpoints, measured like the policies"),
                points=[*began, *((one.step, one.kl, one.reward) for one in found)],
            )
        )
    lines += [line for run in runs if (line := line_of(run))]
    front = set(pareto_front([(one.kl, one.reward) for one in points]))
    return Frontier(
        points=[Point(**(vars(one) | {"is_on_front": place in front})) for place, one in enumerate(points)],
        without_kl=[one for one in policies if one.kl is None],
        lines=lines,
    )


def runs_to_draw(project: Project, reward_model: RewardModel | None) -> list[Run]:
    """Trainings by this reward model alone, newest first: what others call a reward is another scale."""
    if reward_model is None:
        return []
    rows = Run.objects.filter(
        project=project,
        kind__in=(PPO.name, POLICY_GRADIENT.name),
        parameters__reward_model=reward_model.pk,
    ).order_by("-pk")[:SHOWN_RUNS]
    return [run for run in rows if _has_plain_reward(run)]


def _has_plain_reward(run: Run) -> bool:
    try:
        return load_options(RewardSourcesOptions, run.config.get("rewards") or {}).is_single
    except UserError:  # of another version of this program
        return False


def line_of(run: Run) -> Line | None:
    """By its evaluations on held-out prompts where there are two of them, else by what it learned from; None before
    the second step.
    """
    rows = [row for row in read_metrics(run, 0).rows if row.get("step") is not None]
    for kl, score, measured in (
        ("eval_kl", "eval_score", gettext("held-out prompts, while it trained")),
        ("kl", "score", gettext("the answers that it learned from")),
    ):
        found = [
            (int(row["step"] or 0), float(row[kl] or 0.0), float(row[score] or 0.0))
            for row in rows
            if row.get(kl) is not None and row.get(score) is not None
        ]
        if len(found) > 1:
            shown = [found[place] for place in evenly(len(found), MAX_LINE_POINTS)]
            return Line(name=run.title, run=run.pk, measured=measured, points=shown)
    return None
