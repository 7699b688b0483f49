"""Datasets as downloads: in every format, as an archive that is made while it is sent."""

from functools import partial

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods

from annotation.access import access_dataset
from annotation.exporting.actions import stream_preferences
from annotation.exporting.demonstrations import stream_demonstrations
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.exporting.forms import DemonstrationsForm, DownloadForm, PushDatasetForm
from annotation.exporting.pushing import PUSH, push_dataset
from annotation.models import PreferenceDataset
from runs.hub.push_pages import push_page
from workspace.errors import ActionError
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def download_dataset(request: ProjectRequest, pk: int) -> HttpResponse:
    form = DownloadForm(initial={"format": request.GET.get("format") or "records"})
    return _page(request, access_dataset(request.project, pk), form)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def dataset_archive(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The archive, or the form again with one sentence."""
    found = access_dataset(request.project, pk)
    form = DownloadForm(request.GET)
    if form.is_valid():
        try:
            name, content = stream_preferences(actor=request.user, dataset=found, **form.options())
        except ActionError as error:
            form.add_error(None, error.message)
        else:
            response = StreamingHttpResponse(content, content_type="application/zip")
            response["Content-Disposition"] = content_disposition_header(True, name)
            return response
    return _page(request, found, form)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def download_demonstrations(request: ProjectRequest) -> HttpResponseBase:
    """All of the project, or one split, as an archive; the form again with one sentence."""
    form = DemonstrationsForm(request.GET or None, project=request.project)
    if form.is_valid():
        try:
            name, content = stream_demonstrations(
                actor=request.user, project=request.project, **form.options()
            )
        except ActionError as error:
            form.add_error(None, error.message)
        else:
            response = StreamingHttpResponse(content, content_type="application/zip")
            response["Content-Disposition"] = content_disposition_header(True, name)
            return response
    status = 422 if form.is_bound else 200
    return render(request, "annotation/exporting/demonstrations.html", {"form": form}, status=status)


@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters("token")
@project_view(Capability.MANAGE)
def push_dataset_page(request: ProjectRequest, pk: int) -> HttpResponse:
    """The dataset, in a format, to a repository of the Hub."""
    found = access_dataset(request.project, pk)
    return push_page(
        request,
        PushDatasetForm(request.POST or None, initial={"format": "records"}),
        kind=PUSH,
        name="dataset",
        pk=found.pk,
        queue=partial(push_dataset, actor=request.user, dataset=found),
        context={
            "what": found.label,
            "back": reverse("data:dataset", args=[request.project.slug, found.pk]),
        },
    )


def _page(request: ProjectRequest, found: PreferenceDataset, form: DownloadForm) -> HttpResponse:
    context = {"dataset": found, "form": form, "formats": EXPORT_FORMATS.values()}
    status = 422 if form.is_bound else 200
    return render(request, "annotation/exporting/download.html", context, status=status)
