"""The audit trail of a project."""

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import JsonValue
from workspace.api.operations import operation
from workspace.audit_log import audit_events, types_called
from workspace.models import AuditEvent
from workspace.roles import Capability


class AuditEventSerializer(serializers.ModelSerializer[AuditEvent]):
    person = serializers.CharField(source="actor.username")
    object_type = serializers.CharField(source="target_type")
    object_id = serializers.CharField(source="target_id")
    details = JsonValue()

    class Meta:
        model = AuditEvent
        fields = ["id", "created_at", "person", "action", "object_type", "object_id", "details"]
        read_only_fields = fields


class AuditQuery(PageQuery):
    order = OrderField("id")
    person = serializers.CharField(
        source="actor__username", max_length=150, required=False, help_text="A user name."
    )
    action = serializers.CharField(max_length=60, required=False)
    object_type = serializers.CharField(
        max_length=60, required=False, help_text="For example batch, or annotation.batch."
    )
    object_id = serializers.CharField(source="target_id", max_length=64, required=False)
    created_after = serializers.DateTimeField(source="created_at__gt", required=False)
    created_before = serializers.DateTimeField(source="created_at__lt", required=False)


class Audit(ProjectApiView):
    @operation(Capability.MANAGE, lists=AuditEventSerializer, query=AuditQuery)
    def get(self, request: Request) -> QuerySet[AuditEvent]:
        """Who did what to what, the newest first."""
        events = audit_events(self.project)
        if (name := self.query.pop("object_type", None)) is None:
            return events
        types = types_called(name)
        if not types:
            raise ValidationError({"object_type": [f"Nothing is called “{name}”."]})
        return events.filter(target_type__in=types)
