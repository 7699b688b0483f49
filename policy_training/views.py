"""Policies: a list, the page of each, and the forms that train, merge, import, sample from and evaluate them."""

from functools import partial

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.models import TaskResponse
from annotation.rendering.markdown import render_markdown
from policy_training import actions
from policy_training.access import access_policy
from policy_training.benchmarks.presentation import latest_of
from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.dpo.forms import TrainDPOForm, preview_dpo
from policy_training.figures import evaluation_figures, policy_figures
from policy_training.forms import EvaluatePolicyForm, FineTuneForm, PretrainForm, SampleForm
from policy_training.imports.actions import queue_import
from policy_training.imports.forms import ImportPolicyForm
from policy_training.merging import MergeForm, merge_policies, merged_from, preview_merge
from policy_training.models import Policy
from policy_training.outgoing.model_card import card_text, line_of
from policy_training.previews import preview_evaluation, preview_language_model, preview_sampling
from policy_training.rewarded.forms import (
    BestOfNForm,
    PolicyGradientForm,
    PPOForm,
    preview_best_of_n,
    preview_rollouts,
)
from policy_training.rewarded.origins import origin_rows
from policy_training.selecting.queries import selected_policy
from policy_training.serving.presentation import serving_context
from runs.hub.forms import ModelDescriptionForm
from runs.models import Run
from runs.option_forms.pages import run_form_page
from workspace.errors import ActionError
from workspace.lists import Filter, read_list
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

SHOWN_BATCHES = 20
SHOWN_EVALUATIONS = 50
ORIGIN = Filter(
    name="origin",
    label=gettext_lazy("Origin"),
    choices=[("trained", gettext_lazy("Trained here")), ("imported", gettext_lazy("Imported"))],
    apply=lambda rows, value: rows.filter(produced_by__isnull=value == "imported"),
)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def policies(request: ProjectRequest) -> HttpResponse:
    found = request.project.policies.select_related(
        "parent", "reward_model", "dataset", "produced_by", "artifact"
    )
    listing = read_list(
        request, found, search=lambda rows, text: rows.filter(name__icontains=text), filters=[ORIGIN]
    )
    context = {"listing": listing, "selected": selected_policy(request.project)}
    return render(request, "policy_training/list.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def policy(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_policy(request.project, pk)
    answered = TaskResponse.objects.filter(response__source=found.source, task__batch__visible=True)
    evaluations = found.evaluations.select_related("reward_model", "reference", "produced_by").order_by("-pk")
    context = serving_context(found, request.GET) | {
        "card": render_markdown(card_text(found)),
        "form": ModelDescriptionForm(model=found),
        "started": found.artifact.reward_models_started_here.order_by("-pk"),
        "line": line_of(found)[:-1],
        "merged_from": [(policy, f"{100 * share:.1f} %") for policy, share in merged_from(found)],
        "children": found.children.order_by("pk"),
        "responses": found.source.responses.aggregate(n=Count("pk"))["n"],
        "figures": policy_figures(found),
        "origins": origin_rows(found.report),
        "rounds": request.project.rounds.filter(
            Q(start_policy=found) | Q(comparison_policy=found) | Q(new_policy=found)
        ).order_by("number"),
        "batches": request.project.batches.filter(
            pk__in=answered.order_by().values_list("task__batch", flat=True).distinct()
        ).order_by("-pk")[:SHOWN_BATCHES],
        "evaluations": [
            {"evaluation": row, **evaluation_figures(row)} for row in evaluations[:SHOWN_EVALUATIONS]
        ],
        "measured": latest_of(found),
        "comparisons": found.comparisons.order_by("-pk")[:SHOWN_EVALUATIONS],
        "import_run": _import_run(found),
        "selected": selected_policy(request.project),
        "selections": found.selections.order_by("-pk")[:SHOWN_EVALUATIONS],
    }
    return render(request, "policy_training/policy.html", context)


def _import_run(policy: Policy) -> Run | None:
    key = (policy.report.get("imported") or {}).get("run")
    return Run.objects.filter(project=policy.project_id, pk=key).first() if isinstance(key, int) else None


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def fine_tune(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        FineTuneForm,
        template="policy_training/language_model_form.html",
        start=partial(start_or_chain, Recipe.SFT),
        preview=preview_language_model,
        context={
            "heading": gettext("Fine-tune a policy"),
            "intro": gettext(
                "It learns to answer as the project's demonstrations do: the loss counts their answers alone."
            ),
            "button": gettext("Fine-tune"),
        },
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def pretrain(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        PretrainForm,
        template="policy_training/language_model_form.html",
        start=partial(start_or_chain, Recipe.PRETRAIN),
        preview=preview_language_model,
        context={
            "heading": gettext("Pretrain a policy"),
            "intro": gettext("It learns to go on with the project's texts: the loss counts every token."),
            "button": gettext("Pretrain"),
        },
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def dpo(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        TrainDPOForm,
        template="policy_training/dpo.html",
        start=partial(start_or_chain, Recipe.DPO),
        preview=preview_dpo,
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def ppo(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        PPOForm,
        template="policy_training/rewarded_form.html",
        start=partial(start_or_chain, Recipe.PPO),
        preview=preview_rollouts,
        context={
            "heading": gettext("Train by PPO"),
            "intro": gettext(
                "The policy answers prompts, a reward model scores the answers, and a critic says what was to be "
                "expected: what turned out better becomes likelier, in small steps that stay near the reference. "
                "A round does the same with the reward model that it has just trained."
            ),
            "button": gettext("Train"),
        },
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def policy_gradient(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        PolicyGradientForm,
        template="policy_training/rewarded_form.html",
        start=partial(start_or_chain, Recipe.POLICY_GRADIENT),
        preview=preview_rollouts,
        context={
            "heading": gettext("Train by policy gradient"),
            "intro": gettext(
                "REINFORCE, RLOO or GRPO: the policy answers prompts, a reward model scores them, and those "
                "that score higher than the others become likelier. There is no critic, as PPO has one."
            ),
            "button": gettext("Train"),
        },
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def best_of_n(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        BestOfNForm,
        template="policy_training/rewarded_form.html",
        start=partial(start_or_chain, Recipe.BEST_OF_N),
        preview=preview_best_of_n,
        context={
            "heading": gettext("Fine-tune on the best of n"),
            "intro": gettext(
                "Policies answer each prompt several times, a reward model scores the answers, and the policy is "
                "fine-tuned on those that score best (rejection sampling)."
            ),
            "button": gettext("Train"),
        },
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def merge(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        MergeForm,
        template="policy_training/merge.html",
        start=merge_policies,
        preview=preview_merge,
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def sample(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        SampleForm,
        template="policy_training/sample.html",
        start=actions.sample_tasks,
        preview=preview_sampling,
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def import_policy(request: ProjectRequest) -> HttpResponse:
    form = ImportPolicyForm(request.POST or None, project=request.project)
    if form.is_bound and form.is_valid():
        try:
            run = queue_import(actor=request.user, **form.asked())
        except ActionError as error:
            form.refuse(error)
        else:
            return redirect("runs:run", slug=request.project.slug, pk=run.pk)
    return render(
        request, "policy_training/import.html", {"form": form}, status=422 if form.is_bound else 200
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def evaluate(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        EvaluatePolicyForm,
        template="policy_training/evaluate.html",
        start=actions.evaluate_policy,
        preview=preview_evaluation,
    )
