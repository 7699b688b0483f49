"""Pages of reviewers and managers: how far a batch is, and what was judged in it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Avg, Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_batch, access_judgment
from annotation.batches import actions
from annotation.batches.progress import batch_progress
from annotation.models import Batch, Judgment, Response, Task
from annotation.preferences.scale import STRENGTH_NAMES, labels_to_responses, tiers_to_labels
from annotation.rendering.conversation import render_conversation, render_response
from annotation.rendering.judgments import FLAG_LABELS, describe_judgment
from annotation.rendering.markdown import excerpt
from workspace.access import MANAGERS, REVIEWERS, Role, access_project, role_in
from workspace.errors import ActionError
from workspace.models import Project, User

PAGE_SIZE = 50


def _review(request: HttpRequest, slug: str, roles: frozenset[Role] = REVIEWERS) -> Project:
    project = access_project(request.user, slug, roles=roles)
    request.project = project  # type: ignore[attr-defined]
    return project


@login_required
@require_GET
@never_cache
def batches(request: HttpRequest, slug: str) -> HttpResponse:
    project = _review(request, slug)
    found = Batch.objects.filter(project=project, visible=True).select_related("criterion").order_by("-pk")
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    rows = [{"batch": batch, "progress": batch_progress(batch)} for batch in page]
    return render(request, "annotation/review/batches.html", {"project": project, "rows": rows, "page": page})


@login_required
@require_GET
@never_cache
def batch(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    project = _review(request, slug)
    shown = access_batch(request.user, project, pk)
    judgments = (
        Judgment.objects.current()
        .in_batch(shown)
        .select_related("annotator", "task__prompt")
        .order_by("-created_at", "-pk")
    )
    chosen = request.GET.get("annotator", "")
    filtered = judgments.filter(annotator__pseudonym=chosen) if chosen else judgments
    page = Paginator(filtered, PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "project": project,
        "batch": shown,
        "progress": batch_progress(shown),
        "people": _people(judgments),
        "chosen": chosen,
        "page": page,
        "rows": [_row(judgment) for judgment in page],
        "manages": role_in(request.user, project) == Role.MANAGER,
    }
    return render(request, "annotation/review/batch.html", context)


def _people(judgments: QuerySet[Judgment]) -> list[dict[str, Any]]:
    people = judgments.order_by().values("annotator__username", "annotator__pseudonym", "annotator__kind")
    counted = people.annotate(judgments=Count("pk"), seconds=Avg("seconds"))
    return [dict(person) for person in counted.order_by("-judgments", "annotator__username")]


def _row(judgment: Judgment) -> dict[str, Any]:
    return {
        "judgment": judgment,
        "prompt": excerpt(judgment.task.prompt.messages[-1]["content"], 90),
        "words": describe_judgment(tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths),
        "kind": User.Kind(judgment.annotator.kind).label if judgment.annotator.kind != "person" else "",
        "purpose": Task.Purpose(judgment.task.purpose).label if judgment.task.purpose != "normal" else "",
    }


@login_required
@require_GET
@never_cache
def judgment(request: HttpRequest, slug: str, pk: int, judgment_pk: int) -> HttpResponse:
    """One judgment with what was shown, in the order the annotator put it, and the chain it belongs to."""
    project = _review(request, slug)
    shown_batch = access_batch(request.user, project, pk)
    shown = access_judgment(request.user, shown_batch, judgment_pk)
    texts = dict(Response.objects.filter(pk__in=shown.order_shown).values_list("pk", "text"))
    handle_of = {key: handle for handle, key in labels_to_responses(shown.order_shown).items()}
    tiers = [
        {
            "rank": rank,
            "tie": len(tier) > 1,
            "responses": [{"handle": handle_of[key], "html": render_response(texts[key])} for key in tier],
            "step": STRENGTH_NAMES[shown.strengths[rank - 1]] if rank <= len(shown.strengths) else "",
        }
        for rank, tier in enumerate(shown.tiers, start=1)
    ]
    chain = list(shown.assignment.judgments.order_by("pk"))
    context = {
        "project": project,
        "batch": shown_batch,
        "judgment": shown,
        "turns": render_conversation(shown.task.prompt.messages),
        "tiers": tiers,
        "flags": [words for flag, words in FLAG_LABELS if flag in shown.flags]
        + [flag for flag in shown.flags if flag not in dict(FLAG_LABELS)],
        "chain": [_row(link) for link in chain] if len(chain) > 1 else [],
    }
    return render(request, "annotation/review/judgment.html", context)


@login_required
@require_POST
def open_batch(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    return _change(request, slug, pk, actions.open_batch, "The batch is open: annotators get its tasks.")


@login_required
@require_POST
def close_batch(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    return _change(request, slug, pk, actions.close_batch, "The batch is closed.")


def _change(request: HttpRequest, slug: str, pk: int, act: Any, done: str) -> HttpResponse:
    project = _review(request, slug, MANAGERS)
    chosen = access_batch(request.user, project, pk, roles=MANAGERS)
    try:
        act(actor=request.user, batch=chosen)
    except ActionError as error:
        messages.error(request, error.message)
    else:
        messages.success(request, done)
    return redirect("annotation:batch", slug=project.slug, pk=chosen.pk)
