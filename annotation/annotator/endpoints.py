"""What the work page's script calls: next task, drafts, submit, skip. Thin: parse, authorise, act, render.

It answers in JSON: {code, message, fields} on a mistake, 401 when the session has ended, so that the script can
keep the work and ask to log in instead of losing it to a redirect.
"""

import logging
from typing import Any
from uuid import UUID

from django.db import DatabaseError
from django.http import HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_assignment, access_assignment_to_judge
from annotation.annotator.json_api import json_endpoint, parse_json_body
from annotation.annotator.presenter import guideline_content, task_context
from annotation.annotator.progress import annotator_progress, describe_progress
from annotation.assigning.acknowledging import acknowledge_guideline, guideline_to_read
from annotation.assigning.left import own_quotas_done
from annotation.errors import AcknowledgementNeeded, BadRequest, DailyLimitReached, MemberPaused
from annotation.judging.actions import revise_judgment, submit_judgment, withdraw_judgment
from annotation.judging.content import JudgmentInput
from annotation.models import Assignment, CurrentJudgment, Judgment, Task
from annotation.qualification.actions import submit_practice
from annotation.qualification.feedback import feedback_html, find_answer, own_trainings, training_place
from annotation.questions.actions import ask_question
from annotation.queue import actions as queue
from annotation.queue.claimed_tasks import TaskContent, read_content
from workspace.errors import ActionError
from workspace.models import Project, QuestionSettings, User
from workspace.project_context import ProjectContext
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

logger = logging.getLogger(__name__)


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def next_task(request: ProjectRequest) -> HttpResponse:
    """Claims the next task. `after_assignment`: what is on the screen, for the prefetch of the one behind it."""
    return JsonResponse(_next_task(request, parse_json_body(request)))


def _next_task(request: ProjectRequest, data: dict[str, Any]) -> dict[str, Any]:
    """The next task, leased, as the page reads it. Raises BadRequest for an `after_assignment` that is no id."""
    project, after = request.project, None
    if public_id := data.get("after_assignment"):
        try:
            after = UUID(str(public_id))
        except ValueError as error:
            raise BadRequest("`after_assignment` is not the id of an assignment.") from error
    claimed = limited = None
    try:
        claimed = queue.claim_with_content(
            actor=request.user, project=project, after=after, versions=_versions(request.project_context)
        )
    except (MemberPaused, DailyLimitReached) as error:
        limited = error
    except AcknowledgementNeeded:
        html = render_to_string(
            "annotation/annotator/acknowledge.html",
            {"project": project} | what_to_read(request.user, project),
        )
        progress = annotator_progress(request.user, project)
        return {"public_id": None, "html": html, "progress": progress, "confirms_guideline": True}
    if claimed is None:
        trainings = own_trainings(request.user, project)
        context = {
            "project": project,
            "paused": limited.message if isinstance(limited, MemberPaused) else "",
            "day_done": limited.message if isinstance(limited, DailyLimitReached) else "",
            "trainings": trainings,
            "waits_for_training": any(row["is_failed"] or row["is_waiting"] for row in trainings),
            "quotas_done": 0 if limited else own_quotas_done(request.user, project),
        }
        html = render_to_string("annotation/annotator/no_tasks.html", context)
        return {"public_id": None, "html": html, "progress": annotator_progress(request.user, project)}
    progress = describe_progress(claimed.counts)
    return task_data(request, claimed.assignment, claimed.content, None, progress)


def what_to_read(actor: User, project: Project) -> dict[str, Any]:
    """The guideline to confirm, as its page and the work page show it."""
    found = guideline_to_read(actor, project)
    return {"to_read": found, "html": guideline_content(project)["html"]}


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def acknowledge(request: ProjectRequest) -> HttpResponse:
    """The annotator has read `version` of the guideline."""
    version = parse_json_body(request).get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise BadRequest("`version` is not the number of a version.")
    acknowledge_guideline(actor=request.user, project=request.project, version=version)
    return short_response(request, {"confirmed": version}, status=201)


def _versions(project_context: ProjectContext | None) -> dict[str, int] | None:
    if project_context is None:
        return None
    return {
        "settings_version": project_context.settings.version if project_context.settings else 0,
        "guideline_version": project_context.guideline.version if project_context.guideline else 0,
    }


def task_response(request: ProjectRequest, assignment: Assignment) -> JsonResponse:
    """One of the annotator's tasks; with what they answered, if they did."""
    pointer = CurrentJudgment.objects.filter(task=assignment.task_id, annotator=request.user).select_related(
        "judgment"
    )
    current = pointer.first()
    content = read_content(assignment.task_id)
    progress = annotator_progress(request.user, request.project)
    return JsonResponse(
        task_data(request, assignment, content, current.judgment if current else None, progress)
    )


def task_data(
    request: ProjectRequest,
    assignment: Assignment,
    content: TaskContent,
    judgment: Judgment | None,
    progress: dict[str, Any],
) -> dict[str, Any]:
    context = task_context(
        assignment,
        content,
        _settings_of(request, assignment),
        judgment=judgment,
        page_version=request.headers.get("X-Page-Version"),
    )
    context["project"] = request.project
    is_practice = content.purpose == Task.Purpose.PRACTICE
    if is_practice:
        context["practice"] = place = training_place(request.user, assignment.task_id)
        left = place["training"].items - place["place"] + 1
        progress = progress | {"remaining": left, "remaining_label": str(left)}
    return {
        "public_id": str(assignment.public_id),
        # Only a training is known for what it is.
        **({"practice": True} if is_practice else {}),
        "html": render_to_string("annotation/annotator/task.html", context),
        "progress": progress,
        "draft": context["draft"],
        "judgment": context["judgment"],
        # What is on the screen with this task; a judgment says under which versions it was made.
        "guideline": news_of_guideline(request),
        "settings_version": assignment.settings_version,
    }


def _settings_of(request: ProjectRequest, assignment: Assignment) -> QuestionSettings | None:
    """The settings under which the task was handed out."""
    in_force = request.project_context.settings if request.project_context else None
    if in_force is not None and in_force.version == assignment.settings_version:
        return in_force
    return request.project.question_settings.filter(version=assignment.settings_version).first()


def news_of_guideline(request: ProjectRequest) -> dict[str, Any]:
    """The guideline in force; its version alone where the page says that it shows that one."""
    content = guideline_content(request.project, request.project_context)
    shown = request.headers.get("X-Guideline-Version")
    return {"version": content["version"]} if shown == str(content["version"]) else content


def short_response(request: ProjectRequest, data: dict[str, Any], *, status: int = 200) -> JsonResponse:
    """An answer without a task. Its header says which guideline is in force, so that the page notices a new one."""
    project_context = request.project_context
    newest = project_context.guideline if project_context else request.project.guidelines.latest_version()
    headers = {"X-Guideline-Version": str(newest.version if newest else 0)}
    return JsonResponse(data, status=status, headers=headers)


@require_GET
@json_endpoint
@project_view(Capability.ANNOTATE)
def task_content(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    return task_response(request, access_assignment(request.user, request.project, public_id))


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
    return short_response(request, {"saved": is_saved})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def submit(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """A first judgment, or with `revise` one in its place. Repeated with the same key it changes nothing.

    With `claim_next` ({"after_assignment": what is on the screen by now, or null}) the answer has under `next` what
    next_task would answer: one request a judgment. The judgment is stored whatever becomes of that; where `next` is
    missing the page asks by itself.
    """
    data: Any = parse_json_body(request)
    content = JudgmentInput(
        tiers=data.get("tiers"),
        strengths=data.get("strengths"),
        marks=data.get("marks"),
        confidence=data.get("confidence"),
        rationale=data.get("rationale", ""),
        flags=data.get("flags", []),
        seconds=data.get("seconds", 0.0),
        evidence=data.get("evidence"),
        guideline_version=data.get("guideline_version"),
        settings_version=data.get("settings_version"),
    )
    key = data.get("idempotency_key")
    answer: dict[str, Any] = {"stored": True}
    if data.get("revise") is True:
        judgment = revise_judgment(
            actor=request.user,
            assignment=access_assignment(request.user, request.project, public_id),
            content=content,
            idempotency_key=key,
        )
    else:
        assignment = access_assignment_to_judge(request.user, request.project, public_id)
        given = {
            "actor": request.user,
            "assignment": assignment,
            "content": content,
            "idempotency_key": key,
            "project_context": request.project_context,
        }
        if assignment.task.purpose == Task.Purpose.PRACTICE:
            answered = submit_practice(**given)
            judgment = answered.judgment
            answer["feedback"] = feedback_html(answered.answer)
        else:
            judgment = submit_judgment(**given)
    answer["is_counted"] = not judgment.surplus
    if isinstance(data.get("claim_next"), dict):
        try:
            answer["next"] = _next_task(request, data["claim_next"])
        except ActionError:
            pass  # asked for by itself it says why
        except DatabaseError as error:
            # One line: while the database is away this is said of every request.
            logger.error("the task after a judgment that is stored could not be claimed: %s", error)
    return short_response(request, answer, status=201)


@require_GET
@json_endpoint
@project_view(Capability.ANNOTATE)
def feedback(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """Of one of the annotator's own tasks of a training, once it is answered."""
    assignment = access_assignment(request.user, request.project, public_id)
    return short_response(request, {"feedback": feedback_html(find_answer(assignment))})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def skip(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    assignment = access_assignment(request.user, request.project, public_id)
    reason = parse_json_body(request).get("reason", "")
    queue.skip_task(
        actor=request.user, assignment=assignment, reason=reason if isinstance(reason, str) else ""
    )
    return short_response(request, {"skipped": True})


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def ask(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """A question about one of the annotator's tasks; the same again is one."""
    text = parse_json_body(request).get("text")
    ask_question(
        actor=request.user,
        assignment=access_assignment(request.user, request.project, public_id),
        text=text if isinstance(text, str) else "",
    )
    return short_response(request, {"asked": True}, status=201)


@require_POST
@json_endpoint
@project_view(Capability.ANNOTATE)
def undo_skip(request: ProjectRequest, public_id: UUID) -> HttpResponse:
    """Takes a skipped task back; answers with its content, which may have been changed meanwhile."""
    project = request.project
    assignment = access_assignment(request.user, project, public_id)
    queue.undo_skip(actor=request.user, assignment=assignment)
    return task_response(request, access_assignment(request.user, project, public_id))


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
