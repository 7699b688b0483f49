"""How people, projects and their settings look in JSON."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from workspace.api.asked import AskedSerializer
from workspace.models import (
    ApiToken,
    Criterion,
    Guideline,
    Invitation,
    Membership,
    Project,
    QuestionSettings,
)


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong (RFC 9457): `code` for programs, `message` for people, `fields` by the place of a value."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()
    fields = serializers.DictField(child=serializers.CharField())  # type: ignore[assignment]


class TokenSerializer(serializers.ModelSerializer[ApiToken]):
    project: Any = serializers.SlugRelatedField(slug_field="slug", read_only=True, allow_null=True)

    class Meta:
        model = ApiToken
        fields = ["name", "prefix", "scope", "role", "project", "expires_at"]
        read_only_fields = fields


class MyProjectSerializer(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    role = serializers.ChoiceField(Membership.Role.choices)
    capabilities = serializers.ListField(child=serializers.CharField())


class MeSerializer(serializers.Serializer[Any]):
    username = serializers.CharField()
    pseudonym = serializers.CharField(help_text="As which the person appears in exports.")
    may_create_projects = serializers.BooleanField()
    token = TokenSerializer(allow_null=True, help_text="With which this was asked; null: by a session.")
    projects = MyProjectSerializer(many=True)


class ProjectSerializer(serializers.ModelSerializer[Project]):
    class Meta:
        model = Project
        fields = [
            "slug", "name", "description", "overlap", "lease_minutes", "version", "time_zone", "train_share",
            "validation_share", "test_per_tag", "near_duplicates_together", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(serializers.DictField(child=serializers.IntegerField()))
    def get_test_per_tag(self, project: Project) -> dict[str, int]:
        return project.test_per_tag

    test_per_tag = serializers.SerializerMethodField()


class CriterionSerializer(serializers.ModelSerializer[Criterion]):
    class Meta:
        model = Criterion
        fields = ["id", "name", "question", "created_at"]
        read_only_fields = fields


class QuestionSettingsSerializer(serializers.ModelSerializer[QuestionSettings]):
    questions = serializers.DictField(child=serializers.CharField(), read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, allow_null=True, default=None
    )

    asked = AskedSerializer(source="asks", read_only=True)

    class Meta:
        model = QuestionSettings
        fields = ["version", "allow_ties", "ask_rationale", "questions", "asked", "created_by", "created_at"]
        read_only_fields = fields


class GuidelineSerializer(serializers.ModelSerializer[Guideline]):
    class Meta:
        model = Guideline
        fields = ["version", "text", "created_at"]
        read_only_fields = fields


class MemberSerializer(serializers.ModelSerializer[Membership]):
    username = serializers.CharField(source="user.username", read_only=True)
    kind = serializers.CharField(source="user.kind", read_only=True)
    paused_at = serializers.DateTimeField(read_only=True, allow_null=True)

    class Meta:
        model = Membership
        fields = ["id", "username", "kind", "role", "paused_at", "created_at"]
        read_only_fields = fields


class InvitationSerializer(serializers.ModelSerializer[Invitation]):
    invited_by = serializers.CharField(source="invited_by.username", read_only=True)

    class Meta:
        model = Invitation
        fields = ["id", "role", "note", "invited_by", "expires_at", "created_at"]
        read_only_fields = fields


class NewInvitationSerializer(InvitationSerializer):
    link = serializers.URLField(allow_null=True, help_text="Works once, and is shown this once.")

    class Meta(InvitationSerializer.Meta):
        fields = [*InvitationSerializer.Meta.fields, "link"]
        read_only_fields = fields
