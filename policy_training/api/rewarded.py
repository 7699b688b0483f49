"""Trainings by reward models outside a round, for programs."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from policy_training.api.chaining import (
    TrainingStartBody,
    form_start,
    started,
    trains,
)
from policy_training.api.mixture_fields import TrainedMixtureBody, form_mixtures
from policy_training.api.reward_fields import (
    batches_field,
    form_rewards,
    functions_field,
    further_criteria_field,
    further_models_field,
    time_limits_field,
    weights_field,
)
from policy_training.chaining.actions import Recipe
from policy_training.rewarded.forms import BestOfNForm, PolicyGradientForm, PPOForm
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo.presets import PPO_PRESETS
from runs.api.option_forms import PresetsSerializer, RunBody, asked_by_program, presets_of
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.fields import KEY
from workspace.api.operations import Queued, operation
from workspace.roles import Capability

MAX_SAMPLERS = 9
MAX_STORED_POLICIES = 100


class RewardedBody(TrainingStartBody, TrainedMixtureBody, RunBody):
    name = serializers.CharField(max_length=120, help_text="Of the new policy.")
    reward_model = serializers.IntegerField(**KEY)
    further_reward_models = further_models_field()
    further_weights = weights_field()
    further_batches = batches_field()
    further_criteria = further_criteria_field()
    criterion_weights = weights_field()
    criterion_batches = batches_field()
    reward_functions = functions_field()
    function_weights = weights_field()
    function_time_limits = time_limits_field()
    prompt_set = serializers.IntegerField(
        required=False, help_text="Or several by their shares: `trained_sets`, in its place.", **KEY
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if ("prompt_set" in attrs) == ("trained_sets" in attrs):
            raise serializers.ValidationError(
                {"prompt_set": ["Give it, or several sets in trained_sets, and not both."]}
            )
        return attrs


def form_values(data: dict[str, Any]) -> dict[str, Any]:
    """As the forms have them."""
    return form_start(form_rewards(form_mixtures(data)))


class RolloutBody(RewardedBody):
    reference = serializers.IntegerField(
        required=False, help_text="The policy to be held near; none: the one it starts from.", **KEY
    )


class PPOBody(RolloutBody):
    preset = serializers.ChoiceField(sorted(PPO_PRESETS), default="tiny")


class PPOPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of PPO, every value with its source."""
        return presets_of(PPOForm)


class TrainPPO(ProjectApiView):
    @trains(PPOBody)
    def post(self, request: Request, data: dict[str, Any]) -> Run | Queued:
        """Queue PPO outside a round."""
        return started(Recipe.PPO, asked_by_program(self, PPOForm, form_values(data)))


class PolicyGradientBody(RolloutBody):
    preset = serializers.ChoiceField(sorted(POLICY_GRADIENT_PRESETS), default="tiny")


class PolicyGradientPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of REINFORCE, RLOO and GRPO, every value with its source."""
        return presets_of(PolicyGradientForm)


class TrainPolicyGradient(ProjectApiView):
    @trains(PolicyGradientBody)
    def post(self, request: Request, data: dict[str, Any]) -> Run | Queued:
        """Queue REINFORCE, RLOO or GRPO."""
        asked = asked_by_program(self, PolicyGradientForm, form_values(data))
        return started(Recipe.POLICY_GRADIENT, asked)


class BestOfNBody(RewardedBody):
    preset = serializers.ChoiceField(sorted(BEST_OF_N_PRESETS), default="tiny")
    samplers = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        max_length=MAX_SAMPLERS,
        required=False,
        help_text="The policies that answer; none: the one it starts from.",
    )
    start_answers = serializers.BooleanField(
        default=False,
        help_text="The one it starts from answers beside them; it may be one that is being made.",
    )
    stored_policies = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        max_length=MAX_STORED_POLICIES,
        required=False,
        help_text="Policies whose answers that are there already, of all rounds, compete with the new ones.",
    )
    stored_others = serializers.BooleanField(
        default=False,
        help_text="Answers of people and of files that are there already compete too, demonstrations among them.",
    )


class BestOfNPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of best-of-n, every value with its source."""
        return presets_of(BestOfNForm)


class TrainBestOfN(ProjectApiView):
    @trains(BestOfNBody)
    def post(self, request: Request, data: dict[str, Any]) -> Run | Queued:
        """Queue fine-tuning on the answers that score best."""
        return started(Recipe.BEST_OF_N, asked_by_program(self, BestOfNForm, form_values(data)))
