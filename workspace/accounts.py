"""Accounts that no invitation makes: machines, annotators of other installations, those of a demonstration."""

import hashlib
import secrets
from typing import Any

from django.db import transaction

from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Membership, Project, User


def _create_account_without_login(username: str, kind: str, **fields: Any) -> User:
    user = User(username=username, kind=kind, **fields)
    user.set_unusable_password()
    user.save()
    return user


@transaction.atomic
def create_machine_annotator(*, actor: User, project: Project, name: str, kind: str) -> User:
    """An account nobody can log in to, under which a machine's judgments are kept apart from people's."""
    if kind not in (User.Kind.SIMULATED, User.Kind.AI):
        raise ActionError(
            f"“{kind}” is not a kind of machine annotator: use simulated or ai.", code="kind_invalid"
        )
    user = User.objects.filter(username=name).first() or _create_account_without_login(name, kind)
    if user.kind != kind:
        raise ActionError(f"The user name “{name}” belongs to somebody else.", code="username_taken")
    Membership.objects.get_or_create(project=project, user=user, defaults={"role": Membership.Role.ANNOTATOR})
    record_audit(actor=actor, action="machine_annotator.create", project=project, target=user, kind=kind)
    return user


@transaction.atomic
def create_imported_annotator(*, actor: User, project: Project, pseudonym: str, kind: str) -> User:
    """Somebody of another installation, known by their pseudonym only: no member, and nobody can log in as them."""
    digest = hashlib.sha256(pseudonym.encode()).hexdigest()[:24]
    user = _create_account_without_login(f"imported-{digest}", kind, pseudonym=pseudonym, is_active=False)
    record_audit(actor=actor, action="imported_annotator.create", project=project, target=user, kind=kind)
    return user


@transaction.atomic
def create_or_reset_account(*, username: str) -> tuple[User, str]:
    """The account and its new random password: whatever was given out before stops working.

    For installations that hand out accounts of their own, such as the demo. The actor is the account itself.
    """
    user, created = User.objects.get_or_create(username=username)
    password = secrets.token_urlsafe(9)
    user.set_password(password)
    user.save()
    action = "user.create" if created else "user.set_password"
    record_audit(actor=user, action=action, project=None, target=user)
    return user, password


@transaction.atomic
def reset_password(*, actor: User, user: User) -> str:
    """A new random password of the account, which is nowhere kept in the clear; its sessions end with the old one."""
    locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
    password = secrets.token_urlsafe(12)
    locked.set_password(password)
    locked.save(update_fields=["password"])
    record_audit(actor=actor, action="user.set_password", project=None, target=locked)
    return password
