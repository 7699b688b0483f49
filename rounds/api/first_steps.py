"""What a new project still needs."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from rounds.first_steps import FirstSteps, find_first_steps
from workspace.api.base import ProjectApiView
from workspace.api.operations import operation
from workspace.roles import Capability


class FirstStepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    hint = serializers.CharField()
    done = serializers.BooleanField()


class FirstStepsSerializer(serializers.Serializer[Any]):
    all_done = serializers.BooleanField()
    steps = FirstStepSerializer(many=True)


class FirstStepsOfProject(ProjectApiView):
    @operation(Capability.MANAGE, answers=FirstStepsSerializer)
    def get(self, request: Request) -> FirstSteps:
        """What a new project needs before people judge in it, and what of it is done."""
        return find_first_steps(self.project)
