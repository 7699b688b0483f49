"""The buttons of chained trainings; the pages of runs list them."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext
from django.views.decorators.http import require_POST

from policy_training.access import access_chained
from policy_training.chaining.actions import cancel_chained, retry_chained
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


@require_POST
@project_view(Capability.MANAGE)
def cancel(request: ProjectRequest, pk: int) -> HttpResponse:
    training = access_chained(request.project, pk)
    done = gettext("Cancelled; what waits for it stays.")
    perform_action(request, cancel_chained, training=training, done=done)
    return redirect("runs:list", slug=request.project.slug)


@require_POST
@project_view(Capability.MANAGE)
def retry(request: ProjectRequest, pk: int) -> HttpResponse:
    training = access_chained(request.project, pk)
    perform_action(request, retry_chained, training=training, done=gettext("It waits again."))
    return redirect("runs:list", slug=request.project.slug)
