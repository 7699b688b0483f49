"""DPO for programs."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from policy_training.dpo.actions import train_dpo
from policy_training.dpo.forms import TrainDPOForm
from policy_training.training.dpo.presets import DPO_PRESETS
from rewardmodel.api.judgments import JudgmentsBody, with_chosen_judgments
from runs.api.option_forms import PresetsSerializer, asked_by_program, presets_of
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.roles import Capability


class DPOBody(JudgmentsBody):
    name = serializers.CharField(max_length=120, help_text="Of the new policy.")
    preset = serializers.ChoiceField(sorted(DPO_PRESETS), default="tiny")
    start = serializers.IntegerField(help_text="The policy to start from.", **KEY)
    reference = serializers.IntegerField(
        required=False, help_text="The policy to be held near; none: the one it starts from.", **KEY
    )


class DPOPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of DPO, every value with its source."""
        return presets_of(TrainDPOForm)


class TrainDPO(ProjectApiView):
    @operation(Capability.MANAGE, body=DPOBody, answers=OneRunSerializer, creates=True, is_long=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue DPO, on a frozen dataset or on the judgments there are now."""
        return train_dpo(**asked_by_program(self, TrainDPOForm, with_chosen_judgments(self, data)))
