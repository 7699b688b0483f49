"""A project's runs, one run's page, and the little answers that keep them live. Thin: read, or call an
action.
"""

import json
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from runs import actions, reading
from runs.access import READABLE_FILES, access_run, access_run_file
from runs.models import Run, RunQuerySet, Worker
from runs.presentation import version_of, view_of
from workspace.access import MANAGERS, REVIEWERS, Role, access_project, role_in
from workspace.errors import ActionError
from workspace.models import Project, User

PAGE_LENGTH = 40
SHOWN = {"all": "All", "active": "Under way", "finished": "Finished"}


@require_GET
@never_cache
@login_required
def run_list(request: HttpRequest, slug: str) -> HttpResponse:
    """The project's runs, newest first; polled by itself while something is under way (204: nothing new)."""
    project = access_project(request.user, slug, roles=REVIEWERS)
    request.project = project  # type: ignore[attr-defined]
    show = request.GET.get("show", "all")
    show = show if show in SHOWN else "all"
    page = Paginator(_chosen(project, show), PAGE_LENGTH).get_page(request.GET.get("page"))
    rows = [view_of(run) for run in page]
    active = project.runs.active().exists()
    shown = [(v.run.pk, v.state, v.progress, v.run.error) for v in rows]
    version = version_of(shown, active)
    context = {
        "rows": rows,
        "page": page,
        "show": show,
        "choices": SHOWN.items(),
        "version": version,
        "poll": active,
        "workers": _workers_alive().count(),
    }
    if request.headers.get("HX-Request"):
        if request.GET.get("seen") == version:
            return HttpResponse(status=204)
        return render(request, "runs/list_rows.html", context)
    return render(request, "runs/list.html", context)


def _chosen(project: Project, show: str) -> RunQuerySet:
    runs: RunQuerySet = project.runs.select_related("requested_by").newest_first()
    return {"active": runs.active, "finished": runs.finished, "all": runs.all}[show]()


@require_GET
@never_cache
@login_required
def run_page(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    run = access_run(request.user, slug, pk, roles=REVIEWERS)
    request.project = run.project  # type: ignore[attr-defined]
    context = _live_context(request, run) | {
        "config": json.dumps(run.config, indent=2, ensure_ascii=False),
        "parameters": json.dumps(run.parameters, indent=2, ensure_ascii=False) if run.parameters else "",
        "environment": reading.environment(run),
        "inputs": reading.inputs_manifest(run),
        "files": [name for name in READABLE_FILES if (run.path / name).is_file()],
        "log_changed": True,
        "samples_changed": True,
    }
    return render(request, "runs/run.html", context)


@require_GET
@never_cache
@login_required
def run_live(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """The parts of a run's page that have changed since `seen`; 204 when none has.

    `seen` is three fingerprints: of the state, of the log's end and of the samples. Each part that differs
    comes back; a finished run's answer carries no trigger any more, which ends the polling.
    """
    run = access_run(request.user, slug, pk, roles=REVIEWERS)
    request.project = run.project  # type: ignore[attr-defined]
    context = _live_context(request, run)
    seen = request.GET.get("seen", "").split(".")
    if request.GET.get("seen") == context["version"]:
        return HttpResponse(status=204)
    now = context["version"].split(".")
    context |= {
        "oob": True,
        "log_changed": len(seen) != 3 or seen[1] != now[1],
        "samples_changed": len(seen) != 3 or seen[2] != now[2],
    }
    return render(request, "runs/run_live.html", context)


def _live_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    view = view_of(run)
    log, samples = reading.log_tail(run), reading.samples(run)
    needs_worker = run.state == Run.State.QUEUED and not view.waits_for_retry
    without_worker = needs_worker and not any(run.kind in worker.kinds for worker in _workers_alive())
    artifacts = list(run.artifacts.order_by("kind", "path"))
    # The seconds that merely pass are left out: they alone are no reason to send the page again.
    state = version_of(
        view.state, view.progress, run.error, run.attempt, run.worker_name, without_worker, len(artifacts)
    )
    return {
        "run": run,
        "view": view,
        "log": log,
        "samples": samples,
        "artifacts": artifacts,
        "without_worker": without_worker,
        "is_manager": role_in(request.user, run.project) == Role.MANAGER,
        "version": f"{state}.{version_of(log)}.{version_of([str(s) for s in samples])}",
    }


def _workers_alive() -> "Any":
    return Worker.objects.alive(max(15.0, 3 * settings.RUN_HEARTBEAT_SECONDS))


@require_GET
@never_cache
@login_required
def run_metrics(request: HttpRequest, slug: str, pk: int) -> JsonResponse:
    """Curve points after `offset`, as long as `fence` is still the one they were read under.

    A new attempt cuts the file back to its checkpoint, so that under another fence the points begin anew
    (`reset`).
    """
    run = access_run(request.user, slug, pk, roles=REVIEWERS)
    offset, fence = request.GET.get("offset", "0"), request.GET.get("fence", "")
    same = fence == str(run.fence) and offset.isdecimal() and len(offset) < 16
    curves = reading.read_curves(run, int(offset) if same else 0)
    return JsonResponse(
        {
            "rows": curves.rows,
            "panels": curves.panels,
            "offset": curves.offset,
            "fence": run.fence,
            "reset": not same,
            "finished": run.is_finished,
        }
    )


@require_GET
@never_cache
@login_required
def run_file(request: HttpRequest, slug: str, pk: int, name: str) -> FileResponse:
    """One of the run's own text files, as a download: never rendered on this origin."""
    path = access_run_file(request.user, slug, pk, name, roles=REVIEWERS)
    # FileResponse closes the file when the answer has been sent.
    response = FileResponse(path.open("rb"), as_attachment=True, filename=f"run-{pk}-{name}")
    response["Content-Type"] = "text/plain; charset=utf-8"
    return response


@require_POST
@login_required
def cancel(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    run = access_run(request.user, slug, pk, roles=MANAGERS)
    try:
        run = actions.cancel_run(actor=_person(request), run=run)
    except ActionError as error:
        messages.error(request, error.message)
    return redirect("runs:run", slug=slug, pk=pk)


@require_POST
@login_required
def retry(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    run = access_run(request.user, slug, pk, roles=MANAGERS)
    try:
        actions.retry_run(actor=_person(request), run=run)
    except ActionError as error:
        messages.error(request, error.message)
    return redirect("runs:run", slug=slug, pk=pk)


@require_POST
@login_required
def clone(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    run = access_run(request.user, slug, pk, roles=MANAGERS)
    new = actions.clone_run(actor=_person(request), run=run)
    messages.success(request, "Queued again from the start, in a directory of its own.")
    return redirect("runs:run", slug=slug, pk=new.pk)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
