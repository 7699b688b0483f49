"""Checkpoints of trainings become policies."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from policy_training.checkpoints import adopt_checkpoint
from runs.access import access_run
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.roles import Capability


class AdoptBody(Body):
    run = serializers.IntegerField(help_text="A training of a policy.", **KEY)
    step = serializers.IntegerField(min_value=1, max_value=10**9, help_text="Of one of its checkpoints.")
    name = serializers.CharField(max_length=120, help_text="Of the new policy.")


class AdoptCheckpoint(ProjectApiView):
    @operation(Capability.MANAGE, body=AdoptBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the making of a policy from a checkpoint of a training."""
        run = access_run(self.project, data["run"])
        return adopt_checkpoint(
            actor=self.actor, project=self.project, run=run, step=data["step"], name=data["name"]
        )
