"""Joining a project by an invitation: with a new account, or with the one that a person has."""

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext as _

from workspace.actions import record_audit, validation_message
from workspace.errors import ActionError, InvitationUnusable
from workspace.members import hash_token
from workspace.models import Invitation, Membership, User


def find_invitation(token: str) -> Invitation:
    """The usable invitation behind a token.

    Raises InvitationUnusable with the same sentence for used, expired, withdrawn and unknown ones.
    """
    invitation = (
        Invitation.objects.select_related("project").usable().filter(token_hash=hash_token(token)).first()
    )
    if invitation is None:
        raise InvitationUnusable(
            _("This invitation was used, withdrawn or has expired: ask whoever sent it for a new one.")
        )
    return invitation


@transaction.atomic
def accept_invitation(*, token: str, username: str, password: str) -> User:
    """Create the invited person's account and membership. The actor is the new person."""
    invitation = find_invitation(token)
    user = User(username=username.strip())
    fields: dict[str, str] = {}
    try:
        user.full_clean(exclude=["password"])
    except ValidationError as error:
        fields["username"] = validation_message(error)
    # “Anna” beside “anna” would pass for her in every list.
    if "username" not in fields and User.objects.filter(username__iexact=user.username).exists():
        fields["username"] = _("That user name is taken.")
    try:
        validate_password(password, user)
    except ValidationError as error:
        fields["password"] = validation_message(error)
    if fields:
        raise ActionError(" ".join(fields.values()), code="account_invalid", fields=fields)
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise ActionError(
            _("That user name is taken."),
            code="account_invalid",
            fields={"username": _("That user name is taken.")},
        ) from error
    return _join(user, invitation)


@transaction.atomic
def join_by_invitation(*, actor: User, token: str) -> User:
    """A person who has an account already joins one more project."""
    invitation = find_invitation(token)
    if invitation.project.memberships.filter(user=actor).exists():
        raise ActionError(gettext("You are a member of this project already."), code="already_member")
    return _join(actor, invitation)


def _join(user: User, invitation: Invitation) -> User:
    open_one = Invitation.objects.open().filter(pk=invitation.pk)
    if open_one.update(accepted_by=user, accepted_at=timezone.now()) != 1:
        raise InvitationUnusable(
            _("This invitation was used a moment ago: ask whoever sent it for a new one.")
        )
    Membership.objects.create(project=invitation.project, user=user, role=invitation.role)
    record_audit(
        actor=user,
        action="invitation.accept",
        project=invitation.project,
        target=invitation,
        role=invitation.role,
    )
    return user
