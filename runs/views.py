"""A project's runs, one run's page, and the parts of both that poll. Thin: read, or call an action."""

import json
from functools import partial
from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import FileResponse, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from runs import actions, run_files
from runs.access import access_run, access_run_file, readable_files
from runs.fixed_prompts import FIXED_PROMPTS, answers_version, fixed_prompts
from runs.forms import TimeLimitForm
from runs.judge_figures import judge_figures
from runs.models import Run, RunQuerySet
from runs.presentation import run_display
from runs.reward_figures import WITH_ROLLOUTS, figures_version, reward_figures
from runs.run_kinds import MAKE_POLICIES, POLICY_TRAININGS
from runs.waiting import alive_workers
from workspace.changed_page import save_shown_values
from workspace.models import Project
from workspace.polling import content_fingerprint, poll_response
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PAGE_LENGTH = 40
WITH_CHECKPOINTS_TO_ADOPT = POLICY_TRAININGS | {"rewardmodel.train"}
ROLE_LABELS = {
    "policy": gettext_lazy("Policy"),
    "reference": gettext_lazy("Reference"),
    "critic": gettext_lazy("Critic"),
    "reward_model": gettext_lazy("Reward model"),
}
STATE_FILTERS = {
    "all": gettext_lazy("All"),
    "active": gettext_lazy("Under way"),
    "finished": gettext_lazy("Finished"),
}


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_list(request: ProjectRequest) -> HttpResponse:
    """The project's runs, newest first; polled by itself while something is under way."""
    project = request.project
    state = request.GET.get("state", "all")
    state = state if state in STATE_FILTERS else "all"
    page = Paginator(_filtered_runs(project, state), PAGE_LENGTH).get_page(request.GET.get("page"))
    rows = [run_display(run) for run in page]
    chained = list(project.chained_trainings.listed())
    active = project.runs.active().exists() or any(training.moves for training in chained)
    version = content_fingerprint(
        [(row.run.pk, row.state, row.progress, row.run.error) for row in rows],
        active,
        [(training.pk, training.situation) for training in chained],
    )
    context = {
        "rows": rows,
        "chained": chained,
        "page": page,
        "state": state,
        "choices": STATE_FILTERS.items(),
        "version": version,
        "poll": active,
        "workers": alive_workers().count(),
    }
    if request.headers.get("HX-Request"):
        return poll_response(request, "runs/list_rows.html", context, version=version)
    return render(request, "runs/list.html", context)


def _filtered_runs(project: Project, state: str) -> RunQuerySet:
    runs: RunQuerySet = project.runs.select_related("requested_by").newest_first()
    return {"active": runs.unfinished, "finished": runs.finished, "all": runs.all}[state]()


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_page(request: ProjectRequest, pk: int) -> HttpResponse:
    run = access_run(request.project, pk)
    sizes = run_files.model_sizes(run)
    context = _live_context(run) | {
        "config": json.dumps(run.config, indent=2, ensure_ascii=False),
        "parameters": json.dumps(run.parameters, indent=2, ensure_ascii=False) if run.parameters else "",
        "environment": run_files.environment(run),
        "inputs": run_files.inputs_manifest(run),
        "files": readable_files(run),
        "log_changed": True,
        "samples_changed": True,
        "limit_form": TimeLimitForm(run=run),
        "site_limit": settings.RUN_TIME_LIMIT_MINUTES,
        "checkpoints": run_files.checkpoints(run) if run.kind in WITH_CHECKPOINTS_TO_ADOPT else [],
        "model_sizes": [(ROLE_LABELS.get(size.role, size.role), size) for size in sizes],
        "all_model_bytes": sum(size.bytes for size in sizes),
        "is_policy_training": run.kind in POLICY_TRAININGS,
        "has_rollouts": run.kind in WITH_ROLLOUTS,
        "figures_version": figures_version(run),
        "figures": reward_figures(run) if run.kind in WITH_ROLLOUTS else None,
        "has_answers": run.kind in FIXED_PROMPTS,
        "answers_version": answers_version(run),
        "answers": fixed_prompts(run),
    }
    return render(request, "runs/run.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_live(request: ProjectRequest, pk: int) -> HttpResponse:
    """The parts of a run's page that have changed since the `version` it shows.

    The version is three fingerprints: of the state, of the log's end and of the samples. Each part that differs
    comes back; the answer of a finished run that nothing follows any more carries no trigger, which ends the polling.
    """
    context = _live_context(access_run(request.project, pk))
    version = context["version"]
    shown, current = request.GET.get("version", "").split("."), version.split(".")
    context |= {
        "oob": True,
        "log_changed": len(shown) != 3 or shown[1] != current[1],
        "samples_changed": len(shown) != 3 or shown[2] != current[2],
    }
    return poll_response(request, "runs/run_live.html", context, version=version)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_figures(request: ProjectRequest, pk: int) -> HttpResponse:
    """The pictures of a run's scores, asked for anew while it runs."""
    run = access_run(request.project, pk)
    version, context = figures_version(run), {}
    if request.GET.get("version") != version:  # a page that shows it already costs no reading
        context = {"run": run, "figures": reward_figures(run), "figures_version": version}
    return poll_response(request, "runs/reward_figures.html", context, version=version)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_answers(request: ProjectRequest, pk: int) -> HttpResponse:
    """The answers to one of the prompts that a training answers now and then, chosen by its number on the page."""
    run = access_run(request.project, pk)
    version, context = answers_version(run), {}
    if request.GET.get("version") != version:  # a page that shows it already costs no reading
        number = request.GET.get("prompt", "")
        answers = fixed_prompts(run, int(number) if number.isdecimal() and len(number) < 6 else 0)
        context = {"run": run, "answers": answers, "answers_version": version}
    return poll_response(request, "runs/run_answers.html", context, version=version)


def _live_context(run: Run) -> dict[str, Any]:
    display = run_display(run)
    log, samples = run_files.log_tail(run), run_files.samples(run)
    needs_worker = run.state == Run.State.QUEUED and not display.waits_for_retry
    without_worker = needs_worker and not any(run.kind in worker.kinds for worker in alive_workers())
    artifacts = list(run.artifacts.order_by("kind", "path"))
    judge = judge_figures(run)
    followers = list(run.project.chained_trainings.following(run))
    # The seconds that merely pass are left out: they alone are no reason to send the page again.
    state = content_fingerprint(
        display.state,
        display.progress,
        run.error,
        run.attempt,
        run.worker_name,
        without_worker,
        len(artifacts),
        judge,
        [(training.pk, training.state, training.situation) for training in followers],
    )
    return {
        "run": run,
        "display": display,
        "can_end": display.can_resume and run_files.best_checkpoint(run.path) is not None,
        "log": log,
        "samples": samples,
        "has_curves": run_files.has_curves(run),
        "artifacts": artifacts,
        "judge": judge,
        "followers": followers,
        # What follows is queued after the run has ended, and then the page says as which run.
        "poll": not run.is_finished or any(training.moves for training in followers),
        "makes_policy": run.kind in MAKE_POLICIES,
        "without_worker": without_worker,
        "version": f"{state}.{content_fingerprint(log)}.{content_fingerprint([str(s) for s in samples])}",
    }


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_metrics(request: ProjectRequest, pk: int) -> JsonResponse:
    """Points of the curves after `offset`, as long as `fence` is still the one they were read under.

    A new attempt cuts the file back to its checkpoint, so that under another fence the points begin anew (`reset`).
    """
    run = access_run(request.project, pk)
    offset, fence = request.GET.get("offset", "0"), request.GET.get("fence", "")
    same = fence == str(run.fence) and offset.isdecimal() and len(offset) < 16
    metrics = run_files.read_metrics(run, int(offset) if same else 0)
    return JsonResponse(
        {
            "rows": metrics.rows,
            "panels": metrics.panels,
            "titles": {panel: gettext(panel) for panel in metrics.panels},
            "about": {
                panel: gettext(run_files.ABOUT_PANELS[panel])
                for panel in metrics.panels
                if panel in run_files.ABOUT_PANELS
            },
            "offset": metrics.offset,
            "fence": run.fence,
            "reset": not same,
            "finished": run.is_finished,
            "more": metrics.more,
        }
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def run_file(request: ProjectRequest, pk: int, name: str) -> FileResponse:
    """One of the run's own text files, as a download: never rendered on this origin."""
    file = access_run_file(access_run(request.project, pk), name)
    # FileResponse closes the file when the answer has been sent.
    response = FileResponse(file, as_attachment=True, filename=f"run-{pk}-{name}")
    response["Content-Type"] = "text/plain; charset=utf-8"
    return response


@require_POST
@project_view(Capability.MANAGE)
def cancel(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, actions.cancel_run, run=access_run(request.project, pk))
    return redirect("runs:run", slug=request.project.slug, pk=pk)


@require_POST
@project_view(Capability.MANAGE)
def retry(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, actions.retry_run, run=access_run(request.project, pk))
    return redirect("runs:run", slug=request.project.slug, pk=pk)


@require_POST
@project_view(Capability.MANAGE)
def resume(request: ProjectRequest, pk: int) -> HttpResponse:
    """A paused run goes on, or ends with its best checkpoint."""
    end = request.POST.get("end") == "yes"
    perform_action(request, partial(actions.resume_run, end=end), run=access_run(request.project, pk))
    return redirect("runs:run", slug=request.project.slug, pk=pk)


@require_POST
@project_view(Capability.MANAGE)
def limit(request: ProjectRequest, pk: int) -> HttpResponse:
    run = access_run(request.project, pk)
    return save_shown_values(
        request,
        lambda data: TimeLimitForm(data, run=access_run(request.project, pk)),
        partial(actions.limit_run, run=run),
        what=run.title,
        back=reverse("runs:run", args=[request.project.slug, pk]),
        done=gettext("The time limit is saved."),
    )


@require_POST
@project_view(Capability.MANAGE)
def clone(request: ProjectRequest, pk: int) -> HttpResponse:
    done = gettext("Queued again from the start, in a directory of its own.")
    new = perform_action(request, actions.clone_run, run=access_run(request.project, pk), done=done)
    return redirect("runs:run", slug=request.project.slug, pk=new.pk if new else pk)
