"""Reward models by the names that commands give."""

from rewardmodel.models import RewardModel
from workspace.errors import ActionError
from workspace.models import Project


def find_reward_model(project: Project, name: str) -> RewardModel:
    """Raises ActionError."""
    reward_model = RewardModel.objects.filter(project=project, name=name).first()
    if reward_model is None:
        raise ActionError(f"The project has no reward model “{name}”.", code="no_reward_model")
    return reward_model
