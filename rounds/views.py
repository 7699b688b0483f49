"""Thin pages over rounds.actions and rounds.reports."""

import zlib
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from learning.interface.options import UserError
from policy_training.models import Policy
from rounds import actions
from rounds.access import access_round
from rounds.forms import StartRoundForm
from rounds.models import Round
from rounds.reports import round_report
from workspace.access import MANAGERS, REVIEWERS, access_project
from workspace.errors import ActionError
from workspace.models import User

FINAL = (Round.Stage.DONE, Round.Stage.FAILED, Round.Stage.CANCELLED)


@require_GET
@login_required
def round_list(request: HttpRequest, slug: str) -> HttpResponse:
    project = access_project(request.user, slug, roles=REVIEWERS)
    request.project = project  # type: ignore[attr-defined]
    rounds = project.rounds.select_related("reward_model", "new_policy", "start_policy", "batch").order_by(
        "-number"
    )
    context = {
        "rounds": rounds,
        "policies": Policy.objects.filter(project=project)
        .select_related("parent", "made_by")
        .order_by("-pk"),
        "has_open_round": rounds.exclude(stage__in=[Round.Stage.DONE, Round.Stage.CANCELLED]).exists(),
    }
    return render(request, "rounds/list.html", context)


@require_http_methods(["GET", "POST"])
@login_required
def start(request: HttpRequest, slug: str) -> HttpResponse:
    project = access_project(request.user, slug, roles=MANAGERS)
    request.project = project  # type: ignore[attr-defined]
    form = StartRoundForm(request.POST or None, project=project)
    if request.method == "POST" and form.is_valid():
        try:
            round_ = actions.start_round(
                actor=_person(request),
                project=project,
                criterion=form.cleaned_data["criterion"],
                start_policy=form.cleaned_data["start_policy"],
                prompt_set=form.cleaned_data["prompt_set"],
                plan=form.plan(),
            )
        except (ActionError, UserError) as error:
            form.add_error(None, str(error))
        else:
            return redirect("rounds:round", slug=slug, number=round_.number)
    return render(request, "rounds/start.html", {"form": form}, status=422 if form.is_bound else 200)


@require_GET
@login_required
def round_page(request: HttpRequest, slug: str, number: int) -> HttpResponse:
    """The page; its live part alone when htmx asks, 204 when nothing changed since, 286 when nothing will any more."""
    round_ = access_round(request.user, slug, number, roles=REVIEWERS)
    request.project = round_.project  # type: ignore[attr-defined]
    report = round_report(round_, _person(request))
    version = _version(report)
    context = {"report": report, "round": round_, "version": version, "final": round_.stage in FINAL}
    if not request.htmx:  # type: ignore[attr-defined]
        return render(request, "rounds/round.html", context)
    if request.GET.get("version") == version:
        return HttpResponse(status=204)
    # 286 tells htmx to stop polling.
    return render(request, "rounds/round_live.html", context, status=286 if context["final"] else 200)


def _version(report: Any) -> str:
    counted = report.progress.counted if report.progress else 0
    steps = [
        (run.pk, run.state, run.progress.get("step"), run.progress.get("stage"))
        for run in report.current_runs
    ]
    told = zlib.crc32(f"{steps}{report.waits_for}".encode())
    return f"{report.round.stage}-{counted}-{report.judgments}-{told}"


def _button(action: Callable[..., Round]) -> Callable[[HttpRequest, str, int], HttpResponse]:
    @require_POST
    @login_required
    def view(request: HttpRequest, slug: str, number: int) -> HttpResponse:
        round_ = access_round(request.user, slug, number, roles=MANAGERS)
        try:
            round_ = action(actor=_person(request), round_=round_)
        except (ActionError, UserError) as error:
            messages.error(request, str(error))
        return redirect("rounds:round", slug=slug, number=round_.number)

    return view


end_annotation = _button(actions.end_annotation)
retry = _button(actions.retry_round)
cancel = _button(actions.cancel_round)
go_on = _button(actions.continue_rounds)


def _person(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user
