"""The only place that changes people, projects and memberships. One action = one transaction = one audit row."""

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.text import slugify

from workspace.database import insert_row
from workspace.errors import ActionError, InvitationUnusable, LastManager, StaleVersion
from workspace.models import (
    AuditEvent,
    Criterion,
    Guideline,
    Invitation,
    Membership,
    Project,
    QuestionSettings,
    User,
)
from workspace.naming import project_slug
from workspace.roles import MACHINE_CAPABILITIES, ROLE_CAPABILITIES, Capability, roles_with
from workspace.splits import require_valid_splits
from workspace.time_zones import known_time_zones


def record_audit(
    *,
    actor: User,
    action: str,
    project: Project | None,
    target: models.Model | None = None,
    **details: object,
) -> None:
    """Write the audit row of an action; call it inside the action's transaction."""
    kind, key = (target._meta.label_lower, str(target.pk)) if target is not None else ("", "")
    event = AuditEvent(
        actor=actor, project=project, action=action, target_type=kind, target_id=key, details=details
    )
    insert_row(event)


def validation_message(error: ValidationError) -> str:
    """All that is wrong, in one line."""
    return " ".join(error.messages)


@transaction.atomic
def create_project(
    *,
    actor: User,
    name: str,
    criterion_name: str = "helpful",
    question: str = "Which answer is more helpful?",
    guideline: str = "",
    overlap: int = 1,
    lease_minutes: int = 30,
    allow_ties: bool = True,
    ask_rationale: bool = False,
    description: str = "",
    split_salt: str | None = None,
) -> Project:
    """A project with its first criterion, question settings and guideline; the actor becomes its manager.

    `split_salt` decides which prompts are held out; random unless a run must come out the same again.
    """
    if not any(map(str.isalnum, name)):
        raise ActionError(
            "A project's name needs at least one letter or digit.", fields={"name": "Needs a letter."}
        )
    slug = project_slug(Project.objects.all(), name)
    project = Project(
        name=name, slug=slug, overlap=overlap, lease_minutes=lease_minutes, description=description
    )
    if split_salt is not None:
        project.split_salt = split_salt
    try:
        project.full_clean()
    except ValidationError as error:
        taken = "slug" in error.message_dict
        message = f"There is a project named like “{name}” already." if taken else validation_message(error)
        raise ActionError(
            message, code="project_invalid", fields={"name": message} if taken else {}
        ) from error
    project.save()
    Criterion.objects.create(project=project, name=slugify(criterion_name), question=question)
    QuestionSettings.objects.create(
        project=project, version=1, allow_ties=allow_ties, ask_rationale=ask_rationale
    )
    Guideline.objects.create(project=project, version=1, text=guideline)
    Membership.objects.create(project=project, user=actor, role=Membership.Role.MANAGER)
    record_audit(actor=actor, action="project.create", project=project, target=project)
    return project


@transaction.atomic
def set_time_zone(*, actor: User, project: Project, time_zone: str) -> Project:
    """In which the project's pages show times, and schedules read theirs from now on."""
    if time_zone not in known_time_zones():
        similar = get_close_matches(time_zone, known_time_zones(), n=1, cutoff=0.5)
        hint = f"; did you mean {similar[0]}?" if similar else ", for example Europe/Berlin or UTC."
        message = f"“{time_zone}” is no time zone: give an IANA name{hint}"
        raise ActionError(message, code="time_zone_unknown", fields={"time_zone": message})
    return _change_project(actor, project, "project.set_time_zone", {"time_zone": time_zone})


@transaction.atomic
def set_splits(
    *,
    actor: User,
    project: Project,
    train_share: float,
    validation_share: float,
    test_per_tag: Mapping[str, int],
) -> Project:
    """On which side prompts go that come from now on; those that are there keep theirs.

    `test_per_tag` (tag, or EVERY_TAG, -> how many prompts are held out) takes the place of a share for test.
    """
    require_valid_splits(train_share, validation_share, test_per_tag)
    now = {
        "train_share": train_share, "validation_share": validation_share, "test_per_tag": dict(test_per_tag),
    }  # fmt: skip
    return _change_project(actor, project, "project.set_splits", now)


def _change_project(actor: User, project: Project, action: str, now: Mapping[str, Any]) -> Project:
    """The project with these values; no audit row when it had them already."""
    locked = Project.objects.select_for_update().get(pk=project.pk)
    before = {name: getattr(locked, name) for name in now}
    if before != now:
        Project.objects.filter(pk=locked.pk).update(**now)
        locked.refresh_from_db()
        record_audit(actor=actor, action=action, project=locked, target=locked, before=before, now=dict(now))
    return locked


@transaction.atomic
def add_criterion(*, actor: User, project: Project, name: str, question: str) -> Criterion:
    criterion = Criterion(project=project, name=slugify(name), question=question)
    try:
        criterion.full_clean()
    except ValidationError as error:
        raise ActionError(validation_message(error), code="criterion_invalid") from error
    criterion.save()
    record_audit(actor=actor, action="criterion.add", project=project, target=criterion)
    return criterion


@transaction.atomic
def change_question_settings(
    *,
    actor: User,
    project: Project,
    allow_ties: bool,
    ask_rationale: bool,
    expected_version: int | None = None,
) -> QuestionSettings:
    """A new version; judgments made before keep the one they were made under.

    Raises StaleVersion when `expected_version` is given and somebody has changed them since.
    """
    Project.objects.select_for_update().get(pk=project.pk)
    latest = project.question_settings.latest_version()
    version = latest.version if latest else 0
    _require_version(expected_version, version)
    new = QuestionSettings.objects.create(
        project=project,
        version=version + 1,
        allow_ties=allow_ties,
        ask_rationale=ask_rationale,
    )
    record_audit(actor=actor, action="question_settings.change", project=project, target=new)
    return new


@transaction.atomic
def publish_guideline(
    *, actor: User, project: Project, text: str, expected_version: int | None = None
) -> Guideline:
    """A new version. Raises StaleVersion when `expected_version` is given and somebody has published since."""
    Project.objects.select_for_update().get(pk=project.pk)
    latest = project.guidelines.latest_version()
    version = latest.version if latest else 0
    _require_version(expected_version, version)
    new = Guideline.objects.create(project=project, version=version + 1, text=text)
    record_audit(actor=actor, action="guideline.publish", project=project, target=new)
    return new


def _require_version(expected: int | None, current: int) -> None:
    if expected is not None and expected != current:
        raise StaleVersion(
            f"Somebody saved version {current} while you worked on version {expected}: yours is not saved yet.",
            current=current,
        )


@transaction.atomic
def set_role(*, actor: User, project: Project, user: User, role: str) -> Membership:
    """Give somebody a role on the project, or change the one they have."""
    capabilities = _capabilities_of_role(role)
    if user.kind != User.Kind.PERSON and not capabilities <= MACHINE_CAPABILITIES:
        raise ActionError(f"“{user.username}” is a machine: it can only annotate.", code="role_unfit")
    Project.objects.select_for_update().get(pk=project.pk)
    _require_another_manager(project, user, still_manager=Capability.MANAGE in capabilities)
    membership, _ = Membership.objects.update_or_create(project=project, user=user, defaults={"role": role})
    withdrawn = 0 if Capability.MANAGE in capabilities else _withdraw_invitations_of(project, user)
    record_audit(
        actor=actor, action="membership.set", project=project, target=membership, role=role, withdrawn=withdrawn,
    )  # fmt: skip
    return membership


@transaction.atomic
def remove_member(*, actor: User, project: Project, user: User) -> None:
    Project.objects.select_for_update().get(pk=project.pk)
    _require_another_manager(project, user, still_manager=False)
    Membership.objects.filter(project=project, user=user).delete()
    withdrawn = _withdraw_invitations_of(project, user)
    record_audit(actor=actor, action="membership.remove", project=project, target=user, withdrawn=withdrawn)


def _withdraw_invitations_of(project: Project, user: User) -> int:
    """How many: a spare link would give the right back."""
    theirs = Invitation.objects.open().filter(project=project, invited_by=user)
    return theirs.update(withdrawn_at=timezone.now())


def _capabilities_of_role(role: str) -> frozenset[Capability]:
    """Raises ActionError for a word that is no role."""
    if role not in Membership.Role.values:
        raise ActionError(f"“{role}” is not a role: use annotator, reviewer or manager.", code="role_unknown")
    return ROLE_CAPABILITIES[Membership.Role(role)]


def _require_another_manager(project: Project, user: User, *, still_manager: bool) -> None:
    # Who cannot log in manages nothing.
    able = project.memberships.filter(
        role__in=roles_with(Capability.MANAGE), user__is_active=True, user__kind=User.Kind.PERSON
    )
    if set(able.values_list("user_id", flat=True)) == {user.pk} and not still_manager:
        raise LastManager("This is the project's only manager: make somebody else a manager first.")


def hash_token(token: str) -> str:
    # A random 256-bit token needs no slow hash: there is nothing to guess.
    return hashlib.sha256(token.encode()).hexdigest()


@transaction.atomic
def invite(*, actor: User, project: Project, role: str, note: str = "") -> tuple[Invitation, str]:
    """An invitation and its token. The token is shown once; only its hash is kept."""
    _capabilities_of_role(role)
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


def find_invitation(token: str) -> Invitation:
    """The usable invitation behind a token.

    Raises InvitationUnusable with the same sentence for used, expired, withdrawn and unknown ones.
    """
    invitation = (
        Invitation.objects.select_related("project").usable().filter(token_hash=hash_token(token)).first()
    )
    if invitation is None:
        raise InvitationUnusable(
            "This invitation was used, withdrawn or has expired: ask whoever sent it for a new one."
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
        fields["username"] = "That user name is taken."
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
            "That user name is taken.",
            code="account_invalid",
            fields={"username": "That user name is taken."},
        ) from error
    return _join(user, invitation)


@transaction.atomic
def join_by_invitation(*, actor: User, token: str) -> User:
    """A person who has an account already joins one more project."""
    invitation = find_invitation(token)
    if invitation.project.memberships.filter(user=actor).exists():
        raise ActionError("You are a member of this project already.", code="already_member")
    return _join(actor, invitation)


def _join(user: User, invitation: Invitation) -> User:
    open_one = Invitation.objects.open().filter(pk=invitation.pk)
    if open_one.update(accepted_by=user, accepted_at=timezone.now()) != 1:
        raise InvitationUnusable("This invitation was used a moment ago: ask whoever sent it for a new one.")
    Membership.objects.create(project=invitation.project, user=user, role=invitation.role)
    record_audit(
        actor=user,
        action="invitation.accept",
        project=invitation.project,
        target=invitation,
        role=invitation.role,
    )
    return user


@transaction.atomic
def withdraw_invitation(*, actor: User, invitation: Invitation) -> None:
    changed = Invitation.objects.filter(
        pk=invitation.pk, accepted_at__isnull=True, withdrawn_at__isnull=True
    ).update(withdrawn_at=timezone.now())
    if changed != 1:
        raise InvitationUnusable("This invitation was used or withdrawn already.")
    record_audit(actor=actor, action="invitation.withdraw", project=invitation.project, target=invitation)


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
