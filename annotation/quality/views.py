"""Pages of reviewers and managers: how well annotators agree, how reliable each is, where they are apart.

Everything is read from the newest report; nothing is computed here. Whose answers were compared only managers read.
"""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import shown_tasks
from annotation.models import QualityAnnotator, QualityReport, Task
from annotation.quality import actions
from annotation.quality.charts import MEASURES, band_pictures, coefficient_pictures, grade_bars
from annotation.rendering.markdown import excerpt
from runs.waiting import waits_without_worker
from workspace.models import Criterion, User
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

MATRIX_SIZE = 20  # annotators in the matrix: those with most judgments
SHOWN_BATCHES = 100
SHOWN_PAIRS = 50
PAGE_SIZE = 50
# What changes which judgments count without one being added.
KIND_NAMES = {
    "person": gettext_lazy("People"),
    "simulated": gettext_lazy("Simulated annotators"),
    "ai": "AI judges",
}
COLUMNS = ("others", "majority", "known", "itself", "ability", "competence")


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def quality(request: ProjectRequest) -> HttpResponse:
    """Agreement on a criterion, and on each of its batches."""
    context = _context(request)
    report, criterion = context["report"], context["criterion"]
    if report and criterion:
        rows = list(
            report.agreement.filter(criterion=criterion)
            .select_related("batch")
            .order_by("annotator_kind", "-batch")
        )
        wholes = [row for row in rows if row.batch is None]
        of_batches = [row for row in rows if row.batch is not None and row.batch.visible][:SHOWN_BATCHES]
        machines = context["summary"].get("machines", [])
        names = _names([machine["annotator"] for machine in machines])
        context |= {
            "scopes": [
                {
                    "kind": KIND_NAMES[row.annotator_kind],
                    "figures": row.figures,
                    "coefficients": coefficient_pictures(row.figures),
                    "grades": grade_bars(row.figures),
                }
                for row in wholes
            ],
            "batches": [
                {
                    "batch": row.batch,
                    "kind": User.Kind(row.annotator_kind).label,
                    "figures": row.figures,
                    "estimates": row.figures["estimates"],
                    "same": _percent(row.figures["estimates"]["same"][0]),
                }
                for row in of_batches
            ],
            "machines": [
                machine_row(machine, names.get(machine["annotator"], "")) for machine in machines
            ],
        }  # fmt: skip
    return render(request, "annotation/quality/quality.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def quality_annotators(request: ProjectRequest) -> HttpResponse:
    """Who is how reliable, and the matrix of who agrees with whom."""
    context = _context(request)
    report, criterion = context["report"], context["criterion"]
    if report and criterion:
        rows = (
            report.annotators.filter(criterion=criterion)
            .select_related("annotator")
            .order_by("-judgments", "pk")
        )
        query = request.GET.get("q", "").replace("\0", "").strip()[:100]
        named = Q(annotator__pseudonym__icontains=query) | Q(annotator__username__icontains=query)
        page = Paginator(rows.filter(named) if query else rows, PAGE_SIZE).get_page(request.GET.get("page"))
        shown = {row.annotator_id: row.annotator for row in rows[:MATRIX_SIZE]}
        names = _names(list(shown))
        pairs = {
            (pair.one_id, pair.other_id): pair
            for pair in report.annotator_pairs.filter(criterion=criterion, one__in=shown, other__in=shown)
        }
        listed = _names([row.annotator_id for row in page])
        context |= {
            "page": page,
            "query": query,
            "columns": [measure for measure in MEASURES if measure.name in COLUMNS],
            "rows": [
                {
                    "row": row,
                    "name": listed[row.annotator_id],
                    "cells": [
                        _cell(row.figures.get(m.name), m.is_share) for m in MEASURES if m.name in COLUMNS
                    ],
                }
                for row in page
            ],
            "matrix": [
                {
                    "name": names[one],
                    "cells": [
                        _pair_cell(pairs.get((min(one, other), max(one, other))), names[other])
                        for other in shown
                    ],
                }
                for one in shown
            ]
            if pairs
            else [],
            "matrix_names": [names[key] for key in shown],
            "all_annotators": rows.count(),
        }
    return render(request, "annotation/quality/annotators.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def quality_annotator(request: ProjectRequest, pseudonym: str) -> HttpResponse:
    """One annotator, each figure in the crowd's band."""
    context = _context(request)
    report, criterion = context["report"], context["criterion"]
    if not report or not criterion:
        raise Http404("Nothing was measured.")
    rows = QualityAnnotator.objects.filter(report=report, criterion=criterion).select_related("annotator")
    row = get_object_or_404(rows, annotator__pseudonym=pseudonym)
    bands = context["summary"].get("bands", {}).get(row.annotator.kind, {})
    pairs = report.annotator_pairs.filter(criterion=criterion)
    mine = (pairs.filter(one=row.annotator) | pairs.filter(other=row.annotator)).order_by("-pairs")[
        :SHOWN_PAIRS
    ]
    others = [pair.other_id if pair.one_id == row.annotator_id else pair.one_id for pair in mine]
    names = _names([*others, row.annotator_id])
    context |= {
        "row": row,
        "name": names[row.annotator_id],
        "kind": User.Kind(row.annotator.kind).label,
        "pictures": band_pictures(row.figures, bands),
        "pairs": [
            {"name": names[other], "cell": _pair_cell(pair)} for other, pair in zip(others, mine, strict=True)
        ],
    }
    return render(request, "annotation/quality/annotator.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def quality_pair(request: ProjectRequest, pk: int) -> HttpResponse:
    """The tasks on which two annotators prefer different answers, the farthest apart first."""
    report = actions.newest_report(request.project)
    if report is None:
        raise Http404("Nothing was measured.")
    pair = get_object_or_404(report.annotator_pairs.select_related("one", "other", "criterion"), pk=pk)
    tasks = {
        task.pk: task
        for task in shown_tasks(
            Task.objects.filter(
                pk__in=[task for _, task in pair.apart], batch__visible=True, batch__project=request.project
            ),
            request.capabilities,
        ).select_related("prompt", "batch")
    }
    names = _names([pair.one_id, pair.other_id])
    context = {
        "report": report,
        "criterion": pair.criterion,
        "pair": pair,
        "one": (names[pair.one_id], pair.one.pseudonym),
        "other": (names[pair.other_id], pair.other.pseudonym),
        "same": _percent(pair.same / pair.pairs),
        "rows": [
            {"task": tasks[task], "prompt": excerpt(tasks[task].prompt.messages[-1]["content"], 160)}
            for _, task in pair.apart
            if task in tasks
        ],
    }
    return render(request, "annotation/quality/pair.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def uncertain_tasks(request: ProjectRequest) -> HttpResponse:
    """Tasks of which the crowd does not know which answer is better, the least certain first."""
    context = _context(request)
    report, criterion = context["report"], context["criterion"]
    if report and criterion:
        rows = report.consensus.filter(criterion=criterion, task__batch__visible=True)
        rows = shown_tasks(rows, request.capabilities, "task__")
        rows = rows.select_related("task__prompt", "task__batch").order_by("certainty", "pk")
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        context |= {
            "page": page,
            "rows": [
                {
                    "row": row,
                    "prompt": excerpt(row.task.prompt.messages[-1]["content"], 160),
                    "percent": f"{100 * row.certainty:.0f}",
                }
                for row in page
            ],
        }
    return render(request, "annotation/quality/uncertain.html", context)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def leaderboard(request: ProjectRequest) -> HttpResponse:
    """Which source's answers are preferred. Reviewers judge, too: managers alone."""
    context = _context(request)
    found = context["summary"].get("leaderboard") if context["report"] else None
    if found and found["sources"]:
        low = min(row["score"] - 1.96 * row["error"] for row in found["sources"])
        high = max(row["score"] + 1.96 * row["error"] for row in found["sources"])
        wide = (high - low) or 1.0
        context["sources"] = [
            row
            | {
                "rank": rank,
                "half": 1.96 * row["error"],
                "at": f"{100 * (row['score'] - low) / wide:.2f}",
                "from": f"{100 * (row['score'] - 1.96 * row['error'] - low) / wide:.2f}",
                "width": f"{100 * 2 * 1.96 * row['error'] / wide:.2f}",
            }
            for rank, row in enumerate(found["sources"], start=1)
        ]
    context["leaderboard"] = found
    return render(request, "annotation/quality/leaderboard.html", context)


@require_POST
@project_view(Capability.MANAGE)
def measure_again(request: ProjectRequest) -> HttpResponse:
    perform_action(
        request,
        actions.queue_measurement,
        project=request.project,
        done=gettext("A worker measures it now. The page shows it when it is done."),
    )
    return redirect("annotation:quality", slug=request.project.slug)


def _context(request: ProjectRequest) -> dict[str, Any]:
    """The report, the criterion that is chosen, and whether the worker is at it."""
    project = request.project
    report = actions.newest_report(project)
    criteria = list(project.criteria.order_by("pk"))
    measured = [criterion for criterion in criteria if report and str(criterion.pk) in report.summaries]
    asked = request.GET.get("criterion", "")
    criterion = next((one for one in measured if one.name == asked), measured[0] if measured else None)
    run = actions.being_measured(project)
    return {
        "report": report,
        "changed_at": report.changed_at() if report else None,
        "criteria": measured,
        "criterion": criterion,
        "summary": _summary(report, criterion),
        "run": run,
        "without_worker": run is not None and waits_without_worker(run),
    }


def _summary(report: QualityReport | None, criterion: Criterion | None) -> dict[str, Any]:
    found: dict[str, Any] = report.summaries[str(criterion.pk)] if report and criterion else {}
    return found


def _names(keys: list[int]) -> dict[int, str]:
    """Of an import's annotator the pseudonym: the account's name says nothing."""
    return {
        pk: username if active else pseudonym
        for pk, username, pseudonym, active in User.objects.filter(pk__in=keys).values_list(
            "pk", "username", "pseudonym", "is_active"
        )
    }


def machine_row(machine: dict[str, Any], name: str) -> dict[str, Any]:
    """A machine against people, in words. Reports of before have no kappa and no ties."""
    kappa, low, high = machine.get("kappa") or (None, None, None)
    return machine | {
        "name": name,
        "percent": _percents(machine["same"]),
        "people_percent": _percent(machine["people"]),
        "kappa_words": ""
        if kappa is None
        else f"{kappa:.2f}"
        if low is None
        else gettext("%(value)s (%(low)s to %(high)s)")
        % {"value": f"{kappa:.2f}", "low": f"{low:.2f}", "high": f"{high:.2f}"},
        "tie_percent": _percent(machine.get("ties")),
        "people_tie_percent": _percent(machine.get("people_ties")),
    }


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"


def _percents(estimate: list[float | None]) -> str:
    value, low, high = estimate
    return _percent(value) + (
        gettext(" (%(low)s to %(high)s)") % {"low": _percent(low), "high": _percent(high)}
        if low is not None
        else ""
    )


def _cell(value: Any, is_share: bool) -> tuple[str, str]:
    """(the figure, of how many)."""
    number = value[0] if isinstance(value, list) else value
    if number is None:
        return "", ""
    of = str(value[3]) if isinstance(value, list) and len(value) > 3 else ""
    return (f"{100 * number:.0f} %" if is_share else f"{number:.2f}"), of


def _pair_cell(pair: Any, other: str = "") -> dict[str, Any] | None:
    if pair is None:
        return None
    share = pair.same / pair.pairs
    return {
        "pair": pair,
        "percent": f"{100 * share:.0f}",
        "step": min(4, int(share * 5)),
        "apart": len(pair.apart),
        "with": other,
    }
