"""Who is on a project, in which role, and who is invited. One action = one transaction = one audit row."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from workspace.actions import record_audit
from workspace.errors import ActionError, InvitationUnusable, LastManager
from workspace.models import ApiToken, Invitation, Membership, Project, User
from workspace.roles import (
    MACHINE_CAPABILITIES,
    ROLE_CAPABILITIES,
    Capability,
    capabilities_of,
    roles_with,
)


class NotAManager(ActionError):
    """They were a manager when they pressed the button, and are not any more."""

    code = "not_a_manager"


def _lock_as_manager(project: Project, actor: User) -> None:
    """Nobody's role changes until the transaction ends, and the actor manages the project now, not only when their
    request came in. Raises NotAManager.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    present = User.objects.filter(pk=actor.pk, is_active=True).first()
    if present is None or not (
        present.is_superuser or Capability.MANAGE in capabilities_of(present, project)
    ):
        raise NotAManager(gettext("You do not manage this project any more: nothing was changed."))


def require_manager_of_what_waits(project: Project, actor: User) -> None:
    """For what is asked for now and done later in the actor's name, where it is looked at again whether they manage the
    project: an operator with a shell, whom commands let act without being a member, is told at once.

    Raises NotAManager.
    """
    if Capability.MANAGE not in capabilities_of(actor, project):
        raise NotAManager(
            gettext(
                "%(username)s does not manage the project, and what waits is done for a manager only: have one ask "
                "for it."
            )
            % {"username": actor.username}
        )


@transaction.atomic
def set_role(*, actor: User, project: Project, user: User, role: str) -> Membership:
    """Give somebody a role on the project, or change the one they have. Raises NotAManager."""
    _lock_as_manager(project, actor)
    return _set_role(actor, project, user, role)


@transaction.atomic
def change_role(*, actor: User, project: Project, user: User, role: str) -> Membership:
    """As set_role, for somebody who is a member: who was removed a moment ago stays removed. Raises NotAManager."""
    _lock_as_manager(project, actor)
    if not project.memberships.filter(user=user).exists():
        raise ActionError(
            gettext("%(username)s is not on the project any more.") % {"username": user.username},
            code="not_a_member",
        )
    return _set_role(actor, project, user, role)


def _set_role(actor: User, project: Project, user: User, role: str) -> Membership:
    capabilities = _capabilities_of_role(role)
    if user.kind != User.Kind.PERSON and not capabilities <= MACHINE_CAPABILITIES:
        raise ActionError(
            gettext("“%(username)s” is a machine: it can only annotate.") % {"username": user.username},
            code="role_unfit",
        )
    _require_another_manager(project, user, still_manager=Capability.MANAGE in capabilities)
    membership, _ = Membership.objects.update_or_create(project=project, user=user, defaults={"role": role})
    withdrawn = 0 if Capability.MANAGE in capabilities else _withdraw_invitations_of(project, user)
    record_audit(
        actor=actor, action="membership.set", project=project, target=membership, role=role, withdrawn=withdrawn,
    )  # fmt: skip
    return membership


@transaction.atomic
def remove_member(*, actor: User, project: Project, user: User) -> None:
    """Raises NotAManager, LastManager."""
    _lock_as_manager(project, actor)
    _require_another_manager(project, user, still_manager=False)
    Membership.objects.filter(project=project, user=user).delete()
    withdrawn = _withdraw_invitations_of(project, user)
    # Who comes back another day does not find them alive.
    ApiToken.objects.filter(project=project, user=user, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )
    record_audit(actor=actor, action="membership.remove", project=project, target=user, withdrawn=withdrawn)


@transaction.atomic
def pause_member(*, actor: User, project: Project, user: User) -> Membership:
    """They get no tasks until they are resumed; what they have on the screen, and all else of theirs, stays as it is.

    Raises NotAManager, and ActionError for who is no member.
    """
    return _set_paused(actor, project, user, is_paused=True)


@transaction.atomic
def resume_member(*, actor: User, project: Project, user: User) -> Membership:
    """They get tasks again. Raises as pause_member."""
    return _set_paused(actor, project, user, is_paused=False)


def _set_paused(actor: User, project: Project, user: User, *, is_paused: bool) -> Membership:
    _lock_as_manager(project, actor)
    membership = project.memberships.select_for_update(no_key=True, of=("self",)).filter(user=user).first()
    if membership is None:
        raise ActionError(
            gettext("%(username)s is not on the project any more.") % {"username": user.username},
            code="not_a_member",
        )
    if (membership.paused_at is not None) != is_paused:
        membership.paused_at = timezone.now() if is_paused else None
        membership.save(update_fields=["paused_at"])
        action = "membership.pause" if is_paused else "membership.resume"
        record_audit(actor=actor, action=action, project=project, target=membership)
    return membership


def _withdraw_invitations_of(project: Project, user: User) -> int:
    """How many: a spare link would give the right back."""
    theirs = Invitation.objects.open().filter(project=project, invited_by=user)
    return theirs.update(withdrawn_at=timezone.now())


def _capabilities_of_role(role: str) -> frozenset[Capability]:
    """Raises ActionError for a word that is no role."""
    if role not in Membership.Role.values:
        known = ", ".join(Membership.Role.values)
        raise ActionError(
            gettext("“%(role)s” is no role: use %(known)s.") % {"role": role, "known": known},
            code="role_unknown",
        )
    return ROLE_CAPABILITIES[Membership.Role(role)]


def _require_another_manager(project: Project, user: User, *, still_manager: bool) -> None:
    # Who cannot log in manages nothing.
    able = project.memberships.filter(
        role__in=roles_with(Capability.MANAGE), user__is_active=True, user__kind=User.Kind.PERSON
    )
    if set(able.values_list("user_id", flat=True)) == {user.pk} and not still_manager:
        raise LastManager(gettext("This is the project's only manager: make somebody else a manager first."))


MAX_INVITATIONS = 40  # made at once


def hash_token(token: str) -> str:
    # A random 256-bit token needs no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def invite(*, actor: User, project: Project, role: str, note: str = "") -> tuple[Invitation, str]:
    """An invitation and its token. The token is shown once; only its hash is kept. Raises NotAManager."""
    _capabilities_of_role(role)
    _lock_as_manager(project, actor)
    token = secrets.token_urlsafe(32)
    invitation = Invitation.objects.create(
        project=project,
        role=role,
        note=note[:120],
        token_hash=hash_token(token),
        invited_by=actor,
        expires_at=timezone.now() + timedelta(days=settings.INVITATION_EXPIRY_DAYS),
    )
    record_audit(actor=actor, action="invitation.create", project=project, target=invitation, role=role)
    return invitation, token


@transaction.atomic
def invite_several(
    *, actor: User, project: Project, role: str, notes: Sequence[str]
) -> list[tuple[Invitation, str]]:
    """An invitation for each of the people that `notes` names, and its token, in their order. Raises as invite."""
    if not 1 <= len(notes) <= MAX_INVITATIONS:
        raise ActionError(
            gettext("Between 1 and %(most)d people are invited at once.") % {"most": MAX_INVITATIONS},
            fields={"notes": gettext("Too many.")},
        )
    return [invite(actor=actor, project=project, role=role, note=note) for note in notes]


@transaction.atomic
def withdraw_invitation(*, actor: User, invitation: Invitation) -> None:
    _lock_as_manager(invitation.project, actor)
    changed = Invitation.objects.filter(
        pk=invitation.pk, accepted_at__isnull=True, withdrawn_at__isnull=True
    ).update(withdrawn_at=timezone.now())
    if changed != 1:
        raise InvitationUnusable(gettext("This invitation was used or withdrawn already."))
    record_audit(actor=actor, action="invitation.withdraw", project=invitation.project, target=invitation)
