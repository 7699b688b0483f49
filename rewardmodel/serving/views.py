"""The part of a reward model's page that says whether it is served, and its two buttons."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from rewardmodel.access import access_reward_model
from rewardmodel.serving.actions import start_serving, stop_serving
from rewardmodel.serving.presentation import serving_context
from workspace.polling import poll_response
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def live(request: ProjectRequest, pk: int) -> HttpResponse:
    context = serving_context(request.project, access_reward_model(request.project, pk))
    return poll_response(
        request,
        "rewardmodel/serving.html",
        context,
        version=context["version"],
        is_final=not context["serving_polls"],
    )


@require_POST
@project_view(Capability.MANAGE)
def start(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, start_serving, reward_model=access_reward_model(request.project, pk))
    return redirect("reward_models:reward_model", slug=request.project.slug, pk=pk)


@require_POST
@project_view(Capability.MANAGE)
def stop(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, stop_serving, reward_model=access_reward_model(request.project, pk))
    return redirect("reward_models:reward_model", slug=request.project.slug, pk=pk)
