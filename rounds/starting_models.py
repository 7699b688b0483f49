"""Which models a round starts from, holds its policy to and compares it with."""

from django.utils.translation import gettext

from policy_training.models import Policy
from policy_training.run_kinds import PRETRAIN, SFT
from rewardmodel.models import RewardModel
from rounds.errors import RoundRefused
from rounds.models import Stage
from rounds.plans import FIRST_POLICY, NAMED_POLICY, RoundPlan
from runs.models import Artifact
from workspace.models import Criterion, Project

SUPERVISED = (SFT.name, PRETRAIN.name)


def reward_model_base(
    project: Project, criterion: Criterion, start_policy: Policy, plan: RoundPlan
) -> tuple[str, Artifact]:
    """Name and folder of the model whose weights the reward model starts from."""
    if plan.reward_model_start == "previous_reward_model":
        previous = RewardModel.objects.filter(project=project, criteria=criterion).order_by("-pk").first()
        if previous is not None:
            return previous.name, previous.artifact
    policy = first_policy(start_policy) if plan.reward_model_start == FIRST_POLICY else start_policy
    return policy.name, policy.artifact


def first_policy(policy: Policy) -> Policy:
    """The supervised model that the policy's line of reinforcement learning began with.

    That is not the root: a pretrained model that was fine-tuned first is no policy anybody would compare with.
    """
    while policy.parent is not None and not (
        policy.produced_by is not None and policy.produced_by.kind in SUPERVISED
    ):
        policy = policy.parent
    return policy


def reference_policy(start_policy: Policy, plan: RoundPlan) -> Policy:
    """What the KL penalty of the round's PPO holds the policy to. Raises RoundRefused for a name nobody has."""
    if plan.reference == NAMED_POLICY:
        named = Policy.objects.filter(project=start_policy.project, name=plan.reference_policy)
        policy = named.select_related("artifact").first()
        if policy is None:
            raise RoundRefused(
                gettext("There is no policy “%(reference_policy)s” in this project to hold the new one to.")
                % {"reference_policy": plan.reference_policy},
                code="no_policy",
            )
        return policy
    return first_policy(start_policy) if plan.reference == FIRST_POLICY else start_policy


def previous_policy(project: Project, start: Policy) -> Policy | None:
    """The start of the last round that was carried through, whom head-to-head pairs set the start policy against.

    A cancelled round improved nothing; its start may be of another line altogether.
    """
    last_done = project.rounds.filter(stage=Stage.DONE).order_by("-number").first()
    if last_done is not None and last_done.start_policy_id != start.pk:
        return last_done.start_policy
    return start.parent
