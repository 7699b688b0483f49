"""A task of a batch as its annotators are asked it, whoever judged or skipped it; and all that was skipped.

Whose answers they are only managers read: reviewers judge, too.
"""

from typing import Any

from django.db.models import Prefetch
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.access import access_batch_to_read, shown_tasks, shown_to
from annotation.models import COUNTED_PURPOSES, Assignment, Batch, Judgment, Task, TaskResponse
from annotation.quality.task_consensus import crowd_opinion
from annotation.rendering.conversation import display_texts
from annotation.rendering.markdown import excerpt
from annotation.review.listing import judgment_row, people_filter
from workspace.lists import read_list
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


def access_task(batch: Batch, pk: int, capabilities: frozenset[Capability]) -> Task:
    found = batch.tasks.select_related("prompt", "reserved_for").filter(pk=pk)
    task = shown_tasks(found, capabilities).first()
    if task is None:
        raise Http404("No such task.")
    return task


def task_judgments(task: Task) -> list[dict[str, Any]]:
    """What everybody says of it now."""
    found = Judgment.objects.current().filter(task=task)
    return [
        judgment_row(judgment)
        for judgment in found.select_related("annotator", "task__prompt", "from_import").order_by("pk")
    ]


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def batch_task(request: ProjectRequest, pk: int, task_pk: int) -> HttpResponse:
    batch = access_batch_to_read(request.project, pk, request.capabilities)
    task = access_task(batch, task_pk, request.capabilities)
    tasks = shown_tasks(batch.tasks.all(), request.capabilities)
    shown = list(task.task_responses.select_related("response__source"))
    if Capability.MANAGE not in request.capabilities:
        # In the order of their text, so that their place tells nothing to who may judge them.
        shown.sort(key=lambda row: row.response.text)
    answers = {str(place): row.response.answer for place, row in enumerate(shown, 1)}
    turns, responses = display_texts(task.prompt.messages, answers)
    labels = {row.response_id: str(place) for place, row in enumerate(shown, 1)}
    context = {
        "batch": batch,
        "task": task,
        "opinion": crowd_opinion(task, labels),
        "can_decide": Capability.DECIDE in request.capabilities
        and task.purpose in COUNTED_PURPOSES
        and len(shown) > 1,
        "purpose": Task.Purpose(task.purpose).label if task.purpose != Task.Purpose.NORMAL else "",
        "turns": turns,
        "responses": list(zip(responses, (row.response for row in shown), strict=True)),
        "judgments": task_judgments(task),
        "skips": shown_to(
            request.user, task.assignments.filter(state=Assignment.State.SKIPPED), request.capabilities
        ).select_related("annotator"),
        "place": tasks.filter(pk__lte=task.pk).count(),
        "count": tasks.count(),
        "earlier": tasks.filter(pk__lt=task.pk).order_by("-pk").first(),
        "later": tasks.filter(pk__gt=task.pk).order_by("pk").first(),
    }
    return render(request, "annotation/review/task.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def batch_skips(request: ProjectRequest, pk: int) -> HttpResponse:
    """Who skipped which task, and why."""
    batch = access_batch_to_read(request.project, pk, request.capabilities)
    skipped = Assignment.objects.filter(task__batch=batch, state=Assignment.State.SKIPPED)
    skipped = shown_to(request.user, skipped, request.capabilities)
    people = skipped.order_by("annotator__username").values_list(
        "annotator__pseudonym", "annotator__username"
    )
    listing = read_list(
        request,
        skipped.select_related("annotator", "task__prompt"),
        filters=[people_filter(list(people.distinct()))],
    )
    rows = [
        {"skip": skip, "prompt": excerpt(skip.task.prompt.messages[-1]["content"], 120)}
        for skip in listing.rows
    ]
    return render(request, "annotation/review/skips.html", {"batch": batch, "listing": listing, "rows": rows})


def first_tasks(batch: Batch, count: int, capabilities: frozenset[Capability]) -> list[dict[str, Any]]:
    """What a draft asks, to look at before it is opened; not whose answers they are."""
    shown = Prefetch("task_responses", TaskResponse.objects.select_related("response"))
    tasks = (
        shown_tasks(batch.tasks.all(), capabilities)
        .select_related("prompt")
        .prefetch_related(shown)
        .order_by("pk")
    )
    return [
        {
            "task": task,
            "prompt": excerpt(task.prompt.messages[-1]["content"], 240),
            # In the order of their text, so that their place tells nothing.
            "answers": sorted(excerpt(shown.response.text, 160) for shown in task.task_responses.all()),
        }
        for task in tasks[:count]
    ]
