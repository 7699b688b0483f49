"""The button that makes a model of a run's checkpoint."""

from collections.abc import Callable

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from runs.access import access_run
from runs.models import Run
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


def adopting_view(action: Callable[..., Run]) -> Callable[..., HttpResponseBase]:
    """`action` takes actor, project, run, step and name; without a step in digits it is given -1, which no run has."""

    @require_POST
    @project_view(Capability.MANAGE)
    def adopt(request: ProjectRequest, run: int) -> HttpResponse:
        found = access_run(request.project, run)
        step = request.POST.get("step", "")
        new = perform_action(
            request,
            action,
            project=request.project,
            run=found,
            step=int(step) if step.isascii() and step.isdigit() and len(step) < 10 else -1,
            name=request.POST.get("name", ""),
        )
        return redirect("runs:run", slug=request.project.slug, pk=new.pk if new else found.pk)

    return adopt
