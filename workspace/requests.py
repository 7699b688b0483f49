"""What views of a project have in common: who may open them, whose request it is, and how a button ends."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone

from learning.interface.options import UserError
from workspace.access import access_project
from workspace.errors import ActionError
from workspace.models import Project, User
from workspace.project_context import ProjectContext
from workspace.roles import Capability, role_capabilities

R = TypeVar("R")


class ProjectRequest(HttpRequest):
    """The request of somebody who may open this page of the project."""

    user: User
    project: Project
    capabilities: frozenset[Capability]
    project_context: ProjectContext | None  # what was read of them at once, where it was


class ProjectView(Protocol):
    capability: Capability  # what the page asks for

    def __call__(self, request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase: ...


def key_in(text: str) -> int | None:
    """The key of a row that an address or a form names; None for what is no whole number, or longer than any key."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def project_view(capability: Capability) -> Callable[[Callable[..., HttpResponseBase]], ProjectView]:
    """A view of the project whose `slug` is in the address, for people who have `capability` on it.

    Everybody else gets a 404, and who is not logged in the login page. The view is called with a ProjectRequest in
    place of the slug, and times are read and shown in the project's time zone.
    """

    def decorate(view: Callable[..., HttpResponseBase]) -> ProjectView:
        @wraps(view)
        def authorized(request: HttpRequest, *args: Any, slug: str, **kwargs: Any) -> HttpResponseBase:
            allowed = cast(ProjectRequest, request)
            project_context: ProjectContext | None = getattr(request, "project_context", None)
            if project_context is not None and project_context.user is request._cached_user:  # type: ignore[attr-defined]
                capabilities = role_capabilities(project_context.user, project_context.role)
                if capability in capabilities:
                    allowed.project, allowed.capabilities = project_context.project, capabilities
                    with timezone.override(allowed.project.time_zone):
                        return view(allowed, *args, **kwargs)
            allowed.project_context = None
            allowed.project, allowed.capabilities = access_project(request.user, slug, capability)
            with timezone.override(allowed.project.time_zone):
                return view(allowed, *args, **kwargs)

        decorated = cast(ProjectView, login_required(authorized))
        decorated.capability = capability
        return decorated

    return decorate


def current_user(request: HttpRequest) -> User:
    """Who is logged in; only for views that ask for a login."""
    assert isinstance(request.user, User)
    return request.user


def perform_action(
    request: HttpRequest, action: Callable[..., R], *, done: str = "", **arguments: Any
) -> R | None:
    """Call an action for the person behind a button; the page they are sent to next shows `done`, or what was wrong.

    Returns what the action returns; None when it raised ActionError or UserError.
    """
    try:
        result = action(actor=current_user(request), **arguments)
    except (ActionError, UserError) as error:
        messages.error(request, str(error))
        return None
    if done:
        messages.success(request, done)
    return result
