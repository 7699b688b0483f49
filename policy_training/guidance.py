"""Critics that lead a sampling, as the site knows them: by the policy whose PPO run has left them."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from policy_training.models import Policy
from policy_training.training.config import GuidanceOptions
from runs.models import Artifact
from workspace.errors import ActionError
from workspace.models import Project


def with_critic(project: Project, config: Mapping[str, Any]) -> dict[str, Any]:
    """Options with a `guidance` as a mapping (SampleOptions, EvaluateConfig, ComparePoliciesConfig), with the folder of
    the critic that it names: that one and no other, whatever path was asked for. Raises ActionError where the project
    has no such critic.
    """
    guidance = config.get("guidance")
    if not isinstance(guidance, Mapping):
        return dict(config)
    name = str(guidance.get("policy") or "")
    path = str(critic_of(project, name).absolute_path) if name else ""
    return {**config, "guidance": {**guidance, "path": path}}


def critic_of(project: Project, policy_name: str) -> Artifact:
    """The newest one, where it was made by the policy's own run. Raises ActionError."""
    policy = Policy.objects.filter(project=project, name=policy_name).select_related("artifact").first()
    if policy is None:
        raise ActionError(
            gettext("There is no policy “%(name)s” in this project, whose critic could lead.")
            % {"name": policy_name},
            code="no_policy",
        )
    run = policy.artifact.produced_by
    critic = run.artifacts.filter(kind=Artifact.Kind.CRITIC).order_by("-pk").first() if run else None
    if critic is None or critic.is_missing:
        raise ActionError(
            gettext(
                "“%(name)s” has no critic. A run of PPO leaves one beside its policy, and a checkpoint of it brings "
                "one that has weights of its own (no LoRA, no head on the policy's trunk): name such a policy."
            )
            % {"name": policy_name},
            code="no_critic",
        )
    return critic


def is_led(config: Mapping[str, Any]) -> bool:
    guidance = config.get("guidance")
    return isinstance(guidance, Mapping) and bool(guidance.get("policy"))


def led_text(config: Mapping[str, Any]) -> str:
    """Who leads by these options, for a page; empty where nobody does."""
    if not is_led(config):
        return ""
    guidance = config["guidance"]
    return gettext(
        "led by the critic of “%(name)s” (coefficient %(coefficient)s, %(candidates)s candidates)"
    ) % {
        "name": guidance["policy"],
        "coefficient": f"{guidance.get('coefficient', GuidanceOptions().coefficient):g}",
        "candidates": guidance.get("candidates", GuidanceOptions().candidates),
    }
