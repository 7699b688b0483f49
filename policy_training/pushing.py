"""A policy to a repository of the Hugging Face Hub: its folder with its card, as one commit."""

from pathlib import Path

from learning.interface.options import UserError
from policy_training.model_card import policy_files
from policy_training.models import Policy
from runs.hub.pushes import WEIGHTS, Push, push_kind, queue_push
from runs.models import Run
from workspace.models import User

PUSH = push_kind("policy.push", "Push of a policy", "policy_training.push")


def push_policy(
    *,
    actor: User,
    policy: Policy,
    repository: str,
    public: bool = False,
    token: str = "",
    dry_run: bool = False,
) -> Run:
    """Queue the push. Raises ActionError."""
    return queue_push(
        actor=actor,
        project=policy.project,
        kind=PUSH,
        what=policy.name,
        repository=repository,
        public=public,
        token=token,
        dry_run=dry_run,
        parameters={"policy": policy.pk},
    )


def prepare_push(run: Run, folder: Path) -> Push:
    policy = run.project.policies.filter(pk=run.parameters["policy"]).first()
    if policy is None:
        raise UserError("The policy is not there any more.")
    return policy_push(policy)


def policy_push(policy: Policy) -> Push:
    return Push(
        files=policy_files(policy),
        repository_type="model",
        message=f"{policy.name}, a policy",
        replaces=WEIGHTS,
    )
