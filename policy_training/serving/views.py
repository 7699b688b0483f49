"""The part of a policy's pages that says whether it is loaded, and its two buttons."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from policy_training.access import access_policy
from policy_training.serving.actions import start_policy_serving, stop_policy_serving
from policy_training.serving.forms import ServingLengthsForm
from policy_training.serving.presentation import serving_context, serving_of
from workspace.polling import poll_response
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability

PLAYGROUND = "playground"  # `on`, of a part or a button that stands on the playground


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def live(request: ProjectRequest, pk: int) -> HttpResponse:
    context = serving_context(access_policy(request.project, pk))
    is_playground = request.GET.get("on") == PLAYGROUND
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
    form = ServingLengthsForm(request.POST, serving=serving_of(policy))
    if form.is_valid():
        perform_action(request, start_policy_serving, policy=policy, **form.cleaned_data)
    for name, faults in form.errors.items():
        messages.error(request, f"{form.fields[name].label}: {faults[0]}")
    return _back(request, pk)


@require_POST
@project_view(Capability.MANAGE)
def stop(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, stop_policy_serving, policy=access_policy(request.project, pk))
    return _back(request, pk)


def _back(request: ProjectRequest, pk: int) -> HttpResponse:
    """To the page that the button stands on."""
    page = PLAYGROUND if request.POST.get("on") == PLAYGROUND else "policy"
    return redirect(f"policies:{page}", slug=request.project.slug, pk=pk)
