"""The page of a dataset that the worker is freezing: how far it is, and the dataset once it is there."""

from typing import Any

from django.conf import settings
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.datasets.freezing import FREEZE, dataset_of_run
from runs.access import access_run
from runs.models import Run, Worker
from runs.presentation import run_display
from workspace.polling import content_fingerprint, poll_response
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def freezing(request: ProjectRequest, pk: int) -> HttpResponse:
    run = _freezing_run(request, pk)
    if run.is_finished and (made := dataset_of_run(run)) is not None:
        return redirect("data:dataset", slug=request.project.slug, pk=made.pk)
    return render(request, "annotation/datasets/freezing.html", _context(run))


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def freezing_live(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The part that polls; at the end the browser is sent to the page, which leads on."""
    run = _freezing_run(request, pk)
    if run.is_finished:
        page = reverse("data:freezing", args=[request.project.slug, run.pk])
        return HttpResponse(status=200, headers={"HX-Redirect": page})
    context = _context(run)
    return poll_response(
        request, "annotation/datasets/freezing_live.html", context, version=context["version"]
    )


def _freezing_run(request: ProjectRequest, pk: int) -> Run:
    run = access_run(request.project, pk)
    if run.kind != FREEZE.name:
        raise Http404("No such run.")
    return run


def _context(run: Run) -> dict[str, Any]:
    display = run_display(run)
    alive = Worker.objects.alive(max(15.0, 3 * settings.RUN_HEARTBEAT_SECONDS))
    without_worker = run.state == "queued" and all(run.kind not in worker.kinds for worker in alive)
    version = content_fingerprint(display.state, display.progress, without_worker)
    return {"run": run, "display": display, "without_worker": without_worker, "version": version}
