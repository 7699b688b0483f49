"""The only place that changes people, projects and memberships. One action = one transaction = one audit row."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.utils.text import slugify
from django.utils.translation import gettext

from workspace.asked import parse_asked
from workspace.bulk_insert import insert_unread
from workspace.criteria import require_criteria
from workspace.errors import ActionError, StaleVersion
from workspace.models import (
    AuditEvent,
    Criterion,
    Guideline,
    Membership,
    Project,
    QuestionSettings,
    User,
)
from workspace.naming import project_slug
from workspace.question_presets import criteria_of_new_project, find_preset


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
    insert_unread(event)


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
            gettext("A project's name needs at least one letter or digit."),
            fields={"name": "Needs a letter."},
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
            gettext("The project has no criterion %(name)s: it has %(known)s.")
            % {"name": unknown[0], "known": ", ".join(asked)},
            code="which_criterion",
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
            gettext(
                "Somebody saved version %(current)d while you worked on version %(expected)d: yours is not saved yet."
            )
            % {"current": current, "expected": expected},
            current=current,
        )
