"""The part of a policy's page that says whether it is loaded for conversations, and its two buttons."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from policy_training.access import access_policy
from policy_training.serving.actions import start_policy_serving, stop_policy_serving
from policy_training.serving.presentation import serving_context
from workspace.polling import poll_response
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def live(request: ProjectRequest, pk: int) -> HttpResponse:
    context = serving_context(access_policy(request.project, pk))
    return poll_response(
        request,
        "policy_training/serving.html",
        context,
        version=context["version"],
        is_final=not context["serving_polls"],
    )


@require_POST
@project_view(Capability.MANAGE)
def start(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, start_policy_serving, policy=access_policy(request.project, pk))
    return redirect("policies:policy", slug=request.project.slug, pk=pk)


@require_POST
@project_view(Capability.MANAGE)
def stop(request: ProjectRequest, pk: int) -> HttpResponse:
    perform_action(request, stop_policy_serving, policy=access_policy(request.project, pk))
    return redirect("policies:policy", slug=request.project.slug, pk=pk)
