"""Annotation on Django's admin site, for operators: looking only, since every change is an action."""

from django.contrib import admin

from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    Demonstration,
    GoldJudgment,
    Judgment,
    PreferenceDataset,
    Prompt,
    PromptSet,
    Response,
    Source,
    Task,
    Text,
)
from workspace.admin import ReadOnlyAdmin


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "project",
        "criterion",
        "kind",
        "responses_per_task",
        "overlap",
        "quota",
        "state",
        "visible",
    )
    list_filter = ("state", "kind", "visible")


@admin.register(Task)
class TaskAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "batch",
        "purpose",
        "priority",
        "required_judgments",
        "open_slots",
        "counted_judgments",
    )
    list_filter = ("purpose",)
    list_select_related = ("batch",)


@admin.register(Assignment)
class AssignmentAdmin(ReadOnlyAdmin):
    list_display = ("public_id", "task", "annotator", "state", "leased_until", "submitted_at")
    list_filter = ("state",)


@admin.register(Judgment)
class JudgmentAdmin(ReadOnlyAdmin):
    list_display = ("id", "task", "annotator", "tiers", "strengths", "surplus", "withdrawn", "created_at")
    list_filter = ("surplus", "withdrawn")


@admin.register(Prompt)
class PromptAdmin(ReadOnlyAdmin):
    list_display = ("external_id", "project", "kind", "split", "created_at")
    list_filter = ("split", "kind")
    search_fields = ("external_id",)


@admin.register(Response)
class ResponseAdmin(ReadOnlyAdmin):
    list_display = ("external_id", "project", "source", "created_at")
    search_fields = ("external_id",)


@admin.register(Text)
class TextAdmin(ReadOnlyAdmin):
    list_display = ("external_id", "project", "licence", "split", "created_at")
    list_filter = ("split",)
    search_fields = ("external_id",)


admin.site.register(
    [CurrentJudgment, Demonstration, GoldJudgment, PreferenceDataset, PromptSet, Source], ReadOnlyAdmin
)
