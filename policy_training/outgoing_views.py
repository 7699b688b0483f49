"""A policy on its way out: what its card says, its folder as an archive, its push to the Hub."""

from functools import partial

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from policy_training.access import access_policy
from policy_training.model_card import policy_files
from policy_training.pushing import PUSH, push_policy
from policy_training.registry import describe_policy
from runs.hub.archives import archive_response
from runs.hub.forms import PushForm
from runs.hub.push_pages import push_page
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


@require_POST
@project_view(Capability.MANAGE)
def describe(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_policy(request.project, pk)
    perform_action(
        request,
        describe_policy,
        policy=found,
        licence=request.POST.get("licence", ""),
        notes=request.POST.get("notes", ""),
        done="Licence and notes are stored.",
    )
    return redirect("policies:policy", slug=request.project.slug, pk=found.pk)


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def archive(request: ProjectRequest, pk: int) -> HttpResponseBase:
    found = access_policy(request.project, pk)
    return archive_response(request.user, found, lambda: policy_files(found))


@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters("token")
@project_view(Capability.MANAGE)
def push(request: ProjectRequest, pk: int) -> HttpResponse:
    found = access_policy(request.project, pk)
    return push_page(
        request,
        PushForm(request.POST or None),
        kind=PUSH,
        name="policy",
        pk=found.pk,
        queue=partial(push_policy, actor=request.user, policy=found),
        context={
            "what": found.name,
            "back": reverse("policies:policy", args=[request.project.slug, found.pk]),
        },
    )
