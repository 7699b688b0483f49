"""Reward models: a list, and what each learned from, how well, and what it was used for."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.rendering.markdown import render_markdown
from rewardmodel.access import access_evaluation, access_reward_model
from rewardmodel.actions import evaluate_reward_model
from rewardmodel.checkpoints import training_of_checkpoint
from rewardmodel.figures import (
    accuracy_by_strength,
    accuracy_sentence,
    categories,
    evaluation_sentences,
    margin_figure,
    ratings_sentence,
    reliability_points,
)
from rewardmodel.forms import EvaluateRewardModelForm, TrainRewardModelForm
from rewardmodel.model_card import card_text
from rewardmodel.previews import preview_evaluation, preview_training
from rewardmodel.serving.presentation import serving_context
from rewardmodel.start_training import start_training
from runs.hub.forms import ModelDescriptionForm
from runs.option_forms.pages import run_form_page
from workspace.lists import field_filter, read_list
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

SHOWN_EVALUATIONS = 50


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def reward_models(request: ProjectRequest) -> HttpResponse:
    found = request.project.reward_models.select_related("dataset", "artifact", "serving").prefetch_related(
        "criteria"
    )
    criteria = request.project.criteria.order_by("name")
    listing = read_list(
        request,
        found,
        search=lambda rows, text: rows.filter(name__icontains=text),
        filters=[
            field_filter(
                "criterion",
                gettext("Criterion"),
                [(row.name, row.name) for row in criteria],
                "criteria__name",
            )
        ],
    )
    rows = [
        {"model": row, "accuracy": accuracy_sentence(row.report) or ratings_sentence(row.report)}
        for row in listing.rows
    ]
    return render(request, "rewardmodel/list.html", {"listing": listing, "rows": rows})


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def reward_model(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_reward_model(request.project, pk)
    evaluations = found.evaluations.select_related("dataset", "produced_by").order_by("-pk")
    context = (
        serving_context(request.project, found)
        | _pictures(found.report, found.produced_by_id)
        | {
            "model": found,
            "card": render_markdown(card_text(found)),
            "form": ModelDescriptionForm(model=found),
            "started": found.artifact.reward_models_started_here.order_by("-pk"),
            "criteria": found.criteria.order_by("name"),
            "accuracy": accuracy_sentence(found.report),
            "rated": ratings_sentence(found.report),
            "policies": found.policies.order_by("-pk"),
            "rounds": found.rounds.order_by("number"),
            "n_scores": found.scores.count(),
            "run": found.produced_by,
            "adopted_from": training_of_checkpoint(found),
            "evaluations": [
                (row, evaluation_sentences(row.report)) for row in evaluations[:SHOWN_EVALUATIONS]
            ],
        }
    )
    return render(request, "rewardmodel/reward_model.html", context)


def _pictures(report: Mapping[str, Any], measured_by: int) -> dict[str, Any]:
    """What rewardmodel/report.html draws of held-out judgments, and the run that measured it."""
    return {
        "report": report,
        "measured_by": measured_by,
        "reliability": reliability_points(report),
        "by_strength": accuracy_by_strength(report),
        "margins": margin_figure(report),
        "categories": categories(report),
    }


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def evaluation(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_evaluation(request.project, pk)
    context = _pictures(found.report, found.produced_by_id) | {
        "evaluation": found,
        "said": evaluation_sentences(found.report),
    }
    return render(request, "rewardmodel/evaluation.html", context)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def train(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        TrainRewardModelForm,
        template="rewardmodel/train.html",
        start=start_training,
        preview=preview_training,
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def evaluate(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        EvaluateRewardModelForm,
        template="rewardmodel/evaluate.html",
        start=evaluate_reward_model,
        preview=preview_evaluation,
    )
