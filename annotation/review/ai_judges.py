"""The page about language models that judged a batch: how they compare with people, how steady they are, their cost."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.access import access_batch_to_read
from annotation.models import AIJudging
from annotation.quality.actions import being_measured, newest_report
from annotation.quality.views import machine_row
from workspace.models import User
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

SHOWN = 50


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def ai_judges(request: ProjectRequest, pk: int) -> HttpResponse:
    batch = access_batch_to_read(request.project, pk, request.capabilities)
    judgings = (
        AIJudging.objects.filter(batch=batch).select_related("annotator", "run").order_by("-pk")[:SHOWN]
    )
    report = newest_report(request.project)
    machines = machines_of(report.summaries.get(str(batch.criterion_id)) if report else None, batch.pk)
    names = dict(
        User.objects.filter(pk__in=[machine["annotator"] for machine in machines]).values_list(
            "pk", "username"
        )
    )
    context = {
        "batch": batch,
        "judgings": [{"judging": judging, "figures": judging_figures(judging)} for judging in judgings],
        "machines": [machine_row(machine, names.get(machine["annotator"], "")) for machine in machines],
        "measuring": being_measured(request.project),
    }
    return render(request, "annotation/review/ai_judges.html", context)


def machines_of(summary: Mapping[str, Any] | None, batch: int) -> list[dict[str, Any]]:
    """Of the newest measurement: each machine against the people who judged the same tasks of the batch."""
    return [row for row in (summary or {}).get("machines_by_batch", []) if row["batch"] == batch]


def judging_figures(judging: AIJudging) -> list[tuple[str, str]]:
    """(label, value); what a report does not say is left out."""
    report: Mapping[str, Any] = judging.report
    found = [
        (gettext("Judged"), _of(judging.judgments, report.get("tasks"))),
        (gettext("Not judged, because a pair stayed unclear"), _whole(report.get("unclear"))),
        (gettext("Ties, of its pairs"), _percent(report.get("tie_rate"))),
        (gettext("Verdict changes when the answers change places"), _percent(report.get("order_rate"))),
        (gettext("For the answer shown first (50 %: no preference)"), _interval(report.get("first_share"))),
        (gettext("Says the same when asked again"), _interval(report.get("self_agreement"))),
        (gettext("Pairs that its order of a task does not say"), _whole(report.get("against_the_order"))),
        (gettext("Replies without a verdict"), _of(report.get("not_understood"), report.get("comparisons"))),
        (gettext("Requests"), _whole(report.get("requests"))),
        (gettext("Tokens read and written"), _tokens(report)),
        (gettext("Its time"), _seconds(report.get("judge_seconds"))),
        (gettext("Cost"), f"{report['cost']:.4f}" if report.get("cost") else ""),
    ]
    return [(label, value) for label, value in found if value]


def _tokens(report: Mapping[str, Any]) -> str:
    read, written = _whole(report.get("prompt_tokens")), _whole(report.get("reply_tokens"))
    return f"{read} + {written}" if read and written else ""


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _of(value: Any, whole: Any) -> str:
    return (
        gettext("%(value)s of %(whole)s") % {"value": f"{value:,}", "whole": f"{whole:,}"}
        if isinstance(value, int) and isinstance(whole, int)
        else ""
    )


def _percent(value: Any) -> str:
    return f"{100 * value:.0f} %" if isinstance(value, float | int) else ""


def _interval(figure: Any) -> str:
    if not isinstance(figure, Mapping):
        return ""
    words = {name: f"{100 * min(1.0, max(0.0, figure[name])):.0f} %" for name in ("value", "low", "high")}
    return gettext("%(value)s (%(low)s to %(high)s)") % words


def _seconds(value: Any) -> str:
    return f"{value:,.1f} s" if isinstance(value, float | int) else ""
