"""What a page shows while it waits for a worker: whether one takes the run, and how far it is."""

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from runs.access import access_run
from runs.models import Run, Worker
from runs.presentation import run_display
from runs.run_kinds import RunKind
from runs.states import RunState
from workspace.models import Project
from workspace.polling import content_fingerprint, poll_response


def alive_workers() -> QuerySet[Worker]:
    return Worker.objects.alive(max(15.0, 3 * settings.RUN_HEARTBEAT_SECONDS))


def waits_without_worker(run: Run) -> bool:
    """Whether it is queued, and no worker that is alive takes its kind."""
    return run.state == RunState.QUEUED and all(run.kind not in worker.kinds for worker in alive_workers())


def access_run_of_kind(project: Project, pk: int, kind: RunKind) -> Run:
    """Of another kind, too, it looks as if there were none: 404."""
    run = access_run(project, pk)
    if run.kind != kind.name:
        raise Http404("No such run.")
    return run


def waiting_context(run: Run) -> dict[str, Any]:
    """{run, display, without_worker, version}: for the page that waits for a run, and for its part that polls."""
    display = run_display(run)
    without_worker = waits_without_worker(run)
    version = content_fingerprint(display.state, display.progress, without_worker)
    return {"run": run, "display": display, "without_worker": without_worker, "version": version}


def waiting_response(request: HttpRequest, run: Run, *, template: str, page: str) -> HttpResponseBase:
    """The part that polls; at the end the browser is sent to `page`, which leads on."""
    if run.is_finished:
        return HttpResponse(status=200, headers={"HX-Redirect": page})
    context = waiting_context(run)
    return poll_response(request, template, context, version=context["version"])
