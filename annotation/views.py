"""The annotator's pages and what their scripts call. Thin: parse, authorise, act, render.

The work page is a shell; its script asks for tasks, keeps drafts and unsent answers, and sends them. What the script
calls answers in JSON: {"code", "message", "fields"} on a mistake, 401 when the session has ended, so that the
script can keep the work and ask to log in instead of losing it to a redirect.
"""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from annotation import actions
from annotation.access import access_assignment
from annotation.errors import AlreadySubmitted, BadAnswer
from annotation.models import Assignment, CurrentJudgment
from annotation.ordering import to_handles
from annotation.presenting import drawer_of, newest_own, task_context, words_of, work_of
from annotation.rendering import excerpt, render_markdown
from workspace.access import ANY_ROLE, access_project
from workspace.errors import ActionError
from workspace.models import Project, User

View = Callable[..., HttpResponse]
MAX_BODY = 400_000


class Visit(HttpRequest):
    """A request of somebody who is logged in; `project` is what the navigation shows."""

    user: User
    project: Project


def in_project(request: HttpRequest, slug: str) -> Project:
    """The project of a page, for a member of any role; 404 for everybody else."""
    project = access_project(request.user, slug, roles=ANY_ROLE)
    request.project = project  # type: ignore[attr-defined]
    return project


def called_by_script(view: View) -> View:
    """Answers 401 in JSON without a session, and an ActionError as its code and sentence."""

    @wraps(view)
    @never_cache
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return problem("login_required", "Your session has ended. Log in again: your work is kept.", 401)
        try:
            return view(request, *args, **kwargs)
        except ActionError as error:
            status = 409 if isinstance(error, AlreadySubmitted) else 400
            return problem(error.code, error.message, status, error.fields)
        except Http404:
            return problem("not_found", "There is no such task.", 404)

    return answered


def problem(code: str, message: str, status: int, fields: dict[str, str] | None = None) -> JsonResponse:
    return JsonResponse({"code": code, "message": message, "fields": fields or {}}, status=status)


def read_body(request: HttpRequest) -> dict[str, Any]:
    """The JSON object a script sent. Raises BadAnswer."""
    if len(request.body) > MAX_BODY:
        raise BadAnswer("The request is too large.")
    try:
        data = json.loads(request.body or b"{}")
    except (ValueError, RecursionError) as error:
        raise BadAnswer("The request is not JSON.") from error
    if not isinstance(data, dict):
        raise BadAnswer("The request is not a JSON object.")
    return data


@login_required
@require_GET
@never_cache
def home(request: Visit, slug: str) -> HttpResponse:
    """The annotator's desk: what is left, what they did last, the guideline."""
    project = in_project(request, slug)
    recent = [
        {
            "handle": judgment.assignment.handle,
            "prompt": excerpt(judgment.task.prompt.messages[-1]["content"]),
            "words": words_of(to_handles(judgment.order_shown, judgment.tiers), judgment.strengths),
            "created_at": judgment.created_at,
            "changeable": judgment.task.batch.state == "open",
        }
        for judgment in newest_own(request.user, project, 10)
    ]
    newest = project.guidelines.order_by("-version").first()
    context = {
        "project": project,
        "work": work_of(request.user, project),
        "recent": recent,
        "guideline": render_markdown(newest.text) if newest and newest.text.strip() else "",
    }
    return render(request, "annotation/home.html", context)


@login_required
@require_GET
@never_cache
@ensure_csrf_cookie
def work(request: Visit, slug: str) -> HttpResponse:
    project = in_project(request, slug)
    return render(request, "annotation/work.html", shell(request.user, project, None))


@login_required
@require_GET
@never_cache
@ensure_csrf_cookie
def task(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    """The work page, opened at one of the annotator's own tasks."""
    project = in_project(request, slug)
    assignment = access_assignment(request.user, project, handle)
    return render(request, "annotation/work.html", shell(request.user, project, assignment))


def shell(actor: User, project: Project, assignment: Assignment | None) -> dict[str, Any]:
    newest = project.guidelines.order_by("-version").first()
    return {
        "project": project,
        "first": assignment,
        "drawer": drawer_of(actor, project),
        "guideline": render_markdown(newest.text) if newest and newest.text.strip() else "",
    }


@login_required
@require_GET
def guideline(request: Visit, slug: str) -> HttpResponse:
    project = in_project(request, slug)
    newest = project.guidelines.order_by("-version").first()
    context = {"project": project, "newest": newest, "html": render_markdown(newest.text) if newest else ""}
    return render(request, "annotation/guideline.html", context)


@require_POST
@called_by_script
def next_task(request: Visit, slug: str) -> HttpResponse:
    """Claims the next task. `after`: the handle on the screen, for the prefetch of the one behind it."""
    project = in_project(request, slug)
    after = None
    if given := read_body(request).get("after"):
        try:
            after = access_assignment(request.user, project, UUID(str(given)))
        except ValueError as error:
            raise BadAnswer("`after` is not a handle.") from error
    assignment = actions.claim_task(actor=request.user, project=project, after=after)
    if assignment is None:
        html = render_to_string("annotation/nothing_left.html", {"project": project}, request)
        return JsonResponse({"handle": None, "html": html, "work": work_of(request.user, project)})
    return content(request, project, assignment)


def content(request: Visit, project: Project, assignment: Assignment) -> JsonResponse:
    pointer = CurrentJudgment.objects.filter(task=assignment.task_id, annotator=request.user).select_related(
        "judgment"
    )
    current = pointer.first()
    context = task_context(assignment, judgment=current.judgment if current else None)
    return JsonResponse(
        {
            "handle": str(assignment.handle),
            "html": render_to_string("annotation/task.html", context | {"project": project}, request),
            "work": work_of(request.user, project),
            "draft": context["draft"],
            "answer": context["answer"],
        }
    )


@require_GET
@called_by_script
def task_content(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    project = in_project(request, slug)
    return content(request, project, access_assignment(request.user, project, handle))


@require_POST
@called_by_script
def draft(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, in_project(request, slug), handle)
    kept = actions.save_draft(
        actor=request.user, assignment=assignment, draft=read_body(request), characters=len(request.body)
    )
    return JsonResponse({"kept": kept})


@require_POST
@called_by_script
def submit(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    """A first answer, or with `revise` a new one in its place. Repeated with the same key it changes nothing."""
    assignment = access_assignment(request.user, in_project(request, slug), handle)
    data: Any = read_body(request)
    act = actions.revise_judgment if data.get("revise") is True else actions.submit_judgment
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
@called_by_script
def skip(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, in_project(request, slug), handle)
    reason = read_body(request).get("reason", "")
    actions.skip_task(
        actor=request.user, assignment=assignment, reason=reason if isinstance(reason, str) else ""
    )
    return JsonResponse({"skipped": True})


@require_POST
@called_by_script
def unskip(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    """Takes a skipped task back; answers with its content, which may have been changed meanwhile."""
    project = in_project(request, slug)
    assignment = access_assignment(request.user, project, handle)
    actions.unskip_task(actor=request.user, assignment=assignment)
    return content(request, project, access_assignment(request.user, project, handle))


@require_POST
@called_by_script
def withdraw(request: Visit, slug: str, handle: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, in_project(request, slug), handle)
    actions.withdraw_judgment(
        actor=request.user, assignment=assignment, idempotency_key=read_body(request).get("key", "")
    )
    return JsonResponse({"withdrawn": True}, status=201)


@require_GET
@called_by_script
@ensure_csrf_cookie
def token(request: Visit, slug: str) -> HttpResponse:
    """A fresh CSRF cookie, for a page that outlived its own."""
    in_project(request, slug)
    return JsonResponse({"ready": True})
