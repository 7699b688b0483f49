"""Merging policies, for programs."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from policy_training.merging import MAX_MERGED, merge_policies
from policy_training.models import Policy
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.roles import Capability


class MergeBody(Body):
    name = serializers.CharField(max_length=120, help_text="Of the new policy.")
    policies = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        min_length=1,
        max_length=MAX_MERGED,
        help_text="Of one architecture and tokenizer; one alone is copied (a fork).",
    )
    weights = serializers.ListField(
        child=serializers.FloatField(),
        max_length=MAX_MERGED,
        default=list,
        help_text="A number above 0 each, in the order given; none: 1 each.",
    )


class MergePolicies(ProjectApiView):
    @operation(Capability.MANAGE, body=MergeBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the weighted mean of policies' weights."""
        found = Policy.objects.filter(project=self.project).in_bulk(data["policies"])
        if missing := [key for key in data["policies"] if key not in found]:
            raise ValidationError({"policies": [f"The project has no policy {missing[0]}."]})
        return merge_policies(
            actor=self.actor,
            project=self.project,
            name=data["name"],
            policies=[found[key] for key in data["policies"]],
            weights=data["weights"],
        )
