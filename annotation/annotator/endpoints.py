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
from annotation.annotator.presenter import annotator_progress, task_context
from annotation.errors import BadRequest
from annotation.judging.actions import revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import Assignment, CurrentJudgment
from annotation.queue import actions as queue
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def next_task(request: ProjectRequest) -> HttpResponse:
    """Claims the next task. `after`: the handle on the screen, for the prefetch of the one behind it."""
    project = request.project
    after = None
    if given := parse_json_body(request).get("after"):
        try:
            after = access_assignment(request.user, project, UUID(str(given)))
        except ValueError as error:
            raise BadRequest("`after` is not a handle.") from error
    assignment = queue.claim_task(actor=request.user, project=project, after=after)
    if assignment is None:
        html = render_to_string("annotation/annotator/no_tasks.html", {"project": project}, request)
        return JsonResponse({"handle": None, "html": html, "work": annotator_progress(request.user, project)})
    return task_response(request, project, assignment)


def task_response(request: ProjectRequest, project: Project, assignment: Assignment) -> JsonResponse:
    pointer = CurrentJudgment.objects.filter(task=assignment.task_id, annotator=request.user).select_related(
        "judgment"
    )
    current = pointer.first()
    context = task_context(assignment, judgment=current.judgment if current else None)
    return JsonResponse(
        {
            "handle": str(assignment.public_id),
            "html": render_to_string(
                "annotation/annotator/task.html", context | {"project": project}, request
            ),
            "work": annotator_progress(request.user, project),
            "draft": context["draft"],
            "answer": context["answer"],
        }
    )


@require_GET
@json_endpoint
@project_view(Capability.ANNOTATE)
def task_content(request: ProjectRequest, handle: UUID) -> HttpResponse:
    project = request.project
    return task_response(request, project, access_assignment(request.user, project, handle))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def draft(request: ProjectRequest, handle: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, handle)
    kept = queue.save_draft(
        actor=request.user,
        assignment=assignment,
        draft=parse_json_body(request),
        characters=len(request.body),
    )
    return JsonResponse({"kept": kept})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def submit(request: ProjectRequest, handle: UUID) -> HttpResponse:
    """A first answer, or with `revise` a new one in its place. Repeated with the same key it changes nothing."""
    assignment = access_assignment(request.user, request.project, handle)
    data: Any = parse_json_body(request)
    act = revise_judgment if data.get("revise") is True else submit_judgment
    judgment = act(
        actor=request.user,
        assignment=assignment,
        tiers=data.get("tiers"),
        strengths=data.get("strengths"),
        marks=data.get("marks"),
        rationale=data.get("rationale", ""),
        flags=data.get("flags", []),
        seconds=data.get("seconds", 0.0),
        idempotency_key=data.get("key"),
    )
    return JsonResponse({"stored": True, "counts": not judgment.surplus}, status=201)


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def skip(request: ProjectRequest, handle: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, handle)
    reason = parse_json_body(request).get("reason", "")
    queue.skip_task(
        actor=request.user, assignment=assignment, reason=reason if isinstance(reason, str) else ""
    )
    return JsonResponse({"skipped": True})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def undo_skip(request: ProjectRequest, handle: UUID) -> HttpResponse:
    """Takes a skipped task back; answers with its content, which may have been changed meanwhile."""
    project = request.project
    assignment = access_assignment(request.user, project, handle)
    queue.undo_skip(actor=request.user, assignment=assignment)
    return task_response(request, project, access_assignment(request.user, project, handle))


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def withdraw(request: ProjectRequest, handle: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, handle)
    withdraw_judgment(
        actor=request.user, assignment=assignment, idempotency_key=parse_json_body(request).get("key", "")
    )
    return JsonResponse({"withdrawn": True}, status=201)


@require_GET
@json_endpoint
@project_view(Capability.ANNOTATE)
@ensure_csrf_cookie
def refresh_csrf(request: ProjectRequest) -> HttpResponse:
    """A fresh CSRF cookie, for a page that outlived its own."""
    return JsonResponse({"ready": True})
