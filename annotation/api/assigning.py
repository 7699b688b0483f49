"""Who gets what: groups, skills and limits of members, the audience of a batch; confirming a guideline."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import access_batch
from annotation.assigning import actions
from annotation.assigning.acknowledging import (
    acknowledge_guideline,
    newest_to_acknowledge,
    readers_of,
    require_acknowledgement,
)
from workspace.access import access_member
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.operations import operation
from workspace.roles import Capability


def _names(what: str) -> Any:
    return serializers.ListField(
        child=serializers.CharField(max_length=actions.MAX_NAME_CHARACTERS),
        max_length=actions.MAX_NAMES,
        required=False,
        help_text=what,
    )


def _limit(what: str) -> Any:
    return serializers.IntegerField(
        min_value=0, max_value=actions.MAX_TASKS, required=False, help_text=f"{what}; 0 takes it away."
    )


class MemberWorkSerializer(serializers.Serializer[Any]):
    groups = serializers.ListField(child=serializers.CharField())
    skills = serializers.ListField(child=serializers.CharField(), help_text="And languages.")
    daily_limit = serializers.IntegerField(
        allow_null=True, help_text="Tasks a day; null: the project's limit."
    )


class ChangedMemberWork(Body):
    """What is left out stays as it is."""

    groups = _names("These and no others.")
    skills = _names("These and no others.")
    daily_limit = _limit("Tasks a day")


class MemberWork(ProjectApiView):
    @operation(Capability.MANAGE, answers=MemberWorkSerializer)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """A member's groups, skills and daily limit."""
        return actions.member_work(access_member(self.project, pk))

    @operation(Capability.MANAGE, body=ChangedMemberWork, answers=MemberWorkSerializer)
    def patch(self, request: Request, data: dict[str, Any], pk: int) -> dict[str, Any]:
        """Change a member's groups, skills or daily limit, from their next task on."""
        membership = access_member(self.project, pk)
        return actions.set_member_work(actor=self.actor, project=self.project, membership=membership, **data)


class AudienceSerializer(serializers.Serializer[Any]):
    people = serializers.ListField(child=serializers.CharField(), help_text="User names.")
    groups = serializers.ListField(
        child=serializers.CharField(), help_text="Without people and groups it is for everybody."
    )
    skills = serializers.ListField(child=serializers.CharField())
    skills_asked = serializers.ChoiceField([actions.ANY, actions.ALL])
    person_quota = serializers.IntegerField(allow_null=True, help_text="Tasks that one person judges of it.")
    priority = serializers.IntegerField()


class NewAudience(Body):
    people = serializers.ListField(
        child=serializers.CharField(max_length=150), max_length=actions.MAX_NAMES, required=False
    )
    groups = _names("These and no others.")
    skills = _names("These and no others.")
    skills_asked = serializers.ChoiceField([actions.ANY, actions.ALL], required=False)
    person_quota = _limit("Tasks that one person judges of it")


class ChangedAudience(NewAudience):
    """What is left out stays as it is."""

    priority = serializers.IntegerField(
        min_value=-actions.MAX_PRIORITY, max_value=actions.MAX_PRIORITY, required=False
    )


class BatchAudience(ProjectApiView):
    @operation(Capability.MANAGE, answers=AudienceSerializer)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """For whom a batch is."""
        return actions.batch_audience(access_batch(self.project, pk))

    @operation(Capability.MANAGE, body=ChangedAudience, answers=AudienceSerializer)
    def patch(self, request: Request, data: dict[str, Any], pk: int) -> dict[str, Any]:
        """Say who gets a batch, from everybody's next task on; what people have open stays theirs."""
        return actions.set_batch_audience(actor=self.actor, batch=access_batch(self.project, pk), **data)


class DailyLimitSerializer(serializers.Serializer[Any]):
    daily_limit = serializers.IntegerField(allow_null=True, help_text="Tasks a person a day; null: no limit.")


class NewDailyLimit(Body):
    daily_limit = serializers.IntegerField(
        min_value=0, max_value=actions.MAX_TASKS, help_text="0 takes it away."
    )


class ProjectDailyLimit(ProjectApiView):
    @operation(Capability.MANAGE, answers=DailyLimitSerializer)
    def get(self, request: Request) -> dict[str, Any]:
        """How many tasks each person judges a day who has no limit of their own."""
        return {"daily_limit": actions.project_daily_limit(self.project)}

    @operation(Capability.MANAGE, body=NewDailyLimit, answers=DailyLimitSerializer)
    def put(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Limit how many tasks each person judges a day."""
        limit = actions.set_daily_limit(actor=self.actor, project=self.project, **data)
        return {"daily_limit": limit}


class ReaderSerializer(serializers.Serializer[Any]):
    username = serializers.CharField()
    confirmed_at = serializers.DateTimeField(allow_null=True, help_text="null: not yet.")


class ToConfirmSerializer(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="That everybody has to confirm; 0: none.")
    readers = ReaderSerializer(many=True, help_text="Of those who judge, who has confirmed it.")


class VersionToConfirm(Body):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class ConfirmedSerializer(serializers.Serializer[Any]):
    confirmed = serializers.IntegerField()


class GuidelineConfirmation(ProjectApiView):
    @operation(Capability.MANAGE, answers=ToConfirmSerializer)
    def get(self, request: Request) -> dict[str, Any]:
        """Who has confirmed the newest guideline that has to be."""
        return self._now()

    @operation(Capability.MANAGE, body=VersionToConfirm, answers=ToConfirmSerializer)
    def put(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Ask everybody to confirm the guideline in force before their next task."""
        require_acknowledgement(actor=self.actor, project=self.project, **data)
        return self._now()

    def _now(self) -> dict[str, Any]:
        version = newest_to_acknowledge(self.project)
        readers = readers_of(self.project, version) or []
        return {"version": version, "readers": [vars(reader) for reader in readers]}


class ConfirmGuideline(ProjectApiView):
    @operation(Capability.ANNOTATE, body=VersionToConfirm, answers=ConfirmedSerializer)
    def put(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """The caller has read this version of the guideline: they get tasks again."""
        acknowledge_guideline(actor=self.actor, project=self.project, **data)
        return {"confirmed": data["version"]}
