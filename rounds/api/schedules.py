"""Schedules: rounds that start later."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from rounds.api.rounds import RoundValues, planned
from rounds.models import Schedule, ScheduleFiring, Trigger
from rounds.plans import LAST
from rounds.schedules import actions
from rounds.schedules.access import access_firing, access_schedule
from rounds.schedules.triggers import When, after_judgments, after_round, at_time, every_week
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability


class FiringSerializer(serializers.ModelSerializer[ScheduleFiring]):
    round: Any = serializers.IntegerField(source="round.number", allow_null=True, default=None)

    class Meta:
        model = ScheduleFiring
        fields = ["id", "due_at", "missed", "state", "round", "error", "settled_at"]
        read_only_fields = fields


class ScheduleSerializer(serializers.ModelSerializer[Schedule]):
    criterion: Any = serializers.CharField(source="criterion.name")
    prompt_set: Any = serializers.IntegerField(source="prompt_set_id")
    start_policy: Any = serializers.IntegerField(
        source="start_policy_id", allow_null=True, help_text="null: the newest there is then."
    )
    time_of_day = serializers.TimeField(allow_null=True, help_text="In the project's time zone.")

    class Meta:
        model = Schedule
        fields = [
            "id", "trigger", "at", "weekday", "time_of_day", "judgments", "repeats", "criterion", "prompt_set",
            "start_policy", "paused_at", "ended_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class OneScheduleSerializer(ScheduleSerializer):
    plan = JsonValue()
    firings = serializers.SerializerMethodField(help_text="The last twenty times that fell due.")

    class Meta(ScheduleSerializer.Meta):
        fields = [*ScheduleSerializer.Meta.fields, "plan", "firings"]
        read_only_fields = fields

    @extend_schema_field(FiringSerializer(many=True))
    def get_firings(self, schedule: Schedule) -> Any:
        last = schedule.firings.select_related("round").order_by("-due_at")[:20]
        return FiringSerializer(last, many=True).data


class ScheduleQuery(PageQuery):
    order = OrderField("id")
    trigger = serializers.ChoiceField(Trigger.choices, required=False)


class NewSchedule(RoundValues):
    trigger = serializers.ChoiceField(Trigger.choices)
    at = serializers.CharField(
        max_length=40,
        required=False,
        help_text="2026-12-01T09:00 in the project's time zone, or with an offset.",
    )
    weekday = serializers.IntegerField(min_value=0, max_value=6, required=False, help_text="0: Monday.")
    time_of_day = serializers.TimeField(required=False)
    judgments = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    repeats = serializers.BooleanField(default=False)
    newest_policy = serializers.BooleanField(
        default=True, help_text="Start from the newest there is then, or as `start_from` says."
    )


def _when(data: dict[str, Any], zone: ZoneInfo) -> When:
    """Takes what says when out of the data. Raises ValidationError naming what is missing, UserError."""
    given = {
        name: data.pop(name, None)
        for name in ("trigger", "at", "weekday", "time_of_day", "judgments", "repeats")
    }
    trigger = Trigger(given["trigger"])
    needed = {
        Trigger.AT: ("at",),
        Trigger.WEEKLY: ("weekday", "time_of_day"),
        Trigger.AFTER_ROUND: (),
        Trigger.JUDGMENTS: ("judgments",),
    }[trigger]
    if missing := [name for name in needed if given[name] is None]:
        raise ValidationError({name: [f"The trigger “{trigger}” needs it."] for name in missing})
    match trigger:
        case Trigger.AT:
            return _at(given["at"], zone)
        case Trigger.WEEKLY:
            return every_week(given["weekday"], given["time_of_day"])
        case Trigger.AFTER_ROUND:
            return after_round(repeats=given["repeats"])
        case Trigger.JUDGMENTS:
            return after_judgments(given["judgments"], repeats=given["repeats"])


def _at(text: str, zone: ZoneInfo) -> When:
    try:
        return at_time(datetime.fromisoformat(text), zone)
    except (ValueError, OverflowError) as error:
        raise ValidationError({"at": ["It is no time: write 2026-12-01T09:00."]}) from error


class Schedules(ProjectApiView):
    @operation(Capability.REVIEW, lists=ScheduleSerializer, query=ScheduleQuery)
    def get(self, request: Request) -> QuerySet[Schedule]:
        """The project's schedules."""
        return self.project.schedules.select_related("criterion").defer("plan")

    @operation(Capability.MANAGE, body=NewSchedule, answers=OneScheduleSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Schedule:
        """A round of these values, later."""
        newest = data.pop("newest_policy")
        when = _when(data, ZoneInfo(self.project.time_zone))
        asked = planned(self, data)
        if newest or asked["plan"].start_from != LAST:  # whose rule says it at the time itself
            asked["start_policy"] = None
        return actions.create_schedule(when=when, **asked)


class OneSchedule(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneScheduleSerializer)
    def get(self, request: Request, pk: int) -> Schedule:
        """A schedule and its last times."""
        return access_schedule(self.project, pk)

    @operation(Capability.MANAGE, status=204)
    def delete(self, request: Request, pk: int) -> None:
        """Delete it; rounds that it started stay."""
        actions.delete_schedule(actor=self.actor, schedule=access_schedule(self.project, pk))


class PauseSchedule(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneScheduleSerializer)
    def post(self, request: Request, pk: int) -> Schedule:
        """Nothing falls due meanwhile."""
        return actions.pause_schedule(actor=self.actor, schedule=access_schedule(self.project, pk))


class ResumeSchedule(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneScheduleSerializer)
    def post(self, request: Request, pk: int) -> Schedule:
        """Go on from now."""
        return actions.resume_schedule(actor=self.actor, schedule=access_schedule(self.project, pk))


class RetryFiring(ProjectApiView):
    @operation(Capability.MANAGE, answers=FiringSerializer)
    def post(self, request: Request, pk: int) -> ScheduleFiring:
        """Try a time again whose round could not start."""
        return actions.retry_firing(actor=self.actor, firing=access_firing(self.project, pk))


class DropFiring(ProjectApiView):
    @operation(Capability.MANAGE, answers=FiringSerializer)
    def post(self, request: Request, pk: int) -> ScheduleFiring:
        """Give up a time that waits."""
        return actions.drop_firing(actor=self.actor, firing=access_firing(self.project, pk))
