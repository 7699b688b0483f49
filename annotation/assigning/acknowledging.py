"""A changed guideline is confirmed: who publishes it says so, and nobody gets a task before they have confirmed it."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext

from annotation.errors import InvalidAssigning
from annotation.models import Acknowledgement, Judgment, ToAcknowledge
from annotation.rendering.differences import Line, compare_texts
from workspace.actions import publish_guideline, record_audit
from workspace.models import Guideline, Project, User
from workspace.roles import Capability, roles_with


@transaction.atomic
def publish_to_acknowledge(
    *,
    actor: User,
    project: Project,
    text: str,
    must_acknowledge: bool = False,
    expected_version: int | None = None,
) -> Guideline:
    """publish_guideline, and with `must_acknowledge` everybody confirms it. Raises StaleVersion."""
    new = publish_guideline(actor=actor, project=project, text=text, expected_version=expected_version)
    if must_acknowledge:
        require_acknowledgement(actor=actor, project=project, version=new.version)
    return new


@transaction.atomic
def require_acknowledgement(*, actor: User, project: Project, version: int) -> None:
    """Ask everybody to confirm the guideline in force before their next task; asking twice changes nothing.

    Raises InvalidAssigning for another version.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    newest = project.guidelines.latest_version()
    if newest is None or newest.version != version:
        raise InvalidAssigning(gettext("Only the guideline in force can be confirmed."), code="not_in_force")
    marked, is_new = ToAcknowledge.objects.get_or_create(project=project, version=version)
    if is_new:
        record_audit(
            actor=actor, action="guideline.ask_to_confirm", project=project, target=marked, version=version
        )


@transaction.atomic
def acknowledge_guideline(*, actor: User, project: Project, version: int) -> None:
    """The actor has read this version, and the earlier ones with it. Twice changes nothing.

    Raises InvalidAssigning for a version that is not, or no longer, the one to confirm: they have read another text.
    """
    shown = project.guidelines.filter(version=version).first()
    wanted = newest_to_acknowledge(project)
    if shown is None or version < wanted:
        raise InvalidAssigning(
            gettext("The guideline has changed again: read the new version and confirm that one."),
            code="not_in_force",
        )
    made, is_new = Acknowledgement.objects.get_or_create(project=project, person=actor, version=version)
    if is_new:
        record_audit(actor=actor, action="guideline.confirm", project=project, target=made, version=version)


def newest_to_acknowledge(project: Project) -> int:
    """0: none."""
    return (
        ToAcknowledge.objects.filter(project=project)
        .order_by("-version")
        .values_list("version", flat=True)
        .first()
        or 0
    )


def must_confirm(actor: User, project: Project) -> bool:
    """Whether the actor gets nothing to do before they have confirmed the guideline in force."""
    wanted = newest_to_acknowledge(project)
    return (
        wanted > 0
        and not Acknowledgement.objects.filter(project=project, person=actor, version__gte=wanted).exists()
    )


@dataclass(frozen=True)
class ToRead:
    """The guideline in force, beside what its reader knew."""

    guideline: Guideline
    known: int  # the version they confirmed or judged under; 0: none
    lines: list[Line]  # what changed since; of a first one nothing


def guideline_to_read(actor: User, project: Project) -> ToRead | None:
    """None where the project has none."""
    newest = project.guidelines.latest_version()
    if newest is None:
        return None
    confirmed = Acknowledgement.objects.filter(project=project, person=actor).order_by("-version").first()
    judged = Judgment.objects.filter(annotator=actor).of_project(project).order_by("-pk").first()
    known = max(confirmed.version if confirmed else 0, judged.guideline_version if judged else 0)
    before = project.guidelines.filter(version=known).exclude(pk=newest.pk).first()
    return ToRead(newest, known, compare_texts(before.text, newest.text) if before else [])


@dataclass(frozen=True)
class Reader:
    username: str
    confirmed_at: datetime | None


def readers_of(project: Project, version: int) -> list[Reader] | None:
    """Who of those who judge has confirmed this version or a later one, those who have not first; None: not asked."""
    if not ToAcknowledge.objects.filter(project=project, version=version).exists():
        return None
    confirmed: dict[int, datetime] = {}
    rows = Acknowledgement.objects.filter(project=project, version__gte=version).order_by("-created_at")
    for person, when in rows.values_list("person_id", "created_at"):
        confirmed[person] = when
    members = project.memberships.filter(
        role__in=roles_with(Capability.ANNOTATE), user__kind=User.Kind.PERSON, user__is_active=True
    ).order_by("user__username")
    readers = [
        Reader(name, confirmed.get(key)) for key, name in members.values_list("user_id", "user__username")
    ]
    return sorted(readers, key=lambda reader: (reader.confirmed_at is not None, reader.username))
