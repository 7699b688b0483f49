"""What a project has measured of its policies, by how it was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

from policy_training.models import Policy, PolicyComparison, PolicyEvaluation, PolicySelection, SelectedPolicy
from policy_training.selecting.measurements import (
    Measurement,
    comparison_measurements,
    evaluation_measurement,
)
from workspace.models import Project

MAX_READ = 500  # evaluations, and comparisons, the newest


@dataclass(frozen=True, kw_only=True)
class Group:
    """Policies measured alike, and comparisons of the same settings along trainings; newest measurement first."""

    key: str
    measurements: Sequence[Measurement]
    along: Sequence[PolicyComparison]

    @property
    def first(self) -> Measurement:
        return self.measurements[0]


def evaluations_of(project: Project) -> list[PolicyEvaluation]:
    rows = PolicyEvaluation.objects.filter(policy__project=project).order_by("-pk")
    return list(rows.select_related("policy", "reward_model", "reference", "produced_by__project")[:MAX_READ])


def comparisons_of(project: Project) -> list[PolicyComparison]:
    rows = PolicyComparison.objects.filter(project=project).order_by("-pk")
    return list(rows.select_related("policy", "reward_model", "of_run", "produced_by__project")[:MAX_READ])


def groups_of(project: Project) -> list[Group]:
    """Those with the newest measurement first; of a policy measured twice alike, the newest measurement."""
    measurements: list[Measurement] = []
    along: dict[str, list[PolicyComparison]] = {}
    for evaluation in evaluations_of(project):
        measurement = evaluation_measurement(evaluation)
        measurements += [measurement] if measurement else []
    for comparison in comparisons_of(project):
        own = comparison_measurements(comparison)
        measurements += own
        if own and comparison.of_run_id is not None:
            along.setdefault(own[0].key, []).append(comparison)
    found: dict[str, dict[int, Measurement]] = {}
    for one in sorted(measurements, key=lambda one: -one.made_by.produced_by_id):
        found.setdefault(one.key, {}).setdefault(one.policy.pk, one)
    return [
        Group(key=key, measurements=list(own.values()), along=along.get(key, []))
        for key, own in found.items()
    ]


def newest_evaluations(
    project: Project, policies: Sequence[Policy], *, reward_model: str = "", prompt_set: str = ""
) -> list[PolicyEvaluation]:
    """Of each policy its newest evaluation, by this reward model and on this set where they are named."""
    found: dict[int, PolicyEvaluation] = {}
    for one in evaluations_of(project):
        if (not reward_model or one.reward_model.name == reward_model) and (
            not prompt_set or one.prompt_set == prompt_set
        ):
            found.setdefault(one.policy_id, one)
    return [found[policy.pk] for policy in policies if policy.pk in found]


def selected_policy(project: Project) -> SelectedPolicy | None:
    rows = SelectedPolicy.objects.select_related("policy__artifact", "selection", "pinned_by")
    return rows.filter(project=project).first()


def selections_of(project: Project) -> list[PolicySelection]:
    rows = PolicySelection.objects.filter(project=project).select_related("policy", "chosen_by")
    return list(rows.order_by("-pk")[:100])
