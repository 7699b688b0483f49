"""The annotator's pages. The work page is a shell: its script asks for tasks and sends what was judged."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from annotation.access import access_assignment
from annotation.annotator.presenter import browser_storage_key
from annotation.annotator.progress import annotator_progress, recent_judgments
from annotation.annotator.shortcuts import SHORTCUT_GROUPS, key_caps, shortcut_table
from annotation.models import Assignment, Batch
from annotation.preferences.scale import tiers_to_labels
from annotation.rendering.judgments import describe_judgment
from annotation.rendering.markdown import excerpt, render_markdown
from workspace.models import Project, User
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


def work_page_context(actor: User, project: Project, assignment: Assignment | None) -> dict[str, Any]:
    newest = project.guidelines.latest_version()
    return {
        "project": project,
        "first_task": assignment,
        "storage_key": browser_storage_key(actor, project),
        "shortcut_groups": SHORTCUT_GROUPS,
        "shortcut_table": shortcut_table(),
        "keys": key_caps(),
        "guideline": render_markdown(newest.text) if newest and newest.text.strip() else "",
    }


@require_GET
@never_cache
@project_view(Capability.ANNOTATE)
def overview(request: ProjectRequest) -> HttpResponse:
    """What an annotator sees first: what is left, what they did last, the guideline."""
    project = request.project
    recent = [
        {
            "public_id": judgment.assignment.public_id,
            "prompt": excerpt(judgment.task.prompt.messages[-1]["content"]),
            "description": describe_judgment(
                tiers_to_labels(judgment.order_shown, judgment.tiers), judgment.strengths
            ),
            "created_at": judgment.created_at,
            "changeable": judgment.task.batch.state == Batch.State.OPEN,
        }
        for judgment in recent_judgments(request.user, project, 10)
    ]
    newest = project.guidelines.latest_version()
    context = {
        "project": project,
        "progress": annotator_progress(request.user, project),
        "recent": recent,
        "keys": key_caps(),
        "guideline": render_markdown(newest.text) if newest and newest.text.strip() else "",
    }
    return render(request, "annotation/annotator/overview.html", context)


@require_GET
@never_cache
@ensure_csrf_cookie
@project_view(Capability.ANNOTATE)
def annotate(request: ProjectRequest) -> HttpResponse:
    project = request.project
    return render(
        request, "annotation/annotator/work_page.html", work_page_context(request.user, project, None)
    )


@require_GET
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
@project_view(Capability.ANNOTATE)
def guideline(request: ProjectRequest) -> HttpResponse:
    project = request.project
    newest = project.guidelines.latest_version()
    context = {"project": project, "newest": newest, "html": render_markdown(newest.text) if newest else ""}
    return render(request, "annotation/annotator/guideline.html", context)
