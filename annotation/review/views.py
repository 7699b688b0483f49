"""Pages of reviewers and managers: how far a batch is, and what was judged in it."""

from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Avg, Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_batch, access_judgment
from annotation.batches import actions
from annotation.batches.progress import batch_progress
from annotation.models import Batch, Judgment, Task
from annotation.preferences.flags import FLAG_LABELS
from annotation.preferences.scale import describe_step, labels_to_responses, tiers_to_labels
from annotation.rendering.conversation import display_task
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt
from workspace.models import User
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 50
FIRST_TASKS = 5


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def batches(request: ProjectRequest) -> HttpResponse:
    project = request.project
    visible_batches = (
        Batch.objects.filter(project=project, visible=True).select_related("criterion").order_by("-pk")
    )
    page = Paginator(visible_batches, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [{"batch": batch, "progress": batch_progress(batch)} for batch in page]
    return render(request, "annotation/review/batches.html", {"project": project, "rows": rows, "page": page})


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def batch(request: ProjectRequest, pk: int) -> HttpResponse:
    project = request.project
    batch = access_batch(project, pk)
    judgments = (
        Judgment.objects.current()
        .in_batch(batch)
        .select_related("annotator", "task__prompt", "from_import")
        .order_by("-created_at", "-pk")
    )
    annotator_filter = request.GET.get("annotator", "")
    filtered = judgments.filter(annotator__pseudonym=annotator_filter) if annotator_filter else judgments
    page = Paginator(filtered, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "batch": batch,
        "progress": batch_progress(batch),
        "people": _annotator_counts(judgments),
        "annotator_filter": annotator_filter,
        "page": page,
        "rows": [_judgment_row(judgment) for judgment in page],
        "first_tasks": _first_tasks(batch) if batch.state == Batch.State.DRAFT else [],
    }
    return render(request, "annotation/review/batch.html", context)


def _first_tasks(batch: Batch) -> list[dict[str, Any]]:
    """What a draft asks, to look at before it is opened; not whose answers they are."""
    tasks = batch.tasks.select_related("prompt").prefetch_related("task_responses__response").order_by("pk")
    return [
        {
            "prompt": excerpt(task.prompt.messages[-1]["content"], 240),
            # In the order of their text, so that their place tells nothing.
            "answers": sorted(excerpt(shown.response.text, 160) for shown in task.task_responses.all()),
        }
        for task in tasks[:FIRST_TASKS]
    ]


def _annotator_counts(judgments: QuerySet[Judgment]) -> list[dict[str, Any]]:
    annotators = judgments.order_by().values("annotator__username", "annotator__pseudonym", "annotator__kind")
    counts = annotators.annotate(judgments=Count("pk"), seconds=Avg("seconds"), imported=Count("from_import"))
    # An account made by an import has a user name that says nothing; the pseudonym is the file's.
    return [
        {**row, "name": row["annotator__pseudonym" if row["imported"] else "annotator__username"]}
        for row in counts.order_by("-judgments", "annotator__username")
    ]


def _judgment_row(judgment: Judgment) -> dict[str, Any]:
    return {
        "judgment": judgment,
        "prompt": excerpt(judgment.task.prompt.messages[-1]["content"], 90),
        "description": describe_judgment(
            tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths
        ),
        "files": _file_names(judgment),
        "kind": User.Kind(judgment.annotator.kind).label
        if judgment.annotator.kind != User.Kind.PERSON
        else "",
        "purpose": Task.Purpose(judgment.task.purpose).label
        if judgment.task.purpose != Task.Purpose.NORMAL
        else "",
    }


def _file_names(judgment: Judgment) -> str:
    """The files of the import that brought it; empty for a judgment made here."""
    return ", ".join(file["name"] for file in judgment.from_import.files) if judgment.from_import else ""


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def judgment(request: ProjectRequest, pk: int, judgment_pk: int) -> HttpResponse:
    """One judgment with what was shown, in the order the annotator put it, and the chain it belongs to."""
    project = request.project
    batch = access_batch(project, pk)
    judgment = access_judgment(batch, judgment_pk)
    turns, responses = display_task(judgment.task.prompt.messages, judgment.order_shown)
    shown = {response.label: response for response in responses}
    label_of = {key: label for label, key in labels_to_responses(judgment.order_shown).items()}
    tiers = [
        {
            "rank": rank,
            "tie": len(tier) > 1,
            "responses": [shown[label_of[key]] for key in tier],
            "step": describe_step(judgment.strengths[rank - 1]) if rank <= len(judgment.strengths) else "",
        }
        for rank, tier in enumerate(judgment.tiers, start=1)
    ]
    chain = list(judgment.assignment.judgments.order_by("pk"))
    context = {
        "project": project,
        "batch": batch,
        "judgment": judgment,
        "files": _file_names(judgment),
        "turns": turns,
        "tiers": tiers,
        "flags": [label for flag, label in FLAG_LABELS if flag in judgment.flags]
        + [flag for flag in judgment.flags if flag not in dict(FLAG_LABELS)],
        "chain": [_judgment_row(link) for link in chain] if len(chain) > 1 else [],
    }
    return render(request, "annotation/review/judgment.html", context)


@require_POST
@project_view(Capability.MANAGE)
def open_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    return _run_batch_action(request, pk, actions.open_batch, "The batch is open: annotators get its tasks.")


@require_POST
@project_view(Capability.MANAGE)
def close_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    return _run_batch_action(request, pk, actions.close_batch, "The batch is closed.")


@require_POST
@project_view(Capability.MANAGE)
def exclude_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    """With the POST field `undo` it is taken into datasets again."""
    if request.POST.get("undo"):
        return _run_batch_action(
            request, pk, actions.include_batch, "Later datasets have its judgments again."
        )
    done = "Later datasets, exports and reward models leave its judgments out."
    return _run_batch_action(request, pk, actions.exclude_batch, done)


def _run_batch_action(
    request: ProjectRequest, pk: int, action: Callable[..., Batch], done: str
) -> HttpResponse:
    batch = access_batch(request.project, pk)
    perform_action(request, action, batch=batch, done=done)
    return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)
