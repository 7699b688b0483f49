"""DPO for programs."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from policy_training.api.chaining import (
    TrainingStartBody,
    form_start,
    started,
    trains,
)
from policy_training.chaining.actions import Recipe
from policy_training.dpo.forms import TrainDPOForm
from policy_training.training.dpo.presets import DPO_PRESETS
from rewardmodel.api.judgments import JudgmentsBody, with_chosen_judgments
from runs.api.option_forms import PresetsSerializer, asked_by_program, presets_of
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.fields import KEY
from workspace.api.operations import Queued, operation
from workspace.roles import Capability


class DPOBody(TrainingStartBody, JudgmentsBody):
    name = serializers.CharField(max_length=120, help_text="Of the new policy.")
    preset = serializers.ChoiceField(sorted(DPO_PRESETS), default="tiny")
    reference = serializers.IntegerField(
        required=False, help_text="The policy to be held near; none: the one it starts from.", **KEY
    )


class DPOPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of DPO, every value with its source."""
        return presets_of(TrainDPOForm)


class TrainDPO(ProjectApiView):
    @trains(DPOBody, is_long=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run | Queued:
        """Queue DPO, on a frozen dataset or on the judgments there are now."""
        values = with_chosen_judgments(self, form_start(data))
        return started(Recipe.DPO, asked_by_program(self, TrainDPOForm, values))
