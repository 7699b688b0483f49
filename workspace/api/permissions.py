"""Who may call what. Nobody may by default: an operation says which capability it takes, and a token only takes away.

Capabilities are those of workspace/roles.py, found by workspace/access.py as for pages.
"""

from django.http import Http404
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from workspace.access import access_project
from workspace.models import ApiToken, Membership, Project, User
from workspace.roles import ROLE_CAPABILITIES, Capability

SAFE_METHODS = ("GET", "HEAD")


class IsPerson(BasePermission):
    """Somebody who may log in; a machine has no session and no token, and would be refused here if it had."""

    message = "Only people may call this."

    def has_permission(self, request: Request, view: APIView) -> bool:
        user = request.user
        return isinstance(user, User) and user.is_active and user.kind == User.Kind.PERSON


def token_of(request: Request) -> ApiToken | None:
    return request.auth if isinstance(request.auth, ApiToken) else None


def limited_by_token(
    request: Request, project: Project, capabilities: frozenset[Capability]
) -> frozenset[Capability]:
    """What of a person's capabilities on the project is left to their program."""
    token = token_of(request)
    if token is None:
        return capabilities
    if token.project_id not in (None, project.pk):
        return frozenset()
    left = capabilities & ROLE_CAPABILITIES[Membership.Role(token.role)]
    return left & {Capability.SCORE} if token.scope == ApiToken.Scope.SCORE else left


def access_project_by_program(
    request: Request, slug: str, capability: Capability
) -> tuple[Project, frozenset[Capability]]:
    """As access_project, for a request of the API. Http404 also where the token is what does not reach."""
    assert isinstance(request.user, User)
    project, capabilities = access_project(request.user, slug, capability)
    capabilities = limited_by_token(request, project, capabilities)
    if capability not in capabilities:
        raise Http404("No such project.")
    return project, capabilities


def require_scope(request: Request) -> None:
    """Raises PermissionDenied for a request that changes something, with a token that may only read."""
    token = token_of(request)
    if token is not None and token.scope != ApiToken.Scope.WRITE and request.method not in SAFE_METHODS:
        raise PermissionDenied("This token may only read: make one with the scope “write”.", "token_scope")
