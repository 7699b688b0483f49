"""Pages that compare policies: the two forms, and what came of one."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from policy_training.access import access_comparison
from policy_training.comparing.actions import compare_policies, evaluate_along_run, kept_checkpoints
from policy_training.comparing.forms import AlongRunForm, CompareForm, preview_comparison
from policy_training.comparing.presentation import (
    along_pictures,
    comparison_rows,
    criterion_tables,
    own_scores,
    scoring_models,
    which_checkpoints,
)
from policy_training.guidance import led_text
from runs.access import access_run
from runs.models import Run
from runs.option_forms.fields import value_at
from runs.option_forms.pages import run_form_page
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def compare(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        CompareForm,
        template="policy_training/compare.html",
        start=compare_policies,
        preview=preview_comparison,
        context={"heading": gettext("Compare policies")},
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def along(request: ProjectRequest, run: int) -> HttpResponse:
    found = access_run(request.project, run)

    def start(**asked: Any) -> Run:
        return evaluate_along_run(run=found, **asked)

    return run_form_page(
        request,
        AlongRunForm,
        template="policy_training/compare.html",
        start=start,
        preview=preview_comparison,
        context={
            "heading": gettext("Evaluate along a training"),
            "of_run": found,
            "kept_steps": [one.step for one in kept_checkpoints(found)],
        },
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def comparison(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_comparison(request.project, pk)
    compared = comparison_rows(found)
    context = {
        "comparison": found,
        "rows": compared,
        "tables": criterion_tables(compared),
        "own_scores": own_scores(found),
        "models": ", ".join(model.name for model in scoring_models(found)),
        "pictures": along_pictures(found, compared) if found.of_run_id else [],
        "which_checkpoints": which_checkpoints(found, compared) if found.of_run_id else "",
        "judge": found.report.get("judge"),
        "led": led_text(found.produced_by.config),
        "server": value_at(found.produced_by.config, "sampling.server.name"),
        "outside_server": value_at(found.produced_by.config, "outside.name"),
        "batches": found.batches.select_related("criterion").order_by("pk"),
    }
    return render(request, "policy_training/comparison.html", context)
