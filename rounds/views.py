"""Thin pages over rounds.actions and rounds.reports."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from learning.interface.options import UserError
from policy_training.models import Policy
from rounds import actions
from rounds.access import access_round
from rounds.first_steps import find_first_steps
from rounds.forms import ReopenForm, StartRoundForm
from rounds.head_to_head import held_out_shortage
from rounds.models import Round, Stage
from rounds.plans import LAST
from rounds.reports import round_report
from rounds.schedules.actions import create_schedule
from rounds.schedules.forms import WhenForm
from rounds.schedules.presentation import schedule_rows
from rounds.schedules.wording import describe_trigger
from rounds.starting_models import require_start_by_rule
from rounds.step_fields import changed_steps, typed_values
from workspace.errors import ActionError
from workspace.polling import content_fingerprint, poll_response
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

# The page of such a round changes only by a button on it.
POLLING_ENDS = (Stage.DONE, Stage.FAILED, Stage.CANCELLED)
ROUNDS_PER_PAGE = 20
POLICIES_PER_PAGE = 50


@require_GET
@project_view(Capability.REVIEW)
def round_list(request: ProjectRequest) -> HttpResponse:
    project = request.project
    rounds = project.rounds.select_related("reward_model", "new_policy", "start_policy", "batch").order_by(
        "-number"
    )
    policies = Policy.objects.filter(project=project).select_related("parent", "produced_by", "artifact")
    context = {
        "rounds": Paginator(rounds, ROUNDS_PER_PAGE).get_page(request.GET.get("page")),
        "policies": Paginator(policies.order_by("-pk"), POLICIES_PER_PAGE).get_page(
            request.GET.get("policies")
        ),
        "open_round": rounds.open().first(),
        "schedules": schedule_rows(project),
        "steps": find_first_steps(project) if Capability.MANAGE in request.capabilities else None,
    }
    return render(request, "rounds/list.html", context)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def first_steps(request: ProjectRequest) -> HttpResponse:
    """What a new project needs, and where each of it is done."""
    return render(request, "rounds/first_steps.html", {"steps": find_first_steps(request.project)})


@require_http_methods(["GET", "POST"])
@project_view(Capability.MANAGE)
def start(request: ProjectRequest) -> HttpResponse:
    project = request.project
    # A chosen preset or policy asks for the page anew, with the numbers that are used where nothing is typed.
    if request.method == "POST" and "change_steps" in request.POST:
        left_with = changed_steps(request.POST)
        when_form = WhenForm(project=project)
        when_form = WhenForm(project=project, initial=typed_values(when_form, left_with))
        context = {
            "form": StartRoundForm(project=project, left_with=left_with),
            "when_form": when_form,
            "open_round": project.rounds.open().first(),
            "is_changed": True,
        }
        return render(request, "rounds/start.html", context)
    form = StartRoundForm(request.POST or None, project=project, initial=request.GET.dict())
    when_form = WhenForm(request.POST or None, project=project, initial=request.GET.dict())
    if request.method == "POST" and form.is_valid() and when_form.is_valid():
        try:
            round_ = _start_or_schedule(request, form, when_form)
        except (ActionError, UserError) as error:
            form.refuse(error)
        else:
            if round_ is None:
                return redirect("rounds:list", slug=project.slug)
            if shortage := held_out_shortage(round_):
                messages.warning(
                    request, f"The round has {shortage}. Bring more prompts into a set of purpose evaluation."
                )
            return redirect("rounds:round", slug=project.slug, number=round_.number)
    context = {"form": form, "when_form": when_form, "open_round": project.rounds.open().first()}
    return render(request, "rounds/start.html", context, status=422 if form.is_bound else 200)


def _start_or_schedule(request: ProjectRequest, form: StartRoundForm, when_form: WhenForm) -> Round | None:
    """The round, or None for one that starts later. Raises ActionError, UserError."""
    when = when_form.cleaned_data["when"]
    asked = {
        "actor": request.user,
        "project": request.project,
        "criterion": form.cleaned_data["criterion"],
        "prompt_set": form.cleaned_data["prompt_set"],
        "plan": form.plan(),
    }
    chosen = form.cleaned_data["start_policy"]
    if when is None:
        return actions.start_round(start_policy=chosen, **asked)
    # A plan's own rule says at the time itself what the round starts from.
    by_rule = asked["plan"].start_from != LAST
    if by_rule:
        require_start_by_rule(request.project, asked["plan"], chosen)
    start_policy = None if by_rule or when_form.cleaned_data["newest_policy"] else chosen
    schedule = create_schedule(when=when, start_policy=start_policy, **asked)
    messages.success(
        request, gettext("A round starts %(schedule)s.") % {"schedule": describe_trigger(schedule)}
    )
    return None


@require_GET
@project_view(Capability.REVIEW)
def round_page(request: ProjectRequest, number: int) -> HttpResponse:
    """The page; its live part alone when htmx asks, 204 when nothing changed since, 286 when nothing will any more."""
    round_ = access_round(request.project, number)
    report = round_report(round_, request.user)
    version = _version(report)
    is_final = round_.stage in POLLING_ENDS
    context = {"report": report, "round": round_, "version": version, "final": is_final}
    if not request.headers.get("HX-Request"):
        return render(request, "rounds/round.html", context)
    return poll_response(request, "rounds/round_live.html", context, version=version, is_final=is_final)


def _version(report: Any) -> str:
    run_states = [
        (run.pk, run.state, run.progress.get("step"), run.progress.get("stage"))
        for run in report.current_runs
    ]
    counted = report.progress.counted if report.progress else 0
    return content_fingerprint(
        report.round.stage, counted, report.judgments, run_states, report.blocked_reason
    )


def _action_view(action: Callable[..., Round]) -> Callable[..., HttpResponseBase]:
    """A view that does the action to a round and goes to the round's page, or to the one the action returned."""

    @require_POST
    @project_view(Capability.MANAGE)
    def view(request: ProjectRequest, number: int) -> HttpResponse:
        round_ = access_round(request.project, number)
        result = perform_action(request, action, round_=round_) or round_
        return redirect("rounds:round", slug=request.project.slug, number=result.number)

    return view


@require_POST
@project_view(Capability.MANAGE)
def reopen_annotation(request: ProjectRequest, number: int) -> HttpResponse:
    round_ = access_round(request.project, number)
    form = ReopenForm(request.POST)
    if form.is_valid():
        perform_action(request, actions.reopen_annotation, round_=round_, quota=form.cleaned_data["quota"])
    else:
        messages.error(
            request, gettext("Judgments: %(errors)s") % {"errors": " ".join(map(str, form.errors["quota"]))}
        )
    return redirect("rounds:round", slug=request.project.slug, number=round_.number)


end_annotation = _action_view(actions.end_annotation)
retry = _action_view(actions.retry_round)
cancel = _action_view(actions.cancel_round)
continue_round = _action_view(actions.start_next_round)
