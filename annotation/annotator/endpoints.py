"""What the work page's script calls: next task, drafts, submit, skip. Thin: parse, authorise, act, render.

It answers in JSON: {code, message, fields} on a mistake, 401 when the session has ended, so that the script can
keep the work and ask to log in instead of losing it to a redirect.
"""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_assignment
from annotation.annotator.json_api import json_endpoint, parse_json_body
from annotation.annotator.presenter import PAGE_VERSION, guideline_content, task_context
from annotation.annotator.progress import annotator_progress
from annotation.errors import BadRequest
from annotation.judging.actions import JudgmentInput, revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment, CurrentJudgment
from annotation.queue import actions as queue
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def next_task(request: ProjectRequest) -> HttpResponse:
    """Claims the next task. `after_assignment`: what is on the screen, for the prefetch of the one behind it."""
    project = request.project
    after = None
    if public_id := parse_json_body(request).get("after_assignment"):
        try:
            after = access_assignment(request.user, project, UUID(str(public_id)))
        except ValueError as error:
            raise BadRequest("`after_assignment` is not the id of an assignment.") from error
    assignment = queue.claim_task(actor=request.user, project=project, after=after)
    if assignment is None:
        html = render_to_string("annotation/annotator/no_tasks.html", {"project": project}, request)
        return JsonResponse(
            {"public_id": None, "html": html, "progress": annotator_progress(request.user, project)}
        )
    return task_response(request, project, assignment)


def task_response(request: ProjectRequest, project: Project, assignment: Assignment) -> JsonResponse:
    pointer = CurrentJudgment.objects.filter(task=assignment.task_id, annotator=request.user).select_related(
        "judgment"
    )
    current = pointer.first()
    context = task_context(
        assignment,
        judgment=current.judgment if current else None,
        page_is_outdated=request.headers.get("X-Page-Version") != PAGE_VERSION,
    )
    return JsonResponse(
        {
            "public_id": str(assignment.public_id),
            "html": render_to_string(
                "annotation/annotator/task.html", context | {"project": project}, request
            ),
            "progress": annotator_progress(request.user, project),
            "draft": context["draft"],
            "judgment": context["judgment"],
            # What is on the screen with this task; a judgment says under which versions it was made.
            "guideline": news_of_guideline(request, project),
            "settings_version": assignment.settings_version,
        }
    )


def news_of_guideline(request: ProjectRequest, project: Project) -> dict[str, Any]:
    """The guideline in force; its version alone where the page says that it shows that one."""
    content = guideline_content(project)
    shown = request.headers.get("X-Guideline-Version")
    return {"version": content["version"]} if shown == str(content["version"]) else content


def short_response(project: Project, data: dict[str, Any], *, status: int = 200) -> JsonResponse:
    """An answer without a task. Its header says which guideline is in force, so that the page notices a new one."""
    newest = project.guidelines.latest_version()
    headers = {"X-Guideline-Version": str(newest.version if newest else 0)}
    return JsonResponse(data, status=status, headers=headers)


@require_GET
@json_endpoint
@project_view(Capability.ANNOTATE)
def task_content(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    project = request.project
    return task_response(request, project, access_assignment(request.user, project, public_id))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def draft(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, public_id)
    is_saved = queue.save_draft(
        actor=request.user,
        assignment=assignment,
        draft=parse_json_body(request),
        characters=len(request.body),
    )
    return short_response(request.project, {"saved": is_saved})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def submit(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """A first judgment, or with `revise` one in its place. Repeated with the same key it changes nothing."""
    assignment = access_assignment(request.user, request.project, public_id)
    data: Any = parse_json_body(request)
    act = revise_judgment if data.get("revise") is True else submit_judgment
    judgment = act(
        actor=request.user,
        assignment=assignment,
        content=JudgmentInput(
            tiers=data.get("tiers"),
            strengths=data.get("strengths"),
            marks=data.get("marks"),
            rationale=data.get("rationale", ""),
            flags=data.get("flags", []),
            seconds=data.get("seconds", 0.0),
            guideline_version=data.get("guideline_version"),
            settings_version=data.get("settings_version"),
        ),
        idempotency_key=data.get("idempotency_key"),
    )
    return short_response(request.project, {"stored": True, "is_counted": not judgment.surplus}, status=201)


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def skip(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, public_id)
    reason = parse_json_body(request).get("reason", "")
    queue.skip_task(
        actor=request.user, assignment=assignment, reason=reason if isinstance(reason, str) else ""
    )
    return short_response(request.project, {"skipped": True})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def undo_skip(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """Takes a skipped task back; answers with its content, which may have been changed meanwhile."""
    project = request.project
    assignment = access_assignment(request.user, project, public_id)
    queue.undo_skip(actor=request.user, assignment=assignment)
    return task_response(request, project, access_assignment(request.user, project, public_id))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def withdraw(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, public_id)
    withdraw_judgment(
        actor=request.user,
        assignment=assignment,
        idempotency_key=parse_json_body(request).get("idempotency_key", ""),
    )
    return JsonResponse({"withdrawn": True}, status=201)


@require_GET
@json_endpoint
@project_view(Capability.ANNOTATE)
@ensure_csrf_cookie
def refresh_csrf(request: ProjectRequest) -> HttpResponse:
    """A fresh CSRF cookie, for a page that outlived its own."""
    return JsonResponse({"ready": True})
