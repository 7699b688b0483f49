"""The only place that changes people, projects and memberships. One action = one transaction = one audit row."""

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils import timezone
from django.utils.text import slugify

from workspace.asked import parse_asked
from workspace.criteria import require_criteria
from workspace.database import insert_row
from workspace.errors import ActionError, InvitationUnusable, LastManager, StaleVersion
from workspace.models import (
    ApiToken,
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
from workspace.question_presets import criteria_of_new_project, find_preset
from workspace.roles import (
    MACHINE_CAPABILITIES,
    ROLE_CAPABILITIES,
    Capability,
    capabilities_of,
    roles_with,
)


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
    criterion_name: str | None = None,
    question: str | None = None,
    guideline: str = "",
    overlap: int = 1,
    lease_minutes: int = 30,
    allow_ties: bool = True,
    ask_rationale: bool = False,
    description: str = "",
    preset: str = "",
    split_salt: str | None = None,
) -> Project:
    """A project with its first criterion, question settings and guideline; the actor becomes its manager.

    `preset` (workspace.question_presets) says what is asked, ties included, and has criteria of its own beside the one
    that is given. `split_salt` decides which prompts are held out; random unless a run must come out the same again.
    """
    chosen = find_preset(preset) if preset else None
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
    criteria = criteria_of_new_project(chosen, criterion_name, question)
    made = [_new_criterion(project, *one) for one in criteria]
    QuestionSettings.objects.create(
        project=project,
        version=1,
        allow_ties=chosen.allow_ties if chosen else allow_ties,
        ask_rationale=ask_rationale,
        questions={criterion.name: criterion.question for criterion in made},
        asked=chosen.asked.as_json() if chosen else {},
        created_by=actor,
    )
    Guideline.objects.create(project=project, version=1, text=guideline, created_by=actor)
    Membership.objects.create(project=project, user=actor, role=Membership.Role.MANAGER)
    record_audit(actor=actor, action="project.create", project=project, target=project)
    return project


@transaction.atomic
def add_criterion(*, actor: User, project: Project, name: str, question: str) -> Criterion:
    """The version in force asks its question, too: no judgment of it was made before."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    criterion = _new_criterion(project, name, question)
    if latest := project.question_settings.latest_version():
        latest.questions[criterion.name] = criterion.question
        latest.save(update_fields=["questions"])
    record_audit(actor=actor, action="criterion.add", project=project, target=criterion)
    return criterion


def _new_criterion(project: Project, name: str, question: str) -> Criterion:
    """Its name as files and models carry it: “More helpful” is more-helpful. Raises ActionError."""
    criterion = Criterion(project=project, name=slugify(name), question=question.strip())
    sentence = ""
    if not criterion.name:
        sentence = "A criterion needs a name with Latin letters or digits, for example helpful."
    try:
        criterion.full_clean()
    except ValidationError as error:
        message = sentence or validation_message(error)
        place = "criterion_name" if sentence or "name" in error.message_dict else "question"
        raise ActionError(message, code="criterion_invalid", fields={place: message}) from error
    criterion.save()
    return criterion


@transaction.atomic
def change_question_settings(
    *,
    actor: User,
    project: Project,
    allow_ties: bool,
    ask_rationale: bool,
    questions: Mapping[str, str] | None = None,
    asked: Mapping[str, Any] | None = None,
    preset: str = "",
    expected_version: int | None = None,
) -> QuestionSettings:
    """A new version; judgments made before keep the one they were made under, with the question that it asked.

    `questions`: new ones by the names of their criteria; the others stay. `asked`: what is asked beside the order
    (workspace.asked.parse_asked); or a `preset` says it, whose criteria are added; else it stays. Raises StaleVersion
    when `expected_version` is given and somebody has changed them since, ActionError for a criterion that is not there
    or an unfit question.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    latest = project.question_settings.latest_version()
    version = latest.version if latest else 0
    require_version(expected_version, version)
    now = latest.asked if latest else {}
    if preset:
        chosen = find_preset(preset)
        now = chosen.asked.as_json()
        there = set(project.criteria.values_list("name", flat=True))
        for criterion, question in chosen.criteria:
            if criterion not in there:
                _new_criterion(project, criterion, question)
    elif asked is not None:
        fit = parse_asked(asked)
        require_criteria(project, fit)
        now = fit.as_json()
    new = QuestionSettings.objects.create(
        project=project,
        version=version + 1,
        allow_ties=allow_ties,
        ask_rationale=ask_rationale,
        questions=_ask(project, questions or {}),
        asked=now,
        created_by=actor,
    )
    record_audit(actor=actor, action="question_settings.change", project=project, target=new)
    return new


def _ask(project: Project, questions: Mapping[str, str]) -> dict[str, str]:
    """Every criterion's question, those that are given changed. Raises ActionError."""
    asked = {}
    for criterion in project.criteria.order_by("pk"):
        new = questions.get(criterion.name, criterion.question).strip()
        if new != criterion.question:
            criterion.question = new
            try:
                criterion.full_clean()
            except ValidationError as error:
                message = f"The question of {criterion.name}: {validation_message(error)}"
                raise ActionError(
                    message, code="criterion_invalid", fields={f"questions.{criterion.name}": message}
                ) from error
            criterion.save(update_fields=["question"])
        asked[criterion.name] = new
    if unknown := sorted(set(questions) - set(asked)):
        raise ActionError(
            f"The project has no criterion {unknown[0]}: it has {', '.join(asked)}.", code="which_criterion"
        )
    return asked


@transaction.atomic
def publish_guideline(
    *, actor: User, project: Project, text: str, expected_version: int | None = None
) -> Guideline:
    """A new version. Raises StaleVersion when `expected_version` is given and somebody has published since."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    latest = project.guidelines.latest_version()
    version = latest.version if latest else 0
    require_version(expected_version, version)
    new = Guideline.objects.create(project=project, version=version + 1, text=text, created_by=actor)
    record_audit(actor=actor, action="guideline.publish", project=project, target=new)
    return new


def require_version(expected: int | None, current: int) -> None:
    """Raises StaleVersion when somebody saved since the actor looked."""
    if expected is not None and expected != current:
        raise StaleVersion(
            f"Somebody saved version {current} while you worked on version {expected}: yours is not saved yet.",
            current=current,
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
        raise NotAManager("You do not manage this project any more: nothing was changed.")


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
        raise ActionError(f"{user.username} is not on the project any more.", code="not_a_member")
    return _set_role(actor, project, user, role)


def _set_role(actor: User, project: Project, user: User, role: str) -> Membership:
    capabilities = _capabilities_of_role(role)
    if user.kind != User.Kind.PERSON and not capabilities <= MACHINE_CAPABILITIES:
        raise ActionError(f"“{user.username}” is a machine: it can only annotate.", code="role_unfit")
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
        raise ActionError(f"{user.username} is not on the project any more.", code="not_a_member")
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
        raise ActionError(f"“{role}” is no role: use {known}.", code="role_unknown")
    return ROLE_CAPABILITIES[Membership.Role(role)]


def _require_another_manager(project: Project, user: User, *, still_manager: bool) -> None:
    # Who cannot log in manages nothing.
    able = project.memberships.filter(
        role__in=roles_with(Capability.MANAGE), user__is_active=True, user__kind=User.Kind.PERSON
    )
    if set(able.values_list("user_id", flat=True)) == {user.pk} and not still_manager:
        raise LastManager("This is the project's only manager: make somebody else a manager first.")


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
            f"Between 1 and {MAX_INVITATIONS} people are invited at once.", fields={"notes": "Too many."}
        )
    return [invite(actor=actor, project=project, role=role, note=note) for note in notes]


@transaction.atomic
def withdraw_invitation(*, actor: User, invitation: Invitation) -> None:
    _lock_as_manager(invitation.project, actor)
    changed = Invitation.objects.filter(
        pk=invitation.pk, accepted_at__isnull=True, withdrawn_at__isnull=True
    ).update(withdrawn_at=timezone.now())
    if changed != 1:
        raise InvitationUnusable("This invitation was used or withdrawn already.")
    record_audit(actor=actor, action="invitation.withdraw", project=invitation.project, target=invitation)
