"""A manager's page for how the question is put: ties, reasons, the guideline. Every change is a new version."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.guidelines.forms import GuidelineForm, QuestionForm, VersionedForm
from annotation.rendering.html_cache import show_markdown
from workspace import actions
from workspace.errors import StaleVersion
from workspace.forms import SplitsForm, TimeZoneForm
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def question_settings(request: ProjectRequest) -> HttpResponse:
    """Two forms, told apart by the POST field `change`.

    A form based on an outdated version is shown again next to the current values (409).
    """
    project = request.project
    if request.method == "GET":
        return _page(request, project, {})
    is_question = request.POST.get("change") == "question"
    form: VersionedForm = QuestionForm(request.POST) if is_question else GuidelineForm(request.POST)
    form_name = "question_form" if is_question else "guideline_form"
    if not form.is_valid():
        return _page(request, project, {form_name: form}, status=422)
    fields = dict(form.cleaned_data)
    action_kwargs: dict[str, Any] = {
        "actor": request.user,
        "project": project,
        "expected_version": fields.pop("version"),
    }
    try:
        if is_question:
            actions.change_question_settings(**action_kwargs, **fields)
        else:
            actions.publish_guideline(**action_kwargs, **fields)
    except StaleVersion as error:
        # They have seen the newer version then: sending the same again replaces it knowingly.
        data = request.POST.copy()
        data["version"] = str(error.current)
        outdated_form = type(form)(data)
        advice = (
            "Both are on this page; to put yours in its place, take over what should stay and save again."
        )
        outdated_form.add_error(None, f"{error.message} {advice}")
        outdated = {form_name: outdated_form, "stale": "question" if is_question else "guideline"}
        return _page(request, project, outdated, status=409)
    messages.success(request, "Saved. Annotators see it from their next task on.")
    return redirect("annotation:settings", slug=project.slug)


def _page(
    request: HttpRequest, project: Project, overrides: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    question = project.question_settings.latest_version()
    guideline = project.guidelines.latest_version()
    context = {
        "project": project,
        "question": question,
        "guideline": guideline,
        "preview": show_markdown(guideline.text) if guideline and guideline.text.strip() else "",
        "splits_form": SplitsForm(project=project),
        "time_zone_form": TimeZoneForm(initial={"time_zone": project.time_zone}),
        "question_form": QuestionForm(
            initial={
                "version": question.version if question else 0,
                "allow_ties": question is None or question.allow_ties,
                "ask_rationale": question is not None and question.ask_rationale,
            }
        ),
        "guideline_form": GuidelineForm(
            initial={
                "version": guideline.version if guideline else 0,
                "text": guideline.text if guideline else "",
            }
        ),
    }
    return render(request, "annotation/guidelines/question_settings.html", context | overrides, status=status)
