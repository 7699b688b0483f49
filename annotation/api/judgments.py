"""Judgments, for who reviews: in labels, as their annotator saw them; ids of responses for managers alone."""

from typing import Any

from django.db.models import Exists, OuterRef, Prefetch, QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import shown_tasks
from annotation.models import CurrentJudgment, Judgment, Task, TaskResponse
from annotation.preferences.scale import labels_to_responses, marks_by_label, tiers_to_labels
from annotation.preferences.validation import MAX_NAME_CHARACTERS
from annotation.rendering.flags import ANY_FLAG, NO_FLAG, filter_by_flag, flag_labels
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.models import Project, User
from workspace.roles import Capability

_LABELS = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))


class JudgmentSerializer(serializers.ModelSerializer[Judgment]):
    batch = serializers.IntegerField(source="task.batch_id")
    task: Any = serializers.IntegerField(source="task_id")
    criterion = serializers.CharField(source="task.batch.criterion.name")
    purpose = serializers.ChoiceField(Task.Purpose.choices, source="task.purpose")
    prompt_id = serializers.CharField(source="task.prompt.external_id")
    annotator: Any = serializers.CharField(source="annotator.pseudonym")
    annotator_kind = serializers.ChoiceField(User.Kind.choices, source="annotator.kind")
    supersedes: Any = serializers.IntegerField(source="supersedes_id", allow_null=True)
    is_current = serializers.BooleanField()
    tiers = serializers.SerializerMethodField()
    strengths = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    marks = serializers.SerializerMethodField()
    flags = serializers.ListField(child=serializers.CharField())
    responses = serializers.SerializerMethodField(help_text="{label: response_id}, for managers; else empty.")

    class Meta:
        model = Judgment
        fields = [
            "id", "batch", "task", "criterion", "purpose", "prompt_id", "annotator", "annotator_kind", "tiers",
            "strengths", "marks", "confidence", "responses", "rationale", "flags", "seconds", "settings_version",
            "guideline_version", "surplus", "withdrawn", "supersedes", "is_current", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(_LABELS)
    def get_tiers(self, judgment: Judgment) -> list[list[str]]:
        return tiers_to_labels(judgment.order_shown, judgment.tiers)

    @extend_schema_field(serializers.DictField(child=serializers.DictField()))
    def get_marks(self, judgment: Judgment) -> dict[str, Any]:
        return marks_by_label(judgment.order_shown, judgment.marks)

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_responses(self, judgment: Judgment) -> dict[str, str]:
        if Capability.MANAGE not in self.context["view"].capabilities:
            return {}
        ids = {shown.response_id: shown.response.external_id for shown in judgment.task.task_responses.all()}
        return {label: ids[key] for label, key in labels_to_responses(judgment.order_shown).items()}


class JudgmentQuery(PageQuery):
    order = OrderField("id")
    batch = serializers.IntegerField(source="task__batch_id", required=False, **KEY)
    task = serializers.IntegerField(required=False, **KEY)
    criterion = serializers.CharField(source="task__batch__criterion__name", required=False)
    purpose = serializers.ChoiceField(Task.Purpose.choices, source="task__purpose", required=False)
    annotator = serializers.CharField(source="annotator__pseudonym", required=False)
    annotator_kind = serializers.ChoiceField(User.Kind.choices, source="annotator__kind", required=False)
    flag = serializers.CharField(
        max_length=MAX_NAME_CHARACTERS,
        required=False,
        help_text=f"A flag by its name, {ANY_FLAG} (at least one) or {NO_FLAG}.",
    )
    current = serializers.ChoiceField(["true", "false"], required=False)
    created_after = serializers.DateTimeField(source="created_at__gt", required=False)
    created_before = serializers.DateTimeField(source="created_at__lt", required=False)


def _judgments(project: Project, capabilities: frozenset[Capability]) -> QuerySet[Judgment]:
    pointer = CurrentJudgment.objects.filter(judgment=OuterRef("pk"))
    found = (
        Judgment.objects.known()
        .of_project(project)
        .in_visible_batches()
        .select_related("annotator", "task__prompt", "task__batch__criterion")
        .defer("task__prompt__messages", "task__prompt__metadata")
        .annotate(is_current=Exists(pointer))
    )
    found = shown_tasks(found, capabilities, "task__")
    if Capability.MANAGE not in capabilities:
        return found
    # Their ids alone: the texts of a page are much.
    shown = TaskResponse.objects.select_related("response").only("task", "response", "response__external_id")
    return found.prefetch_related(Prefetch("task__task_responses", shown))


class Judgments(ProjectApiView):
    @operation(Capability.REVIEW, lists=JudgmentSerializer, query=JudgmentQuery)
    def get(self, request: Request) -> QuerySet[Judgment]:
        """What people (and machines) said, the newest first; revised and withdrawn ones, too. Without those of known
        answers and repeats for who judges and does not manage.
        """
        rows = _judgments(self.project, self.capabilities)
        if (current := self.query.pop("current", None)) is not None:
            rows = rows.filter(current_pointer__isnull=current == "false")
        if (flag := self.query.pop("flag", None)) is not None:
            known = [ANY_FLAG, NO_FLAG, *flag_labels(self.project)]
            if flag not in known:
                raise ValidationError({"flag": [f"Give one of {', '.join(known)}."]})
            rows = filter_by_flag(rows, flag)
        return rows


class OneJudgment(ProjectApiView):
    @operation(Capability.REVIEW, answers=JudgmentSerializer, immutable=True)
    def get(self, request: Request, pk: int) -> Judgment:
        """A judgment. It never changes, but that another may take its place (`is_current`)."""
        rows = _judgments(self.project, self.capabilities)
        found = rows.filter(pk=pk).first()
        if found is None:
            raise Http404("No such judgment.")
        return found
