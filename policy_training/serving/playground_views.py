"""The playground of a policy: the page, and what its script calls (policy_training/playground.js)."""

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.annotator.json_api import json_endpoint, parse_json_body
from policy_training.access import access_policy
from policy_training.serving.playground import (
    GREATEST_TEMPERATURE,
    LEAST_TEMPERATURE,
    MAX_ANSWERS,
    MAX_SEED,
    ask,
    cancel,
    look,
    read_playground_request,
)
from policy_training.serving.presentation import playground_context
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

USUAL_TOKENS = 256  # of an answer


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def playground(request: ProjectRequest, pk: int) -> HttpResponse:
    policy = access_policy(request.project, pk)
    context = playground_context(policy, request.GET)
    most = context["limits"].max_response_tokens
    context |= {
        "project": request.project,
        "usual_tokens": min(USUAL_TOKENS, most),
        "least_temperature": LEAST_TEMPERATURE,
        "greatest_temperature": GREATEST_TEMPERATURE,
        "max_seed": MAX_SEED,
        "answer_counts": range(1, MAX_ANSWERS + 1),
        "storage_key": f"roundtable:playground:{request.user.pk}:{policy.pk}",
    }
    return render(request, "policy_training/playground.html", context)


@require_POST
@json_endpoint
@project_view(Capability.MANAGE)
def answers(request: ProjectRequest, pk: int) -> HttpResponse:
    """Begin answers to a dialogue."""
    policy = access_policy(request.project, pk)
    asked = read_playground_request(policy, parse_json_body(request))
    return JsonResponse({"answers": ask(policy, asked)})


@require_POST
@json_endpoint
@project_view(Capability.MANAGE)
def state(request: ProjectRequest, pk: int) -> HttpResponse:
    """How answers stand that were asked for."""
    policy = access_policy(request.project, pk)
    return JsonResponse({"answers": look(policy, parse_json_body(request).get("ids"))})


@require_POST
@json_endpoint
@project_view(Capability.MANAGE)
def stop(request: ProjectRequest, pk: int) -> HttpResponse:
    """Answers that nobody waits for any more are written no further."""
    cancel(access_policy(request.project, pk), parse_json_body(request).get("ids"))
    return JsonResponse({})
