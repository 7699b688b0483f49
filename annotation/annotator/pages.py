"""The annotator's pages. The work page is a shell: its script asks for tasks and sends what was judged.

Compressed: the one secret in them is the CSRF token, which Django masks anew in every answer; none of them shows
what the address or another site's request says, and the session's cookie (SameSite=Lax) goes along with no request of
another site but a navigation: their sizes tell nothing (BREACH). Pages with an invitation or a token are not.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_assignment, access_training
from annotation.adjudication.actions import MAX_REMARK_CHARACTERS, open_returns
from annotation.annotator.presenter import PAGE_VERSION, browser_storage_key, guideline_content
from annotation.annotator.progress import annotator_progress, recent_judgments, time_worked
from annotation.annotator.shortcuts import SHORTCUT_GROUPS, key_caps, shortcut_table
from annotation.assigning.acknowledging import acknowledge_guideline, guideline_to_read, must_confirm
from annotation.conversation.actions import open_batches_for
from annotation.models import Assignment, Batch, WritingWork
from annotation.preferences.scale import tiers_to_labels
from annotation.qualification.actions import begin_try
from annotation.qualification.feedback import own_answers, own_trainings
from annotation.qualification.scores import own_score as read_own_score
from annotation.questions.actions import questions_of
from annotation.queue.opt_outs import known_warnings, own_opt_outs, set_opt_outs
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt
from workspace.models import Project, User
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

RETURNED_SHOWN = 20
AFTER_CONFIRMING = ("writing", "conversations")


def work_page_context(actor: User, project: Project, assignment: Assignment | None) -> dict[str, Any]:
    last = recent_judgments(actor, project, 1)
    return {
        "project": project,
        "first_task": assignment,
        "storage_key": browser_storage_key(actor, project),
        "shortcut_groups": SHORTCUT_GROUPS,
        "shortcut_table": shortcut_table(),
        "keys": key_caps(),
        "page_version": PAGE_VERSION,
        "worked": time_worked(actor, project),
        "csrf_cookie": settings.CSRF_COOKIE_NAME,
        "guideline": guideline_content(project),
        # Under which the annotator judged last: a newer one is news.
        "known_guideline_version": last[0].guideline_version if last else 0,
    }


def _ago(when: datetime) -> str:
    """Not "0 minutes ago"."""
    is_now = timezone.now() - when < timedelta(minutes=1)
    return gettext("just now") if is_now else gettext("%(time)s ago") % {"time": timesince(when)}


@require_GET
@gzip_page
@never_cache
@project_view(Capability.ANNOTATE)
def overview(request: ProjectRequest) -> HttpResponse:
    """What an annotator sees first: what is left, what they did last, the guideline."""
    project = request.project
    own = own_opt_outs(request.user, project)
    trainings = own_trainings(request.user, project)
    recent = [
        {
            "public_id": judgment.assignment.public_id,
            "prompt": excerpt(judgment.task.prompt.messages[-1]["content"]),
            "description": describe_judgment(
                tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths
            ),
            "created_at": judgment.created_at,
            "ago": _ago(judgment.created_at),
            "changeable": judgment.task.batch.state == Batch.State.OPEN,
        }
        for judgment in recent_judgments(request.user, project, 10)
    ]
    context = {
        "project": project,
        "progress": annotator_progress(request.user, project),
        "is_paused": project.memberships.filter(user=request.user, paused_at__isnull=False).exists(),
        "recent": recent,
        "trainings": trainings,
        "waits_for_training": any(row["is_waiting"] or row["is_failed"] for row in trainings),
        "opt_outs": [(name, name in own) for name in sorted({*known_warnings(project), *own})],
        "questions": [
            {"question": question, "prompt": excerpt(question.task.prompt.messages[-1]["content"])}
            for question in questions_of(request.user, project, 10)
        ],
        "returned": [
            {
                "returned": returned,
                "public_id": returned.judgment.assignment.public_id,
                "prompt": excerpt(returned.judgment.task.prompt.messages[-1]["content"]),
                "description": describe_judgment(
                    tiers_to_labels(returned.judgment.order_shown, returned.judgment.tiers),
                    returned.judgment.strengths,
                ),
                "changeable": returned.judgment.task.batch.state != Batch.State.CLOSED,
            }
            for returned in open_returns(request.user, project)[:RETURNED_SHOWN]
        ],
        "most_remark": MAX_REMARK_CHARACTERS,
        "has_conversations": any(open_batches_for(request.user, project)),
        "has_writing": project.writing_works.filter(state=WritingWork.State.OPEN).exists()
        or request.user.writing_items.filter(work__project=project).exists(),
        "keys": key_caps(),
        "worked": time_worked(request.user, project),
        "guideline": guideline_content(project)["html"],
    }
    return render(request, "annotation/annotator/overview.html", context)


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def opt_outs(request: ProjectRequest) -> HttpResponse:
    """The names that are ticked on the first page, and no others."""
    perform_action(
        request,
        set_opt_outs,
        project=request.project,
        names=request.POST.getlist("names"),
        done=gettext("Saved. You get no task of a batch that warns of what you ticked."),
    )
    return redirect("annotation:overview", slug=request.project.slug)


@require_GET
@gzip_page
@never_cache
@ensure_csrf_cookie
@project_view(Capability.ANNOTATE)
def annotate(request: ProjectRequest) -> HttpResponse:
    project = request.project
    return render(
        request, "annotation/annotator/work_page.html", work_page_context(request.user, project, None)
    )


@require_GET
@gzip_page
@never_cache
@ensure_csrf_cookie
@project_view(Capability.ANNOTATE)
def task(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """The work page, opened at one of the annotator's own tasks."""
    project = request.project
    assignment = access_assignment(request.user, project, public_id)
    return render(
        request, "annotation/annotator/work_page.html", work_page_context(request.user, project, assignment)
    )


@require_GET
@gzip_page
@never_cache
@project_view(Capability.ANNOTATE)
def guideline(request: ProjectRequest) -> HttpResponse:
    """The guideline in force, as a page; for the work page's script as JSON."""
    project = request.project
    content = guideline_content(project)
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        return JsonResponse(content)
    context = {
        "project": project,
        "newest": project.guidelines.latest_version(),
        "html": content["html"],
        "to_read": guideline_to_read(request.user, project) if must_confirm(request.user, project) else None,
        "then": request.GET.get("then", ""),
    }
    return render(request, "annotation/annotator/guideline.html", context)


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def confirm_guideline(request: ProjectRequest) -> HttpResponse:
    """For work that is no task of the work page, which asks by itself; `then` is where it goes on."""
    project, then = request.project, request.POST.get("then", "")
    version = request.POST.get("version", "")
    number = int(version) if version.isdecimal() and len(version) < 9 else 0
    perform_action(request, acknowledge_guideline, project=project, version=number)
    if must_confirm(request.user, project):
        return redirect("annotation:guideline", slug=project.slug)
    return redirect(f"annotation:{then if then in AFTER_CONFIRMING else 'overview'}", slug=project.slug)


@require_GET
@never_cache
@project_view(Capability.ANNOTATE)
def own_training(request: ProjectRequest, pk: int) -> HttpResponse:
    """Where the annotator stands in a training, and what was right of what they said."""
    training = access_training(request.project, pk)
    rows = [row for row in own_trainings(request.user, request.project) if row["training"] == training]
    if not rows:
        raise Http404("No such training.")
    context = {"row": rows[0], "answers": own_answers(request.user, training)}
    return render(request, "annotation/qualification/own_training.html", context)


@require_POST
@never_cache
@project_view(Capability.ANNOTATE)
def begin_training_try(request: ProjectRequest, pk: int) -> HttpResponse:
    training = access_training(request.project, pk)
    if perform_action(request, begin_try, training=training) is None:
        return redirect("annotation:own_training", slug=request.project.slug, pk=pk)
    return redirect("annotation:annotate", slug=request.project.slug)


@require_GET
@never_cache
@project_view(Capability.ANNOTATE)
def own_score(request: ProjectRequest) -> HttpResponse:
    """Over tasks whose answer is known; which they were it does not tell."""
    context = {"score": read_own_score(request.user, request.project)}
    return render(request, "annotation/qualification/own_score.html", context)
