"""Policies on their way out of the site."""

from policy_training.access import access_policy
from policy_training.outgoing.model_card import policy_files
from policy_training.registry import describe_policy
from runs.hub.outgoing import OutgoingModels
from runs.hub.pushes import push_kind

PUSH = push_kind("policy.push", "Push of a policy", "policy_training.outgoing.push")
POLICIES = OutgoingModels(
    name="policy",
    label="policy",
    page="policies:policy",
    kind=PUSH,
    rows=lambda project: project.policies,
    access=access_policy,
    files=policy_files,
    describe=describe_policy,
)
