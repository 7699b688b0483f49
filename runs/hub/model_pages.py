"""The views of a model on its way out: what its card says, its folder as an archive, its push to the Hub."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from runs.hub.archives import archive_response
from runs.hub.forms import ModelDescriptionForm, PushForm
from runs.hub.outgoing import OutgoingModels
from runs.hub.push_pages import push_page
from workspace.changed_page import save_shown_values
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

View = Callable[..., HttpResponseBase]


def describe_view(models: OutgoingModels) -> View:
    @require_POST
    @project_view(Capability.MANAGE)
    def describe(request: ProjectRequest, pk: int) -> HttpResponse:
        found = models.access(request.project, pk)

        def make_form(data: Any) -> ModelDescriptionForm:
            return ModelDescriptionForm(data, model=models.access(request.project, pk))

        return save_shown_values(
            request,
            make_form,
            partial(models.describe, **{models.name: found}),
            what=found.name,
            back=_page_of(models, request, found),
            done=gettext("Licence and notes are stored."),
        )

    return describe


def archive_view(models: OutgoingModels) -> View:
    @require_GET
    @never_cache
    @project_view(Capability.MANAGE)
    def archive(request: ProjectRequest, pk: int) -> HttpResponseBase:
        found = models.access(request.project, pk)
        return archive_response(request.user, found, lambda: models.files(found))

    return archive


def push_view(models: OutgoingModels) -> View:
    @require_http_methods(["GET", "POST"])
    @never_cache
    @sensitive_post_parameters("token")
    @project_view(Capability.MANAGE)
    def push(request: ProjectRequest, pk: int) -> HttpResponse:
        found = models.access(request.project, pk)
        return push_page(
            request,
            PushForm(request.POST or None),
            kind=models.kind,
            name=models.name,
            pk=found.pk,
            queue=partial(models.push, actor=request.user, model=found),
            context={"what": found.name, "back": _page_of(models, request, found)},
        )

    return push


def _page_of(models: OutgoingModels, request: ProjectRequest, found: Any) -> str:
    return reverse(models.page, args=[request.project.slug, found.pk])
