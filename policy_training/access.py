"""Policies, comparisons and chained trainings by the key in an address: those of the project, for everybody else there
are none.
"""

from django.http import Http404

from policy_training.models import ChainedTraining, Policy, PolicyComparison
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


def access_chained(project: Project, pk: int) -> ChainedTraining:
    """Raises Http404."""
    trainings = ChainedTraining.objects.select_related(
        "requested_by", "after_run", "after_training__run", "run"
    )
    found = trainings.filter(project=project, pk=pk).first()
    if found is None:
        raise Http404("No such chained training.")
    return found
