"""The steps of a plan's policy training, as a program asks for them."""

import json
from collections.abc import Collection
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from learning.interface.options import UserError
from policy_training.models import Policy
from policy_training.training.ppo.config import PPOConfig
from rounds.steps import FIRST_POLICY, NAMED_POLICY, RECIPES, STEP_START, PolicyStep, build_step
from workspace.api.bodies import Body
from workspace.api.fields import KEY, JsonValue
from workspace.errors import ActionError
from workspace.models import Project


class StepValues(Body):
    """A recipe, which starts from the policy that the step before made. Lengths are those of the whole round."""

    recipe = serializers.ChoiceField(list(RECIPES))
    preset = serializers.CharField(
        max_length=100,
        required=False,
        help_text="Of this recipe; PPO without a preset and options is as `ppo_preset` and `policy_options` say.",
    )
    options = serializers.DictField(
        child=JsonValue(allow_null=True),
        required=False,
        help_text='By their paths, for example {"candidates.samples_per_prompt": 16}.',
    )
    reference = serializers.ChoiceField(
        ["start_policy", STEP_START, FIRST_POLICY],
        required=False,
        help_text="What PPO, policy gradients and DPO are held near; none: as the round.",
    )
    reference_policy = serializers.IntegerField(
        required=False, help_text="A policy, in place of `reference`.", **KEY
    )
    other_policies = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        max_length=100,
        required=False,
        help_text="Best-of-n: policies that answer beside the one that is fine-tuned.",
    )
    stored_answers = serializers.ChoiceField(
        ["none", "policies", "all"],
        required=False,
        help_text="Best-of-n: answers that are there already, of all policies, or of people and files too.",
    )
    preferred_at_least = serializers.FloatField(
        required=False,
        min_value=0.0,
        max_value=1.0,
        help_text="Supervised fine-tuning: on answers too that this share of people put first.",
    )
    rated_mark = serializers.CharField(max_length=40, required=False)
    rated_at_least = serializers.FloatField(required=False)
    learn_from = serializers.ChoiceField(
        ["texts", "demonstrations"],
        required=False,
        help_text="Pretraining, of which every token counts: the project's texts, or whole demonstrations.",
    )


def steps_of(
    project: Project, given: list[dict[str, Any]], policy: PPOConfig, chosen: Collection[str] = ()
) -> list[PolicyStep]:
    """`policy`: of the plan; `chosen`: as build_step has it.

    Raises ValidationError that names the step, counted from 1.
    """
    steps = []
    for number, values in enumerate(given, 1):
        try:
            steps.append(_step(project, dict(values), policy, chosen))
        except (UserError, ActionError) as error:
            raise ValidationError({"steps": [f"Step {number}: {error}"]}) from error
    return steps


def _step(project: Project, values: dict[str, Any], policy: PPOConfig, chosen: Collection[str]) -> PolicyStep:
    options = values.pop("options", {})
    recipe, preset = values.pop("recipe"), values.pop("preset", "")
    if (key := values.pop("reference_policy", None)) is not None:
        if "reference" in values:
            raise UserError("give reference_policy or reference, not both.")
        values |= {"reference": NAMED_POLICY, "reference_policy": _name(project, key)}
    if "other_policies" in values:
        values["other_policies"] = [_name(project, key) for key in values["other_policies"]]
    return build_step(
        recipe,
        preset=preset,
        assignments=[f"{path}={json.dumps(value)}" for path, value in options.items()],
        values=values,
        policy=policy,
        chosen=chosen,
    )


def _name(project: Project, key: int) -> str:
    policy = Policy.objects.filter(project=project, pk=key).first()
    if policy is None:
        raise UserError(f"the project has no policy {key}.")
    return policy.name
