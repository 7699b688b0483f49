"""Policies by the key in an address: those of the project, for everybody else there are none."""

from django.http import Http404

from policy_training.models import Policy
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
