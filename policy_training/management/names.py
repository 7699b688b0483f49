"""Policies by the names that commands give."""

from policy_training.models import Policy
from workspace.errors import ActionError
from workspace.models import Project


def find_policy(project: Project, name: str) -> Policy:
    """Raises ActionError."""
    policy = Policy.objects.filter(project=project, name=name).first()
    if policy is None:
        raise ActionError(f"The project has no policy “{name}”.", code="no_policy")
    return policy
