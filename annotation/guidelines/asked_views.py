"""A manager's page for what is asked beside the order of the answers. A change is a new version of the settings."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.guidelines.asked_forms import (
    AskedForm,
    MarkFormSet,
    add_faults,
    asked_of_forms,
    initial_asked,
    initial_marks,
)
from workspace.actions import change_question_settings
from workspace.asked import Asked
from workspace.errors import ActionError, StaleVersion
from workspace.question_presets import PRESETS, find_preset
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

SAVED = gettext_lazy("Saved. Annotators see it from their next task on.")


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def asked_settings(request: ProjectRequest) -> HttpResponse:
    """With the POST field `preset` a preset takes the place of all that was asked."""
    now = request.project.question_settings.latest_version()
    if request.method == "GET":
        return _page(request, {})
    ties, reason = now is None or now.allow_ties, now is not None and now.ask_rationale
    of: dict[str, Any] = {"actor": request.user, "project": request.project, "ask_rationale": reason}
    if preset := request.POST.get("preset", ""):
        version = request.POST.get("version", "")
        try:
            change_question_settings(
                **of,
                allow_ties=find_preset(preset).allow_ties,
                preset=preset,
                # Without the version that was on the screen it could replace what somebody has just saved.
                expected_version=int(version) if version.isdecimal() and len(version) < 10 else -1,
            )
        except ActionError as error:
            messages.error(request, error.message)
        else:
            messages.success(request, SAVED)
        return redirect("annotation:asked_settings", slug=request.project.slug)
    form, marks = AskedForm(request.POST), MarkFormSet(request.POST, prefix="marks")
    if not (form.is_valid() and marks.is_valid()):
        return _page(request, {"form": form, "marks": marks}, status=422)
    asked, rows = asked_of_forms(form, marks, now.asks.preset if now else "")
    try:
        change_question_settings(
            **of, allow_ties=ties, asked=asked, expected_version=form.cleaned_data["version"]
        )
    except StaleVersion as error:
        # They are told then: sending the same again replaces it knowingly.
        data = request.POST.copy()
        data["version"] = str(error.current)
        outdated = AskedForm(data)
        advice = gettext("Open this page in another window to see it; save again to put yours in its place.")
        outdated.add_error(None, f"{error.message} {advice}")
        return _page(request, {"form": outdated, "marks": MarkFormSet(data, prefix="marks")}, status=409)
    except ActionError as error:
        add_faults(form, rows, error.fields or {"": error.message})
        return _page(request, {"form": form, "marks": marks}, status=422)
    messages.success(request, SAVED)
    return redirect("annotation:asked_settings", slug=request.project.slug)


def _page(request: ProjectRequest, overrides: dict[str, Any], *, status: int = 200) -> HttpResponse:
    now = request.project.question_settings.latest_version()
    asked = now.asks if now else Asked()
    context = {
        "project": request.project,
        "version": now.version if now else 0,
        "preset": PRESETS.get(asked.preset),
        "presets": PRESETS.values(),
        "form": AskedForm(initial=initial_asked(asked, now.version if now else 0)),
        "marks": MarkFormSet(initial=initial_marks(asked.marks), prefix="marks"),
    }
    return render(request, "annotation/guidelines/asked.html", context | overrides, status=status)
