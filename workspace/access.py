"""The only way from an id or slug in a URL to an object. Missing and forbidden look the same: 404.

`access_project` decides who gets in; what lies inside a project is looked up in the project that let them in.
"""

from typing import Protocol

from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.utils.translation import gettext

from workspace.errors import ActionError
from workspace.models import ApiToken, AuditEvent, Invitation, Membership, Project, User
from workspace.roles import Capability, capabilities_of


class OfProject(Protocol):
    """A row that belongs to one project."""

    project_id: int


def require_of_project(
    project: Project, *rows: OfProject | None, error: type[ActionError] = ActionError
) -> None:
    """Actions get rows from pages, commands, programs and rounds, and not all of these look them up in the project.
    None is what was not chosen. Raises `error` (code wrong_project) for the first that is another project's.
    """
    for row in rows:
        if row is not None and row.project_id != project.pk:
            raise error(
                gettext("“%(instance)s” belongs to another project.") % {"instance": row},
                code="wrong_project",
            )


class NoLongerMember(Http404):
    """Somebody asks for a project that they were removed from. They know it: they may hear what has happened."""

    def __init__(self, project: Project):
        self.message = gettext(
            "You are no longer a member of “%(name)s”: ask its managers if you should be."
        ) % {"name": project.name}
        super().__init__(self.message)


def access_project(
    actor: User | AnonymousUser, slug: str, capability: Capability
) -> tuple[Project, frozenset[Capability]]:
    """The project with this slug and all the actor may do on it; Http404 without this capability, NoLongerMember for
    who was removed from it.
    """
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise Http404("No such project.")
    capabilities = capabilities_of(actor, project)
    if capability not in capabilities:
        if not capabilities and _was_removed(actor, project):
            raise NoLongerMember(project)
        raise Http404("No such project.")
    return project, capabilities


def _was_removed(actor: User | AnonymousUser, project: Project) -> bool:
    removals = AuditEvent.objects.filter(
        project=project, action="membership.remove", target_type="workspace.user", target_id=str(actor.pk)
    )
    return actor.pk is not None and removals.exists()


def access_invitation(project: Project, pk: int) -> Invitation:
    invitation = project.invitations.filter(pk=pk).first()
    if invitation is None:
        raise Http404("No such invitation.")
    return invitation


def access_member(project: Project, pk: int) -> Membership:
    membership = project.memberships.select_related("user").filter(pk=pk).first()
    if membership is None:
        raise Http404("No such member.")
    return membership


def access_token(actor: User, pk: int) -> ApiToken:
    """A token of the actor's own, or of a project that they manage."""
    token = ApiToken.objects.select_related("user", "project").filter(pk=pk).first()
    if token is None or not may_revoke_token(actor, token):
        raise Http404("No such token.")
    return token


def may_revoke_token(actor: User, token: ApiToken) -> bool:
    if token.user_id == actor.pk:
        return True
    return token.project is not None and Capability.MANAGE in capabilities_of(actor, token.project)
