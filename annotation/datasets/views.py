"""Pages of datasets: judgments frozen for training and export."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotation.access import access_dataset
from annotation.datasets import actions, charts
from annotation.datasets.differences import KINDS, dataset_difference
from annotation.datasets.files import DatasetDamaged, dataset_manifest, excluded_batches_note
from annotation.datasets.forms import DatasetDescriptionForm, NewDatasetForm, SelectionForm
from annotation.datasets.freezing import being_frozen, freeze_or_queue
from annotation.datasets.preview import preview_selection
from annotation.datasets.quality_labels import files_beside
from annotation.datasets.selection import Selection
from annotation.datasets.wording import describe_filters
from annotation.models import Batch, PreferenceDataset
from learning.interface.vocabulary import SPLITS
from runs.models import Run
from workspace.changed_page import save_shown_values
from workspace.errors import ActionError
from workspace.lists import Filter, field_filter, read_list
from workspace.models import Project
from workspace.requests import ProjectRequest, key_in, project_view
from workspace.roles import Capability

COMPARABLE = 200  # datasets to choose from


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def datasets(request: ProjectRequest) -> HttpResponse:
    project = request.project
    found = project.preference_datasets.select_related("criterion", "created_by")
    criteria = project.criteria.order_by("name").values_list("name", flat=True)
    used = Filter(
        name="used",
        label=gettext("Trained on"),
        choices=[("yes", gettext("By a reward model")), ("no", gettext("By none"))],
        apply=lambda rows, value: rows.filter(reward_models__isnull=value == "no").distinct(),
    )
    listing = read_list(
        request,
        found,
        search=lambda rows, text: rows.filter(name__icontains=text),
        filters=[
            field_filter(
                "criterion", gettext("Criterion"), [(name, name) for name in criteria], "criterion__name"
            ),
            used,
        ],
    )
    context = {"listing": listing, "being_frozen": being_frozen(project)}
    return render(request, "annotation/datasets/list.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def dataset(request: ProjectRequest, pk: int) -> HttpResponse:
    """What is in it, where it came from and what came of it."""
    found = access_dataset(request.project, pk)
    others = request.project.preference_datasets.exclude(pk=found.pk).order_by("-pk")
    context: dict[str, Any] = {
        "dataset": found,
        "filters": describe_filters(found),
        "excluded": excluded_batches_note(found),
        "others": others[:COMPARABLE],
        "versions": others.filter(name=found.name),
        "reward_models": found.reward_models.prefetch_related("policies").order_by("-pk"),
        "policies": found.policies.order_by("-pk"),
        "rounds": found.rounds.order_by("number"),
        "form": DatasetDescriptionForm(dataset=found),
    }
    try:
        manifest = dataset_manifest(found)
        context |= {"manifest": manifest, "files_beside": files_beside(manifest)}
        context |= _figures(request.project, actions.remember_statistics(found))
    except DatasetDamaged as error:
        context["damaged"] = error.message
    return render(request, "annotation/datasets/dataset.html", context)


def _figures(project: Project, statistics: Mapping[str, Any]) -> dict[str, Any]:
    columns, unit = charts.time_columns(statistics)
    characters, agreement = statistics["characters"], statistics["agreement"]
    of_two_lengths = characters["pairs_of_two_lengths"]
    batches = statistics["batches"]
    keys = dict(
        Batch.objects.filter(
            project=project, visible=True, name__in=[row["batch"] for row in batches]
        ).values_list("name", "pk")
    )
    return {
        "statistics": statistics,
        "splits": [(name, statistics["splits"][name]) for name in SPLITS if name in statistics["splits"]],
        "batches": [row | {"pk": keys.get(row["batch"])} for row in batches],
        "days": columns,
        "unit": unit,
        "busiest": max(columns, key=lambda column: column.value, default=None),
        "grades": charts.grade_bars(statistics),
        "lengths": charts.length_bars(statistics),
        "agreements": charts.agreement_bars(statistics) if agreement["groups"] else [],
        "agreement_percent": None if agreement["mean"] is None else 100 * agreement["mean"],
        "sources": charts.source_bars(statistics),
        "tie_percent": _percent(statistics["counts"]["ties"], statistics["counts"]["pairs"]),
        "longer_percent": _percent(characters["longer_preferred"], of_two_lengths),
    }


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def new_dataset(request: ProjectRequest) -> HttpResponse:
    project = request.project
    form = NewDatasetForm(request.POST or None, project=project)
    if form.is_bound and form.is_valid():
        try:
            made = freeze_or_queue(actor=request.user, project=project, **form.freeze_options())
        except ActionError as error:
            field = "name" if error.code == "dataset_name_taken" else None
            form.add_error(field, error.message)
        else:
            page = "data:freezing" if isinstance(made, Run) else "data:dataset"
            return redirect(page, slug=project.slug, pk=made.pk)
    return render(
        request, "annotation/datasets/new.html", {"form": form}, status=422 if form.is_bound else 200
    )


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def preview_dataset(request: ProjectRequest) -> HttpResponse:
    """The part of the page that says what the filters select."""
    form = SelectionForm(request.GET, project=request.project)
    context: dict[str, Any] = {"form": form}
    if form.is_valid():
        context["preview"] = preview_selection(Selection(project=request.project, **form.selection()))
        context["conditions"] = bool(form.cleaned_data["conditions"])
    return render(request, "annotation/datasets/preview.html", context)


@require_POST
@project_view(Capability.MANAGE)
def describe_dataset(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_dataset(request.project, pk)
    return save_shown_values(
        request,
        lambda data: DatasetDescriptionForm(data, dataset=access_dataset(request.project, pk)),
        partial(actions.describe_dataset, dataset=found),
        what=found.label,
        back=reverse("data:dataset", args=[request.project.slug, found.pk]),
        done=gettext("Licence and description are stored."),
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def compare_datasets(request: ProjectRequest) -> HttpResponse:
    project = request.project
    old, new = (_chosen(project, request.GET.get(name, "")) for name in ("old", "new"))
    context: dict[str, Any] = {
        "old": old,
        "new": new,
        "choices": project.preference_datasets.order_by("-pk")[:COMPARABLE],
    }
    if old and new:
        try:
            found = dataset_difference(old, new)
        except DatasetDamaged as error:
            context["damaged"] = error.message
        else:
            keys = dict(
                Batch.objects.filter(project=project, visible=True, name__in=found.by_batch).values_list(
                    "name", "pk"
                )
            )
            context |= {
                "difference": found,
                "counts": [(kind, found.counts[kind]) for kind in KINDS],
                "batches": [(name, keys.get(name), counts) for name, counts in found.by_batch.items()],
                "examples": [
                    (kind, [(keys[batch], batch, pk) for batch, pk in rows if batch in keys])
                    for kind, rows in found.examples.items()
                ],
            }
    return render(request, "annotation/datasets/compare.html", context)


def _chosen(project: Project, key: str) -> PreferenceDataset | None:
    """None where nothing is chosen; Http404 for what the project has not."""
    number = key_in(key)
    return access_dataset(project, number) if number is not None else None
