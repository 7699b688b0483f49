"""The only way from an id or slug in a URL to an object. Missing and forbidden look the same: 404."""

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from workspace.models import Invitation, Membership, Project, User

Role = Membership.Role

MANAGERS = frozenset({Role.MANAGER})
REVIEWERS = frozenset({Role.REVIEWER, Role.MANAGER})
ANY_ROLE = frozenset({Role.ANNOTATOR, Role.REVIEWER, Role.MANAGER})


def role_in(actor: User | AnonymousUser, project: Project) -> Role | None:
    """The actor's role on the project; None for everybody else, operators included."""
    if not isinstance(actor, User) or not actor.is_active or actor.kind != User.Kind.PERSON:
        return None
    role = project.memberships.filter(user=actor).values_list("role", flat=True).first()
    return Role(role) if role else None


def access_project(actor: User | AnonymousUser, slug: str, *, roles: frozenset[Role]) -> Project:
    """The project with this slug if the actor has one of these roles on it; Http404 otherwise."""
    project = Project.objects.filter(slug=slug).first()
    if project is None or role_in(actor, project) not in roles:
        raise Http404("No such project.")
    return project


def access_invitation(actor: User | AnonymousUser, slug: str, pk: int) -> Invitation:
    project = access_project(actor, slug, roles=MANAGERS)
    invitation = project.invitations.filter(pk=pk).first()
    if invitation is None:
        raise Http404("No such invitation.")
    return invitation


def access_member(actor: User | AnonymousUser, slug: str, pk: int) -> Membership:
    project = access_project(actor, slug, roles=MANAGERS)
    membership = project.memberships.select_related("user").filter(pk=pk).first()
    if membership is None:
        raise Http404("No such member.")
    return membership
