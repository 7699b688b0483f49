"""Policies and comparisons by the key in an address: those of the project, for everybody else there are none."""

from django.http import Http404

from policy_training.models import Policy, PolicyComparison
from workspace.models import Project


def access_policy(project: Project, pk: int) -> Policy:
    """Raises Http404."""
    policies = Policy.objects.select_related(
        "project", "parent", "reward_model__dataset", "dataset", "produced_by", "artifact", "source"
    )
    found = policies.filter(project=project, pk=pk).first()
    if found is None:
        raise Http404("No such policy.")
    return found


def access_comparison(project: Project, pk: int) -> PolicyComparison:
    """Raises Http404."""
    comparisons = PolicyComparison.objects.select_related(
        "policy__source", "reward_model", "of_run", "produced_by"
    )
    found = comparisons.filter(project=project, pk=pk).first()
    if found is None or not isinstance(found.report.get("others"), list):
        raise Http404("No such comparison.")
    return found
