"""A manager's page for the project, how its question is put, and its guideline. Every change of the latter two is a new
version.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from annotation.assigning.acknowledging import publish_to_acknowledge
from annotation.batches.corrections import correct_project_and_batches
from annotation.content.waiting_groups import say_waiting
from annotation.guidelines.forms import (
    CorrectionForm,
    CriterionForm,
    GuidelineForm,
    QuestionForm,
    VersionedForm,
)
from annotation.rendering.html_cache import show_markdown
from annotation.rendering.markdown import render_markdown
from workspace import actions
from workspace.errors import ActionError, StaleVersion
from workspace.forms import SplitsForm, TimeZoneForm, add_errors
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

NEXT_TASK = gettext_lazy("Saved. Annotators see it from their next task on.")


@dataclass(frozen=True)
class _Change:
    """One form of the page: what it is called there, and what it does."""

    form: Callable[..., VersionedForm]
    action: Callable[..., Any]
    done: str | Promise


def _changes(project: Project) -> dict[str, _Change]:
    """By the value of the POST field `change`."""
    return {
        "project": _Change(CorrectionForm, correct_project_and_batches, gettext("Saved.")),
        "question": _Change(
            lambda *args, **kwargs: QuestionForm(*args, project=project, **kwargs),
            actions.change_question_settings,
            NEXT_TASK,
        ),
        "guideline": _Change(GuidelineForm, publish_to_acknowledge, NEXT_TASK),
    }


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def question_settings(request: ProjectRequest) -> HttpResponse:
    """Its forms are told apart by the POST field `change`.

    A form based on an outdated version is shown again next to the current values (409).
    """
    project = request.project
    if request.method == "GET":
        return _page(request, project, {})
    asked = request.POST.get("change", "")
    if asked == "criterion":
        return _add_criterion(request)
    changes = _changes(project)
    name = asked if asked in changes else "guideline"
    change = changes[name]
    form, form_name = change.form(request.POST), f"{name}_form"
    if not form.is_valid():
        return _page(request, project, {form_name: form}, status=422)
    try:
        change.action(
            actor=request.user,
            project=project,
            expected_version=form.cleaned_data["version"],
            **form.values(),
        )
    except StaleVersion as error:
        # They have seen the newer version then: sending the same again replaces it knowingly.
        data = request.POST.copy()
        data["version"] = str(error.current)
        outdated_form = change.form(data)
        advice = gettext(
            "Both are on this page; to put yours in its place, take over what should stay and save again."
        )
        outdated_form.add_error(None, f"{error.message} {advice}")
        return _page(request, project, {form_name: outdated_form, "stale": name}, status=409)
    except ActionError as error:
        add_errors(form, error)
        return _page(request, project, {form_name: form}, status=422)
    messages.success(request, str(change.done))
    return redirect("annotation:settings", slug=project.slug)


def _add_criterion(request: ProjectRequest) -> HttpResponse:
    form = CriterionForm(request.POST)
    if form.is_valid():
        try:
            criterion = actions.add_criterion(
                actor=request.user, project=request.project, **form.cleaned_data
            )
        except ActionError as error:
            add_errors(form, error)
        else:
            messages.success(
                request, gettext("Batches and rounds can ask for “%(name)s” now.") % {"name": criterion.name}
            )
            return redirect("annotation:settings", slug=request.project.slug)
    return _page(request, request.project, {"criterion_form": form}, status=422)


@require_POST
@never_cache
@project_view(Capability.MANAGE)
def preview_guideline(request: ProjectRequest) -> HttpResponse:
    """The text of the form as annotators would see it, by the same cleaning; nothing is stored."""
    form = GuidelineForm(request.POST)
    form.is_valid()
    if "text" in form.errors:
        return HttpResponse(
            format_html('<p class="text-danger mb-0">{}</p>', " ".join(map(str, form.errors["text"])))
        )
    text = form.cleaned_data.get("text", "")
    return HttpResponse(render_markdown(text) if text.strip() else '<p class="muted mb-0">Nothing yet.</p>')


def _page(
    request: HttpRequest, project: Project, overrides: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    project = Project.objects.get(pk=project.pk)  # as it is now, not as the request found it
    question = project.question_settings.select_related("created_by").latest_version()
    guideline = project.guidelines.select_related("created_by").latest_version()
    context = {
        "project": project,
        "question": question,
        "criteria": project.criteria.order_by("pk"),
        "guideline": guideline,
        "preview": show_markdown(guideline.text) if guideline and guideline.text.strip() else "",
        "splits_form": SplitsForm(project=project),
        "waiting_for_groups": say_waiting(project),
        "time_zone_form": TimeZoneForm(project=project),
        "project_form": CorrectionForm(
            initial={
                "version": project.version,
                "name": project.name,
                "description": project.description,
                "overlap": project.overlap,
                "lease_minutes": project.lease_minutes,
            }
        ),
        "question_form": QuestionForm(
            project=project,
            initial={
                "version": question.version if question else 0,
                "allow_ties": question is None or question.allow_ties,
                "ask_rationale": question is not None and question.ask_rationale,
            },
        ),
        "criterion_form": CriterionForm(),
        "guideline_form": GuidelineForm(
            initial={
                "version": guideline.version if guideline else 0,
                "text": guideline.text if guideline else "",
            }
        ),
    }
    return render(request, "annotation/guidelines/question_settings.html", context | overrides, status=status)
