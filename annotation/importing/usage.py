"""Imports that a run or a round reads stay: whoever reads their rows says so here first."""

from typing import Any

from django.db.models import Q, QuerySet

from annotation.models import Import, PromptSet, Response
from annotation.records import imports_of_judgments
from workspace.models import Project


def mark_prompts_used(prompt_set: PromptSet, used_for: str) -> None:
    """The imports whose prompts are in the set, or that put them there."""
    of_set = Q(prompts__memberships__prompt_set=prompt_set) | Q(memberships__prompt_set=prompt_set)
    _mark(Import.objects.filter(of_set, project=prompt_set.project), used_for)


def mark_demonstrations_used(project: Project, used_for: str) -> None:
    _mark(Import.objects.filter(project=project, demonstrations__isnull=False), used_for)


def mark_answers_used(responses: QuerySet[Response], used_for: str) -> None:
    """The imports that brought these answers."""
    keys = responses.filter(from_import__isnull=False).order_by().values("from_import")
    _mark(Import.objects.filter(pk__in=keys), used_for)


def mark_judgments_used(project: Project, used_for: str, **selection: Any) -> None:
    """The imports whose judgments `judgment_rows` gives for the selection, and those whose answers were judged."""
    answers = Q(responses__task_responses__task__judgments__isnull=False)
    judgments = Q(pk__in=imports_of_judgments(project, **selection))
    _mark(Import.objects.filter(answers | judgments, project=project), used_for)


def mark_texts_used(project: Project, used_for: str) -> None:
    _mark(Import.objects.filter(project=project, texts__isnull=False), used_for)


def _mark(imports: QuerySet[Import], used_for: str) -> None:
    keys = list(imports.filter(state=Import.State.DONE, used_for="").values_list("pk", flat=True).distinct())
    Import.objects.filter(pk__in=keys).update(used_for=used_for[:200])
