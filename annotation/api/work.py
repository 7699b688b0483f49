"""Who did how much."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from annotation.review.work import DAY, SHOWN_PERIODS, ProjectWork, read_work
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Query
from workspace.api.operations import operation
from workspace.models import User
from workspace.roles import Capability


class WorkQuery(Query):
    by = serializers.ChoiceField(list(SHOWN_PERIODS), default=DAY)


class PersonWorkSerializer(serializers.Serializer[Any]):
    annotator = serializers.CharField(source="pseudonym")
    annotator_kind = serializers.ChoiceField(User.Kind.choices, source="kind")
    judgments = serializers.IntegerField()
    hours = serializers.FloatField(help_text="Active ones.")
    last_at = serializers.DateTimeField()
    by_period = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="{first day of a day or week: judgments}, where there are any.",
    )


class WorkSerializer(serializers.Serializer[Any]):
    periods = serializers.ListField(child=serializers.DateField())
    people = PersonWorkSerializer(many=True)


class Work(ProjectApiView):
    @operation(Capability.REVIEW, answers=WorkSerializer, query=WorkQuery)
    def get(self, request: Request) -> ProjectWork:
        """Judgments and active hours of everybody, in all and by the last 14 days or 12 weeks of the project's zone."""
        return read_work(self.project, self.query["by"])
