"""What each role may do, in one table. Views, access functions and templates ask for a capability, never for a role.

A new role is a row here and a member of Membership.Role; nobody has a capability that this table does not give them.
"""

from enum import StrEnum

from django.conf import settings
from django.contrib.auth.models import AnonymousUser

from workspace.models import Membership, Project, User

Role = Membership.Role


class Capability(StrEnum):
    OPEN = "open"  # find the project and open it
    ANNOTATE = "annotate"  # be given tasks and judge them, read the guideline
    REVIEW = "review"  # read everything of the project: batches, judgments, rounds, runs
    ANSWER = "answer"  # answer what annotators ask about a task
    DECIDE = "decide"  # decide where annotators disagree, and send judgments back to them
    SCORE = "score"  # ask reward models for the rewards of texts: who judges must not learn what they think
    MANAGE = "manage"  # plan batches, rounds and runs, change the question, invite people


ROLE_CAPABILITIES: dict[Role, frozenset[Capability]] = {
    Role.ANNOTATOR: frozenset({Capability.OPEN, Capability.ANNOTATE}),
    Role.REVIEWER: frozenset(
        {Capability.OPEN, Capability.ANNOTATE, Capability.REVIEW, Capability.ANSWER, Capability.DECIDE}
    ),
    Role.READER: frozenset({Capability.OPEN, Capability.REVIEW}),
    Role.MANAGER: frozenset(Capability),
}
# A machine gets no role that could do more.
MACHINE_CAPABILITIES = frozenset({Capability.OPEN, Capability.ANNOTATE})


def roles_with(capability: Capability) -> list[Role]:
    return [role for role, capabilities in ROLE_CAPABILITIES.items() if capability in capabilities]


def capabilities_of(actor: User | AnonymousUser, project: Project) -> frozenset[Capability]:
    """What the actor may do on the project; nothing for everybody who is no member, operators included."""
    if not isinstance(actor, User):
        return frozenset()
    return role_capabilities(
        actor, project.memberships.filter(user=actor).values_list("role", flat=True).first()
    )


def role_capabilities(actor: User, role: str | None) -> frozenset[Capability]:
    """What the actor may do where this is their role (None: no member)."""
    if not actor.is_active or actor.kind != User.Kind.PERSON:
        return frozenset()
    return ROLE_CAPABILITIES[Role(role)] if role else frozenset()


def may_create_projects(actor: User | AnonymousUser) -> bool:
    """Operators, and, where the installation says so, who manages a project already."""
    if not isinstance(actor, User) or not actor.is_active or actor.kind != User.Kind.PERSON:
        return False
    if actor.is_staff:
        return True
    if not settings.MANAGERS_CREATE_PROJECTS:
        return False
    return actor.memberships.filter(role__in=roles_with(Capability.MANAGE)).exists()
