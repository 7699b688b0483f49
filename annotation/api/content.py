"""Prompts, the sets they are in, responses and demonstrations. Responses, which say whose they are, for managers alone:
whoever reviews may judge as well.
"""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import access_demonstration, access_prompt, access_prompt_set
from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.models import Demonstration, Prompt, PromptSet, Response, Source
from annotation.models.imports import arrived
from learning.interface.vocabulary import SAMPLING_FIELDS
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, JsonValue, rows_of
from workspace.api.operations import operation
from workspace.models import Project
from workspace.roles import Capability

MAX_ROWS = 1000


class MessagesField(serializers.ListField):
    """A conversation: [{"role": "user", "content": "..."}, ...]; checked in full by the action."""

    child = serializers.DictField()

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=1000, **options)


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    prompt_id = serializers.CharField(source="external_id")
    messages = MessagesField()
    tags = serializers.ListField(child=serializers.CharField())
    split = serializers.ChoiceField(Prompt.Split.choices)

    class Meta:
        model = Prompt
        fields = ["id", "prompt_id", "messages", "kind", "tags", "split", "created_at"]
        read_only_fields = fields


class PromptQuery(PageQuery):
    order = OrderField("id")
    prompt_id = serializers.CharField(source="external_id", required=False)
    split = serializers.ChoiceField(Prompt.Split.choices, required=False)
    kind = serializers.ChoiceField(Prompt.Kind.choices, required=False)
    prompt_set = serializers.IntegerField(source="memberships__prompt_set", required=False, **KEY)


class NewPromptRow(Body):
    messages = MessagesField()
    prompt_id = serializers.CharField(max_length=200, required=False)
    kind = serializers.ChoiceField(Prompt.Kind.choices, required=False)
    tags = serializers.ListField(child=serializers.CharField(), max_length=100, required=False)
    split = serializers.ChoiceField(
        Prompt.Split.choices,
        required=False,
        help_text="Of a published set; without it the project's rule says.",
    )


class NamedPromptSet(Body):
    name = serializers.CharField(max_length=120)
    purpose = serializers.ChoiceField(PromptSet.Purpose.choices)


class NewPrompts(Body):
    rows = rows_of(NewPromptRow, min_length=1, max_length=MAX_ROWS)
    prompt_set = NamedPromptSet(required=False)


class AddedPromptsSerializer(serializers.Serializer[Any]):
    prompts = PromptSerializer(many=True)


class Prompts(ProjectApiView):
    @operation(Capability.REVIEW, lists=PromptSerializer, query=PromptQuery)
    def get(self, request: Request) -> QuerySet[Prompt]:
        """The project's prompts."""
        return arrived(Prompt.objects.filter(project=self.project))

    @operation(Capability.MANAGE, body=NewPrompts, answers=AddedPromptsSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Add prompts, perhaps to a set; in the order of the rows, one that is there already as it is."""
        members = None
        if named := data.get("prompt_set"):
            members = get_or_create_prompt_set(actor=self.actor, project=self.project, **named)
        return {
            "prompts": add_prompts(
                actor=self.actor, project=self.project, rows=data["rows"], prompt_set=members
            )
        }


class OnePrompt(ProjectApiView):
    @operation(Capability.REVIEW, answers=PromptSerializer, immutable=True)
    def get(self, request: Request, pk: int) -> Prompt:
        """A prompt."""
        return access_prompt(self.project, pk)


class PromptSetSerializer(serializers.ModelSerializer[PromptSet]):
    class Meta:
        model = PromptSet
        fields = ["id", "name", "purpose", "created_at"]
        read_only_fields = fields


class PromptSetQuery(PageQuery):
    order = OrderField("id", "name")
    purpose = serializers.ChoiceField(PromptSet.Purpose.choices, required=False)


class PromptSets(ProjectApiView):
    @operation(Capability.REVIEW, lists=PromptSetSerializer, query=PromptSetQuery)
    def get(self, request: Request) -> QuerySet[PromptSet]:
        """The sets that prompts are in; their members: /prompts?prompt_set="""
        return self.project.prompt_sets.all()


class OnePromptSet(ProjectApiView):
    @operation(Capability.REVIEW, answers=PromptSetSerializer)
    def get(self, request: Request, pk: int) -> PromptSet:
        """A set of prompts."""
        return access_prompt_set(self.project, pk)


class ResponseSerializer(serializers.ModelSerializer[Response]):
    response_id = serializers.CharField(source="external_id")
    prompt_id = serializers.CharField(source="prompt.external_id")
    turns = serializers.JSONField(allow_null=True)
    source: Any = serializers.CharField(source="source.name")
    source_kind = serializers.ChoiceField(Source.Kind.choices, source="source.kind")
    sampling = serializers.JSONField(allow_null=True)

    class Meta:
        model = Response
        fields = [
            "id", "response_id", "prompt_id", "text", "turns", "source", "source_kind", "sampling", "ended",
            "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ResponseQuery(PageQuery):
    order = OrderField("id")
    response_id = serializers.CharField(source="external_id", required=False)
    prompt_id = serializers.CharField(source="prompt__external_id", required=False)
    source: Any = serializers.CharField(source="source__name", required=False)
    source_kind = serializers.ChoiceField(Source.Kind.choices, source="source__kind", required=False)


class NewResponseRow(Body):
    prompt_id = serializers.CharField(max_length=200)
    text = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, default="")
    turns = MessagesField(required=False, help_text="Instead of a text: a response with tool calls.")
    source: Any = serializers.CharField(
        max_length=120, help_text="Who or what wrote it; nobody who judges learns it."
    )
    source_kind = serializers.ChoiceField(Source.Kind.choices, default=Source.Kind.IMPORT)
    response_id = serializers.CharField(max_length=200, required=False)
    sampling = serializers.DictField(
        child=JsonValue(), required=False, help_text=f"Any of {', '.join(SAMPLING_FIELDS)}."
    )
    ended = serializers.BooleanField(required=False, allow_null=True, default=None)

    def validate_sampling(self, value: dict[str, Any]) -> dict[str, Any]:
        if unknown := sorted(set(value) - set(SAMPLING_FIELDS)):
            raise ValidationError(f"“{unknown[0]}” is not kept: use {', '.join(SAMPLING_FIELDS)}.")
        fields: dict[type, Any] = {
            str: serializers.CharField(max_length=120),
            float: serializers.FloatField(),
            int: serializers.IntegerField(),
        }
        return {name: fields[SAMPLING_FIELDS[name]].run_validation(given) for name, given in value.items()}


class NewResponses(Body):
    rows = rows_of(NewResponseRow, min_length=1, max_length=MAX_ROWS)


class AddedResponsesSerializer(serializers.Serializer[Any]):
    responses = ResponseSerializer(many=True)


def prompts_by_id(project: Project, ids: set[str]) -> dict[str, Prompt]:
    """Raises ValidationError naming the first that the project does not have."""
    known = {
        prompt.external_id: prompt for prompt in Prompt.objects.filter(project=project, external_id__in=ids)
    }
    for prompt_id in sorted(ids - set(known)):
        raise ValidationError({"prompt_id": [f"The project has no prompt “{prompt_id}”: add it first."]})
    return known


class Responses(ProjectApiView):
    @operation(Capability.MANAGE, lists=ResponseSerializer, query=ResponseQuery)
    def get(self, request: Request) -> QuerySet[Response]:
        """The project's responses, with whose they are."""
        return Response.objects.filter(project=self.project).select_related("prompt", "source")

    @operation(Capability.MANAGE, body=NewResponses, answers=AddedResponsesSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Add responses to prompts that are there; in the order of the rows."""
        rows = data["rows"]
        prompts = prompts_by_id(self.project, {row["prompt_id"] for row in rows})
        sources: dict[tuple[str, str], Source] = {}
        for row in rows:
            key = row["source_kind"], row["source"]
            if key not in sources:
                sources[key] = get_or_create_source(
                    actor=self.actor, project=self.project, kind=key[0], name=key[1]
                )
        new = [
            NewResponse(
                prompt=prompts[row["prompt_id"]],
                source=sources[row["source_kind"], row["source"]],
                text=row["text"],
                turns=row.get("turns"),
                response_id=row.get("response_id"),
                sampling=row.get("sampling"),
                ended=row["ended"],
            )
            for row in rows
        ]
        return {"responses": add_responses(actor=self.actor, project=self.project, rows=new)}


class OneResponse(ProjectApiView):
    @operation(Capability.MANAGE, answers=ResponseSerializer, immutable=True)
    def get(self, request: Request, pk: int) -> Response:
        """A response."""
        found = (
            Response.objects.select_related("prompt", "source").filter(project=self.project, pk=pk).first()
        )
        if found is None:
            raise Http404("No such response.")
        return found


class DemonstrationSerializer(serializers.ModelSerializer[Demonstration]):
    demonstration_id = serializers.CharField(source="external_id")
    prompt_id = serializers.CharField(source="prompt.external_id")
    response = serializers.CharField(source="response_text")
    turns = serializers.JSONField(allow_null=True)

    class Meta:
        model = Demonstration
        fields = ["id", "demonstration_id", "prompt_id", "response", "turns", "created_at"]
        read_only_fields = fields


class DemonstrationQuery(PageQuery):
    order = OrderField("id")
    prompt_id = serializers.CharField(source="prompt__external_id", required=False)
    split = serializers.ChoiceField(Prompt.Split.choices, source="prompt__split", required=False)


class NewDemonstrationRow(Body):
    prompt_id = serializers.CharField(max_length=200)
    response = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False, default="")
    turns = MessagesField(required=False)
    demonstration_id = serializers.CharField(max_length=200, required=False)


class NewDemonstrations(Body):
    rows = rows_of(NewDemonstrationRow, min_length=1, max_length=MAX_ROWS)


class AddedDemonstrationsSerializer(serializers.Serializer[Any]):
    demonstrations = DemonstrationSerializer(many=True)


class Demonstrations(ProjectApiView):
    @operation(Capability.REVIEW, lists=DemonstrationSerializer, query=DemonstrationQuery)
    def get(self, request: Request) -> QuerySet[Demonstration]:
        """What people wrote to be imitated."""
        return Demonstration.objects.filter(project=self.project).select_related("prompt")

    @operation(Capability.MANAGE, body=NewDemonstrations, answers=AddedDemonstrationsSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Add demonstrations to prompts that are there; the caller is their author."""
        rows = data["rows"]
        prompts = prompts_by_id(self.project, {row["prompt_id"] for row in rows})
        new = [
            NewDemonstration(
                prompt=prompts[row["prompt_id"]],
                text=row["response"],
                turns=row.get("turns"),
                demonstration_id=row.get("demonstration_id"),
                author=self.actor,
            )
            for row in rows
        ]
        return {"demonstrations": add_demonstrations(actor=self.actor, project=self.project, rows=new)}


class OneDemonstration(ProjectApiView):
    @operation(Capability.REVIEW, answers=DemonstrationSerializer, immutable=True)
    def get(self, request: Request, pk: int) -> Demonstration:
        """A demonstration."""
        return access_demonstration(self.project, pk)
