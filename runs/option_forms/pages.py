"""The page of a form that starts a run: shown, its parts shown anew, sent."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from learning.interface.options import UserError
from runs.models import Run
from runs.option_forms.forms import SHOWN, PresetForm
from workspace.errors import ActionError
from workspace.requests import ProjectRequest, key_in


def run_form_page(
    request: ProjectRequest,
    form_class: type[PresetForm],
    *,
    template: str,
    start: Callable[..., Any],
    preview: Callable[[Any], Mapping[str, Any]],
    context: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """`start` queues a run or several from what the form `asked`, or keeps it for later; `preview` says what a run
    would read, from a form that is valid.

    The page's own scripts ask for its parts: `?part=options` for the values of another preset, `?part=preview`, which
    is sent by POST as well: all fields of a recipe are more than an address may hold.
    `?run=N` shows the values of an earlier run of these kinds.
    """
    project, part = request.project, request.GET.get("part", "")
    shared: dict[str, Any] = {"project": project, **(context or {})}
    if part == "preview":
        form = form_class(request.POST if request.method == "POST" else request.GET, project=project)
        if "name" in form.fields:  # what it reads has no name
            form.fields["name"].required = False
        found = preview(form) if form.is_valid() else {}
        return render(request, "runs/run_form_preview.html", {"form": form, "preview": found, **shared})
    if request.method == "POST":
        form = form_class(request.POST, project=project)
        if form.is_valid():
            try:
                started = start(actor=request.user, **form.asked())  # type: ignore[attr-defined]
            except (ActionError, UserError) as error:
                form.refuse(str(error))
                for field, sentence in getattr(error, "fields", {}).items():
                    if field in form.fields:
                        form.add_error(field, sentence)
                if getattr(error, "code", "") == "name_taken":
                    form.add_error("name", gettext("Taken."))
            else:
                only = started[0] if isinstance(started, list) and len(started) == 1 else started
                if isinstance(only, Run):
                    return redirect("runs:run", slug=project.slug, pk=only.pk)
                return redirect("runs:list", slug=project.slug)
        return render(request, template, {"form": form, **shared}, status=422)
    asked = {name: value for name, value in request.GET.dict().items() if name != SHOWN}
    form = form_class(project=project, run=_example(request, form_class), initial=asked)
    return render(
        request, "runs/run_form_options.html" if part == "options" else template, {"form": form, **shared}
    )


def _example(request: ProjectRequest, form_class: type[PresetForm]) -> Run | None:
    key = key_in(request.GET.get("run", ""))
    return request.project.runs.filter(pk=key, kind__in=form_class.kinds).first() if key is not None else None
