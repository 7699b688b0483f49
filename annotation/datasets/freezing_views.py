"""The page of a dataset that the worker is freezing: how far it is, and the dataset once it is there."""

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.datasets.freezing import FREEZE, dataset_of_run
from runs.waiting import access_run_of_kind, waiting_context, waiting_response
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def freezing(request: ProjectRequest, pk: int) -> HttpResponse:
    run = access_run_of_kind(request.project, pk, FREEZE)
    if run.is_finished and (made := dataset_of_run(run)) is not None:
        return redirect("data:dataset", slug=request.project.slug, pk=made.pk)
    return render(request, "annotation/datasets/freezing.html", waiting_context(run))


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def freezing_live(request: ProjectRequest, pk: int) -> HttpResponseBase:
    run = access_run_of_kind(request.project, pk, FREEZE)
    page = reverse("data:freezing", args=[request.project.slug, run.pk])
    return waiting_response(request, run, template="annotation/datasets/freezing_live.html", page=page)
