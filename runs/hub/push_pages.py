"""The page on which something is pushed to the Hub: a form, and what earlier pushes came to."""

from collections.abc import Callable, Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from runs.hub.forms import PushForm
from runs.hub.pushes import pushes_of
from runs.models import Run
from runs.run_kinds import RunKind
from workspace.errors import ActionError
from workspace.requests import ProjectRequest

SHOWN_PUSHES = 10


@sensitive_variables("form", "values")
def push_page(
    request: ProjectRequest,
    form: PushForm,
    *,
    kind: RunKind,
    name: str,
    pk: int,
    queue: Callable[..., Run],
    context: Mapping[str, Any],
) -> HttpResponse:
    """`queue` gets what the form says. The token is in no answer: who corrects the form gives it again."""
    if form.is_bound and form.is_valid():
        values = form.push_options() | {"dry_run": "dry_run" in request.POST}
        try:
            queue(**values)
        except ActionError as error:
            form.add_error("token" if error.code == "token_needed" else None, error.message)
        else:
            messages.success(
                request, gettext("It waits for a worker; the newest push below says how far it is.")
            )
            return redirect(request.path)
    pushes = [_told(run) for run in pushes_of(request.project, kind, name, pk)[:SHOWN_PUSHES]]
    return render(
        request,
        "runs/hub/push.html",
        {**context, "form": form, "pushes": pushes},
        status=422 if form.is_bound else 200,
    )


def _told(run: Run) -> dict[str, Any]:
    try:
        result = RunDirectory(run.path).result() or {}
    except (OSError, UserError):
        result = {}
    files = result.get("files", [])
    return {"run": run, "result": result, "bytes": sum(file["bytes"] for file in files)}
