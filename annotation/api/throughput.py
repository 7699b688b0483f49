"""How fast a batch is judged, when it will be done, what it costs; and what is paid."""

from datetime import date, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import access_batch_to_read
from annotation.batches import pay
from annotation.models import PayRate
from annotation.review.throughput import Throughput, read_throughput
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.operations import operation
from workspace.roles import Capability

_COUNTS = serializers.DictField(child=serializers.IntegerField())


class CostSerializer(serializers.Serializer[Any]):
    currency = serializers.CharField()
    so_far = serializers.DecimalField(max_digits=18, decimal_places=4)
    per_judgment = serializers.DecimalField(max_digits=18, decimal_places=4, allow_null=True)
    to_come = serializers.DecimalField(max_digits=18, decimal_places=4, allow_null=True)


class ThroughputSerializer(serializers.Serializer[Any]):
    counted = serializers.IntegerField(source="progress.counted")
    quota = serializers.IntegerField(source="progress.quota")
    by_day = serializers.SerializerMethodField(
        help_text="{day of the project's time zone: judgments}, the last 14 whole ones and today."
    )
    by_hour = serializers.SerializerMethodField(help_text="{when an hour began: judgments}, the last 24.")
    whole_days = serializers.IntegerField(help_text="That the forecast is made of.")
    per_day = serializers.FloatField(allow_null=True, help_text="Counted judgments, mean of these.")
    expected_at = serializers.DateTimeField(allow_null=True, help_text="When it will be done.")
    earliest_at = serializers.DateTimeField(allow_null=True, help_text="With latest_at an interval of 90 %.")
    latest_at = serializers.DateTimeField(allow_null=True, help_text="null: no end can be promised.")
    cost = CostSerializer(allow_null=True, help_text="For managers of a project that says what it pays.")

    @extend_schema_field(_COUNTS)
    def get_by_day(self, found: Throughput) -> dict[str, int]:
        return {day.isoformat(): number for day, number in _days(found).items()}

    @extend_schema_field(_COUNTS)
    def get_by_hour(self, found: Throughput) -> dict[str, int]:
        return {f"{hour:%Y-%m-%dT%H:%M:%SZ}": number for hour, number in _hours(found).items()}


def _days(found: Throughput) -> dict[date, int]:
    return found.by_day


def _hours(found: Throughput) -> dict[datetime, int]:
    return found.by_hour


class BatchThroughput(ProjectApiView):
    @operation(Capability.REVIEW, answers=ThroughputSerializer)
    def get(self, request: Request, pk: int) -> Throughput:
        """How fast a batch is judged and when it will be done; of an open one with a forecast."""
        batch = access_batch_to_read(self.project, pk, self.capabilities)
        return read_throughput(batch, with_cost=Capability.MANAGE in self.capabilities)


class PayRateSerializer(serializers.Serializer[Any]):
    unit = serializers.ChoiceField(["", *PayRate.Unit.values], help_text="Empty: nothing is said.")
    amount = serializers.CharField()
    currency = serializers.CharField()


class NewPayRate(Body):
    unit = serializers.ChoiceField(PayRate.Unit.choices, allow_blank=True)
    amount = serializers.DecimalField(max_digits=12, decimal_places=4, required=False)
    currency = serializers.CharField(
        max_length=3, required=False, help_text="Its ISO 4217 code, for example EUR."
    )


class ProjectPayRate(ProjectApiView):
    @operation(Capability.MANAGE, answers=PayRateSerializer)
    def get(self, request: Request) -> dict[str, str]:
        """What an active hour, or a judgment, of a person costs."""
        return pay.pay_values(pay.pay_rate(self.project))

    @operation(Capability.MANAGE, body=NewPayRate, answers=PayRateSerializer)
    def put(self, request: Request, data: dict[str, Any]) -> dict[str, str]:
        """Say what an active hour, or a judgment, of a person costs; an empty unit takes it away."""
        return pay.pay_values(pay.set_pay_rate(actor=self.actor, project=self.project, **data))
