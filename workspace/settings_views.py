"""What a manager sets of the project itself; the forms are on the page of the project's settings."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from workspace import project_settings
from workspace.changed_page import save_shown_values
from workspace.forms import ShownValuesForm, SplitsForm, TimeZoneForm
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_POST
@project_view(Capability.MANAGE)
def set_time_zone(request: ProjectRequest) -> HttpResponse:
    return _save_settings(
        request,
        TimeZoneForm,
        project_settings.set_time_zone,
        done=gettext("Times are those of %(get)s now.") % {"get": request.POST.get("time_zone", "")},
    )


@require_POST
@project_view(Capability.MANAGE)
def set_splits(request: ProjectRequest) -> HttpResponse:
    return _save_settings(
        request,
        SplitsForm,
        project_settings.set_splits,
        done=gettext("Saved. Prompts that come from now on are divided so."),
    )


def _save_settings(
    request: ProjectRequest, form: Callable[..., ShownValuesForm], save: Callable[..., Any], *, done: str
) -> HttpResponse:
    return save_shown_values(
        request,
        lambda data: form(data, project=Project.objects.get(pk=request.project.pk)),
        partial(save, project=request.project),
        what=gettext("Settings"),
        back=reverse("annotation:settings", args=[request.project.slug]),
        done=done,
    )
