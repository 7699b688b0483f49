"""Which models a round's training starts from, by its plan."""

from policy_training.models import Policy
from rewardmodel.models import RewardModel
from rounds.plans import RoundPlan
from runs.models import Artifact
from workspace.models import Criterion, Project


def reward_model_base(
    project: Project, criterion: Criterion, start_policy: Policy, plan: RoundPlan
) -> tuple[str, Artifact]:
    """Name and folder of the model whose weights the reward model starts from."""
    if plan.reward_model_start == "previous_reward_model":
        previous = RewardModel.objects.filter(project=project, criteria=criterion).order_by("-pk").first()
        if previous is not None:
            return previous.name, previous.artifact
    policy = start_policy
    if plan.reward_model_start == "first_policy":
        while policy.parent is not None:
            policy = policy.parent
    return policy.name, policy.artifact
