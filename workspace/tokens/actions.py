"""Tokens of the API: made, shown once, revoked. What one may is decided at each use (workspace/api/permissions.py)."""

import secrets
from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext

from workspace.access import may_revoke_token
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.members import hash_token
from workspace.models import ApiToken, Membership, Project, User
from workspace.roles import ROLE_CAPABILITIES, Capability, capabilities_of

MARK = "rt_"  # finds one that was published by mistake
MAX_DAYS = 366
MAX_USABLE_TOKENS = 50  # of a person
MAX_NAME = 120
# To the minute says enough, and a request that reads writes nothing most of the time.
USE_IS_RECORDED_EVERY = timedelta(minutes=1)


class TokenRefused(ActionError):
    """The token cannot be made or revoked as asked."""

    code = "token_refused"


@transaction.atomic
def create_token(
    *, actor: User, project: Project | None, name: str, scope: str, role: str, days: int
) -> tuple[ApiToken, str]:
    """A token of the actor's and its text. The text is shown once; only its hash is kept.

    Without a project it is for all of the actor's, with what each lets them do. Raises TokenRefused.
    """
    name = name.strip()
    if not 1 <= len(name) <= MAX_NAME:
        raise TokenRefused(
            gettext("A token needs a name of at most %(max_name)s characters.") % {"max_name": MAX_NAME},
            fields={"name": gettext("1 to %(max_name)s") % {"max_name": MAX_NAME}},
        )
    if not 1 <= days <= MAX_DAYS:
        raise TokenRefused(
            gettext("A token lives 1 to %(max_days)s days.") % {"max_days": MAX_DAYS},
            fields={"days": gettext("1 to %(max_days)s") % {"max_days": MAX_DAYS}},
        )
    if scope not in ApiToken.Scope.values:
        raise TokenRefused(
            gettext("“%(scope)s” is not a scope: use read, write or score.") % {"scope": scope},
            fields={"scope": gettext("read, write or score")},
        )
    if role not in Membership.Role.values:
        raise TokenRefused(
            gettext("“%(role)s” is not a role.") % {"role": role},
            fields={"role": gettext("annotator, reviewer, reader or manager")},
        )
    if scope == ApiToken.Scope.SCORE and Capability.SCORE not in ROLE_CAPABILITIES[Membership.Role(role)]:
        message = f"A token that asks reward models cannot be {role}: choose manager."
        raise TokenRefused(message, code="role_unfit", fields={"role": message})
    if project is not None and not ROLE_CAPABILITIES[Membership.Role(role)] <= capabilities_of(
        actor, project
    ):
        message = f"A token cannot be {role} of {project.name}: you are not."
        raise TokenRefused(message, code="role_unfit", fields={"role": message})
    # Nobody makes two at once past the limit.
    User.objects.select_for_update(no_key=True).get(pk=actor.pk)
    if ApiToken.objects.usable().filter(user=actor).count() >= MAX_USABLE_TOKENS:
        raise TokenRefused(
            gettext("You have %(max_usable_tokens)s tokens: revoke one that you do not need.")
            % {"max_usable_tokens": MAX_USABLE_TOKENS}
        )
    prefix = MARK + secrets.token_hex(4)
    text = f"{prefix}_{secrets.token_urlsafe(32)}"
    token = ApiToken.objects.create(
        user=actor,
        project=project,
        name=name,
        prefix=prefix,
        token_hash=hash_token(text),
        scope=scope,
        role=role,
        expires_at=timezone.now() + timedelta(days=days),
    )
    record_audit(
        actor=actor, action="token.create", project=project, target=token, scope=scope, role=role, days=days,
    )  # fmt: skip
    return token, text


@transaction.atomic
def revoke_token(*, actor: User, token: ApiToken) -> None:
    """It works no more, from the next request on. Raises TokenRefused."""
    if not may_revoke_token(actor, token):
        raise TokenRefused(gettext("This token is somebody else's."))
    if not ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now()):
        raise TokenRefused(gettext("This token was revoked already."))
    record_audit(actor=actor, action="token.revoke", project=token.project, target=token, owner=token.user_id)


def record_use(*, token: ApiToken) -> None:
    """When it was last used, to the minute. Writes no audit row: what is done with it has its own."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at >= USE_IS_RECORDED_EVERY:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lt=now)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
