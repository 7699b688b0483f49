"""The part of a policy's pages that says whether it is loaded, and its two buttons."""

from collections.abc import Mapping
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from policy_training.access import access_policy
from policy_training.serving.actions import start_policy_serving, stop_policy_serving
from policy_training.serving.forms import ServingLimitsForm
from policy_training.serving.presentation import (
    playground_context,
    serving_context,
    serving_of,
)
from workspace.polling import poll_response
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PLAYGROUND = "playground"  # `on`, of a part or a button that stands on the playground
MAX_KEPT_CHARACTERS = 40  # of a limit that was refused; none has as many


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def live(request: ProjectRequest, pk: int) -> HttpResponse:
    is_playground = request.GET.get("on") == PLAYGROUND
    make_context = playground_context if is_playground else serving_context
    context = make_context(access_policy(request.project, pk))
    return poll_response(
        request,
        "policy_training/playground_serving.html" if is_playground else "policy_training/serving.html",
        context,
        version=context["version"],
        is_final=not context["serving_polls"],
    )


@require_POST
@project_view(Capability.MANAGE)
def start(request: ProjectRequest, pk: int) -> HttpResponse:
    policy = access_policy(request.project, pk)
    form = ServingLimitsForm(request.POST, serving=serving_of(policy))
    if form.is_valid():
        perform_action(request, start_policy_serving, policy=policy, **form.cleaned_data)
        return _back(request, pk)
    for name, faults in form.errors.items():
        messages.error(request, f"{form.fields[name].label}: {faults[0]}")
    typed = {name: request.POST.get(name, "")[:MAX_KEPT_CHARACTERS] for name in form.fields}
    return _back(request, pk, typed)


@require_POST
@project_view(Capability.MANAGE)
def stop(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, stop_policy_serving, policy=access_policy(request.project, pk))
    return _back(request, pk)


def _back(request: ProjectRequest, pk: int, typed: Mapping[str, str] | None = None) -> HttpResponse:
    """To the page that the button stands on, with what was `typed` and refused."""
    page = PLAYGROUND if request.POST.get("on") == PLAYGROUND else "policy"
    address = reverse(f"policies:{page}", args=[request.project.slug, pk])
    return redirect(f"{address}?{urlencode(typed)}" if typed else address)
