"""Prompts, prompt sets, demonstrations and texts of a project: a list of each, and a page of each thing.

Where a response came from only managers read here: reviewers judge, too.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.access import (
    access_demonstration,
    access_prompt,
    access_prompt_set,
    access_text,
    shown_tasks,
)
from annotation.data.search import search_demonstrations, search_prompts, search_texts
from annotation.models import Demonstration, Prompt, PromptSet, PromptSetMember, Response, Task, Text
from annotation.models.imports import arrived
from annotation.rendering.conversation import display_texts
from annotation.rendering.markdown import excerpt
from learning.interface.messages import stored_answer
from workspace.lists import Filter, field_filter, read_list
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

SHOWN_RESPONSES = 20
SPLITS = field_filter("split", gettext_lazy("Split"), Prompt.Split.choices)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def prompts(request: ProjectRequest) -> HttpResponse:
    found = arrived(Prompt.objects.filter(project=request.project)).select_related("from_import")
    filters = [
        SPLITS,
        field_filter("kind", gettext("Kind"), Prompt.Kind.choices),
        _set_filter(request.project),
        _import_filter(request.project, "prompts"),
    ]
    listing = read_list(request, found, search=search_prompts, filters=filters)
    return render(
        request,
        "annotation/data/prompts.html",
        {"listing": listing, "rows": _prompt_rows(listing.rows, request.capabilities)},
    )


def _prompt_rows(found: Sequence[Prompt], capabilities: frozenset[Capability]) -> list[dict[str, Any]]:
    keys = [prompt.pk for prompt in found]
    n_responses = _counts(Response.objects.filter(prompt__in=keys))
    n_tasks = _counts(shown_tasks(Task.objects.filter(prompt__in=keys, batch__visible=True), capabilities))
    n_demonstrations = _counts(Demonstration.objects.filter(prompt__in=keys))
    return [
        {
            "prompt": prompt,
            "text": excerpt(prompt.messages[-1]["content"], 160),
            "turns": len(prompt.messages),
            "responses": n_responses.get(prompt.pk, 0),
            "tasks": n_tasks.get(prompt.pk, 0),
            "demonstrations": n_demonstrations.get(prompt.pk, 0),
        }
        for prompt in found
    ]


def _counts(rows: QuerySet[Any]) -> dict[int, int]:
    """prompt -> how many of these rows are about it."""
    return dict(rows.order_by().values_list("prompt").annotate(n=Count("pk")))


def _set_filter(project: Project) -> Filter:
    sets = project.prompt_sets.order_by("name").values_list("pk", "name")
    return Filter(
        name="set",
        label=gettext("Prompt set"),
        choices=[(str(pk), name) for pk, name in sets],
        apply=lambda rows, value: rows.filter(memberships__prompt_set=int(value)),
    )


def _import_filter(project: Project, of: str) -> Filter:
    """By the import that brought them in; `of`: what imports call them."""
    # A project has hundreds of imports, not thousands; of more the newest can be chosen.
    found = project.imports.finished().filter(**{f"{of}__isnull": False}).distinct().order_by("-pk")[:200]
    return Filter(
        name="import",
        label=gettext("Import"),
        choices=[(str(imported.pk), str(imported)) for imported in found],
        apply=lambda rows, value: rows.filter(from_import=int(value)),
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def prompt(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_prompt(request.project, pk)
    responses = list(
        found.responses.select_related("source", "from_import").order_by("pk")[: SHOWN_RESPONSES + 1]
    )
    more_responses = len(responses) > SHOWN_RESPONSES
    responses = responses[:SHOWN_RESPONSES]
    if Capability.MANAGE not in request.capabilities:
        # In the order of their text, so that their place tells nothing to who may judge them.
        responses.sort(key=lambda row: row.text)
    turns, shown = display_texts(
        found.messages, {str(place): row.answer for place, row in enumerate(responses, 1)}
    )
    demonstrations = found.demonstrations.select_related("author").order_by("pk")[:SHOWN_RESPONSES]
    batches = (
        shown_tasks(found.tasks.filter(batch__visible=True), request.capabilities)
        .values("batch", "batch__name")
        .annotate(n=Count("judgments__current_pointer"))
        .order_by("batch")
    )
    context = {
        "prompt": found,
        "turns": turns,
        "responses": list(zip(shown, responses, strict=False)),
        "more_responses": more_responses,
        "demonstrations": demonstrations,
        "sets": found.prompt_sets.order_by("name"),
        "batches": batches,
        "metadata": _as_json(found.metadata),
    }
    return render(request, "annotation/data/prompt.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def prompt_sets(request: ProjectRequest) -> HttpResponse:
    found = request.project.prompt_sets.select_related("from_import")
    listing = read_list(
        request,
        found,
        search=lambda rows, text: rows.filter(name__icontains=text),
        filters=[field_filter("purpose", gettext("Purpose"), PromptSet.Purpose.choices)],
    )
    sizes = dict(
        PromptSetMember.objects.filter(prompt_set__in=listing.rows)
        .values_list("prompt_set")
        .annotate(n=Count("pk"))
    )
    rows = [{"set": row, "prompts": sizes.get(row.pk, 0)} for row in listing.rows]
    return render(request, "annotation/data/prompt_sets.html", {"listing": listing, "rows": rows})


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def prompt_set(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_prompt_set(request.project, pk)
    members = Prompt.objects.filter(memberships__prompt_set=found).select_related("from_import")
    listing = read_list(request, members, search=search_prompts, filters=[SPLITS])
    splits = dict(members.order_by().values_list("split").annotate(n=Count("pk")))
    context = {
        "set": found,
        "listing": listing,
        "rows": _prompt_rows(listing.rows, request.capabilities),
        "splits": [(label, splits[name]) for name, label in Prompt.Split.choices if name in splits],
    }
    return render(request, "annotation/data/prompt_set.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def demonstrations(request: ProjectRequest) -> HttpResponse:
    found = Demonstration.objects.filter(project=request.project).select_related("prompt", "author")
    filters = [
        field_filter("split", gettext("Split"), Prompt.Split.choices, "prompt__split"),
        _import_filter(request.project, "demonstrations"),
    ]
    listing = read_list(request, found, search=search_demonstrations, filters=filters)
    rows = [
        {
            "demonstration": row,
            "prompt": excerpt(row.prompt.messages[-1]["content"], 120),
            "response": excerpt(row.response_text, 160),
        }
        for row in listing.rows
    ]
    return render(request, "annotation/data/demonstrations.html", {"listing": listing, "rows": rows})


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def demonstration(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_demonstration(request.project, pk)
    answer = stored_answer(found.response_text, found.turns)
    turns, [response] = display_texts(found.prompt.messages, {"1": answer})
    context = {
        "demonstration": found,
        "turns": turns,
        "response": response,
        "metadata": _as_json(found.metadata),
    }
    return render(request, "annotation/data/demonstration.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def texts(request: ProjectRequest) -> HttpResponse:
    found = Text.objects.filter(project=request.project).select_related("from_import")
    licences = found.order_by("licence").values_list("licence", flat=True).distinct()[:100]
    # An address cannot tell an empty value from none.
    named = [(licence or "(none)", licence or gettext("None named")) for licence in licences]
    filters = [
        SPLITS,
        Filter(
            name="licence",
            label=gettext("Licence"),
            choices=named,
            apply=lambda rows, value: rows.filter(licence="" if value == "(none)" else value),
        ),
        _import_filter(request.project, "texts"),
    ]
    listing = read_list(request, found, search=search_texts, filters=filters)
    rows = [{"text": row, "excerpt": excerpt(row.text, 200)} for row in listing.rows]
    return render(request, "annotation/data/texts.html", {"listing": listing, "rows": rows})


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def text(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_text(request.project, pk)
    context = {"text": found, "metadata": _as_json(found.metadata)}
    return render(request, "annotation/data/text.html", context)


def _as_json(metadata: Any) -> str:
    return json.dumps(metadata, indent=2, ensure_ascii=False) if metadata else ""
