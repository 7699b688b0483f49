"""Pages of reviewers and managers: how far a batch is, and what was judged in it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Avg, Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import (
    access_batch,
    access_batch_to_read,
    access_judgment,
    shown_batches,
    shown_tasks,
    shown_to,
)
from annotation.assigning.words import audience_words
from annotation.batches import actions, exclusion
from annotation.batches.progress import batch_progress
from annotation.making.queueing import being_made
from annotation.models import Assignment, Batch, Judgment, Response
from annotation.preferences.content_warnings import split_warnings
from annotation.preferences.marks import show_marks
from annotation.preferences.scale import describe_step, labels_to_responses, marks_by_label
from annotation.queue.opt_outs import set_content_warnings
from annotation.rendering.conversation import display_task
from annotation.rendering.flags import flag_labels
from annotation.rendering.judgments import describe_view, describe_way
from annotation.review.forms import OverlapForm
from annotation.review.listing import (
    chosen_filters,
    current_judgments,
    file_names,
    find_neighbours,
    judgment_row,
    read_judgments,
)
from annotation.review.said import count_said
from annotation.review.tasks import first_tasks, task_judgments
from workspace.asked import Asked
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_SIZE = 50
FIRST_TASKS = 5


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def batches(request: ProjectRequest) -> HttpResponse:
    project = request.project
    visible_batches = shown_batches(Batch.objects.filter(project=project, visible=True), request.capabilities)
    visible_batches = visible_batches.select_related("criterion").order_by("-pk")
    page = Paginator(visible_batches, PAGE_SIZE).get_page(request.GET.get("page"))
    seen = shown_to(request.user, Assignment.objects.all(), request.capabilities)
    rows = [{"batch": batch, "progress": batch_progress(batch, seen)} for batch in page]
    context = {"project": project, "rows": rows, "page": page, "being_made": being_made(project)}
    return render(request, "annotation/review/batches.html", context)


@require_GET
@project_view(Capability.MANAGE)
def new_batch(request: ProjectRequest) -> HttpResponse:
    """A batch is made of answers in a file."""
    return redirect(reverse("data:new_upload", args=[request.project.slug]) + "?kind=tasks")


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def batch(request: ProjectRequest, pk: int) -> HttpResponse:
    project = request.project
    batch = access_batch_to_read(project, pk, request.capabilities)
    people = _annotator_counts(current_judgments(batch, request.capabilities))
    listing = read_judgments(request, batch, [(row["annotator__pseudonym"], row["name"]) for row in people])
    context = {
        "project": project,
        "batch": batch,
        "progress": batch_progress(
            batch, shown_to(request.user, Assignment.objects.all(), request.capabilities)
        ),
        "people": people,
        "trainings": list(project.trainings.order_by("pk"))
        if Capability.MANAGE in request.capabilities
        else [],
        "audience": audience_words(batch) if Capability.MANAGE in request.capabilities else "",
        "warnings": split_warnings(batch.content_warnings),
        "said": count_said(batch, request.user, request.capabilities),
        "annotator_filter": listing.filters[0]["chosen"],
        "listing": listing,
        "chosen": chosen_filters(listing),
        "rows": [judgment_row(judgment) for judgment in listing.rows],
        "first_task": shown_tasks(batch.tasks.all(), request.capabilities).order_by("pk").first(),
        "first_tasks": first_tasks(batch, FIRST_TASKS, request.capabilities)
        if batch.state == Batch.State.DRAFT
        else [],
    }
    return render(request, "annotation/review/batch.html", context)


def _annotator_counts(judgments: QuerySet[Judgment]) -> list[dict[str, Any]]:
    annotators = judgments.order_by().values("annotator__username", "annotator__pseudonym", "annotator__kind")
    counts = annotators.annotate(judgments=Count("pk"), seconds=Avg("seconds"), imported=Count("from_import"))
    # An account made by an import has a user name that says nothing; the pseudonym is the file's.
    return [
        {**row, "name": row["annotator__pseudonym" if row["imported"] else "annotator__username"]}
        for row in counts.order_by("-judgments", "annotator__username")
    ]


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def judgment(request: ProjectRequest, pk: int, judgment_pk: int) -> HttpResponse:
    """One judgment with what was shown, in the order the annotator put it, the chain it belongs to, what others say of
    its task, and its neighbours in the list it was opened from.
    """
    project = request.project
    batch = access_batch_to_read(project, pk, request.capabilities)
    judgment = access_judgment(batch, judgment_pk, request.capabilities)
    turns, responses = display_task(judgment.task.prompt.messages, judgment.order_shown)
    shown = {response.label: response for response in responses}
    label_of = {key: label for label, key in labels_to_responses(judgment.order_shown).items()}
    # Reviewers judge, too: whose answers they are only managers read.
    written_by: dict[int, Response] = {}
    if Capability.MANAGE in request.capabilities:
        written_by = Response.objects.select_related("source").in_bulk(judgment.order_shown)
    evidence = judgment.evidence or {}
    seen = {key: describe_view(one) for key, one in evidence.get("responses", {}).items()}
    tiers = [
        {
            "rank": rank,
            "tie": len(tier) > 1,
            "responses": [(shown[label_of[key]], written_by.get(key), seen.get(str(key))) for key in tier],
            "step": describe_step(judgment.strengths[rank - 1]) if rank <= len(judgment.strengths) else "",
        }
        for rank, tier in enumerate(judgment.tiers, start=1)
    ]
    chain = list(judgment.assignment.judgments.order_by("pk"))
    settings = project.question_settings.filter(version=judgment.settings_version).first()
    asked = settings.asks if settings else Asked()
    labels = flag_labels(project) | asked.flag_labels()
    now = batch.criterion
    above, below, chosen = find_neighbours(request, batch, judgment)
    context = {
        "project": project,
        "batch": batch,
        "judgment": judgment,
        "trainings": project.trainings.order_by("pk"),
        "question": settings.question_of(now.name, now.question) if settings else now.question,
        "files": file_names(judgment),
        "turns": turns,
        "tiers": tiers,
        "flags": [labels.get(flag, flag) for flag in judgment.flags],
        "confidence": judgment.confidence,
        "confidence_points": asked.confidence_points,
        "marks": [
            (label, show_marks(asked, marks, len(judgment.order_shown), now.name))
            for label, marks in marks_by_label(judgment.order_shown, judgment.marks).items()
        ],
        "way": describe_way(evidence),
        "chain": [judgment_row(link) for link in chain] if len(chain) > 1 else [],
        "others": [
            row
            for row in task_judgments(judgment.task)
            if row["judgment"].assignment_id != judgment.assignment_id
        ],
        "above": above,
        "below": below,
        "chosen": chosen,
    }
    return render(request, "annotation/review/judgment.html", context)


@require_POST
@project_view(Capability.MANAGE)
def open_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    return _run_batch_action(
        request, pk, actions.open_batch, gettext("The batch is open: annotators get its tasks.")
    )


@require_POST
@project_view(Capability.MANAGE)
def close_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    return _run_batch_action(request, pk, actions.close_batch, gettext("The batch is closed."))


@require_POST
@project_view(Capability.MANAGE)
def change_overlap(request: ProjectRequest, pk: int) -> HttpResponse:
    """How many people judge each of its tasks from now on."""
    batch = access_batch(request.project, pk)
    form = OverlapForm(request.POST)
    if form.is_valid():
        perform_action(
            request,
            actions.change_overlap,
            batch=batch,
            **form.cleaned_data,
            done=gettext("Saved. What is judged stays; open tasks follow."),
        )
    else:
        messages.error(request, " ".join(" ".join(map(str, texts)) for texts in form.errors.values()))
    return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)


@require_POST
@project_view(Capability.MANAGE)
def set_warnings(request: ProjectRequest, pk: int) -> HttpResponse:
    """What the batch warns of: names with commas between them."""
    batch = access_batch(request.project, pk)
    perform_action(
        request,
        set_content_warnings,
        batch=batch,
        names=request.POST.get("names", "")[:1_000].split(","),
        expected=split_warnings(request.POST.get("expected", "")[:1_000]),
        done=gettext("Saved. Who does not want to see it is not offered its tasks."),
    )
    return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)


@require_POST
@project_view(Capability.MANAGE)
def exclude_batch(request: ProjectRequest, pk: int) -> HttpResponse:
    """With the POST field `undo` it is taken into datasets again."""
    if request.POST.get("undo"):
        return _run_batch_action(
            request, pk, exclusion.include_batch, gettext("Later datasets have its judgments again.")
        )
    done = gettext("Later datasets, exports and reward models leave its judgments out.")
    return _run_batch_action(request, pk, exclusion.exclude_batch, done)


def _run_batch_action(
    request: ProjectRequest, pk: int, action: Callable[..., Batch], done: str
) -> HttpResponse:
    batch = access_batch(request.project, pk)
    perform_action(request, action, batch=batch, done=done)
    return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)
