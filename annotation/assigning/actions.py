"""Who gets what: groups, skills and daily limits of members; for whom a batch is, and how much of it each may do.

All of it holds from the next task on; what people have on their screens stays there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import F
from django.utils.translation import gettext, gettext_noop

from annotation.errors import InvalidAssigning
from annotation.models import Batch, BatchAudience, DailyLimit, MemberTag
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import Membership, Project, User
from workspace.shown_values import Shown, require_shown

MAX_NAME_CHARACTERS = 40
MAX_NAMES = 40  # of a member's groups or skills, and of a batch's people, groups or skills
MAX_TASKS = 100_000  # of a limit
MAX_PRIORITY = 2**31 - 1
ANY, ALL = "any", "all"


NO_NAME = {
    "group": gettext_noop(
        "“%(plain)s” is no name of a group: at most %(max_name_characters)s characters, no comma."
    ),
    "skill": gettext_noop(
        "“%(plain)s” is no name of a skill: at most %(max_name_characters)s characters, no comma."
    ),
}
TOO_MANY = {
    "group": gettext_noop("At most %(max_names)s groups."),
    "skill": gettext_noop("At most %(max_names)s skills."),
}


def clean_names(names: Iterable[str], what: str) -> list[str]:
    """Sorted, each once, in lower case: “Python ” and “python” are one. Raises InvalidAssigning."""
    found = set()
    for name in names:
        plain = " ".join(clean_text(name, f"The name of a {what}", allow_empty=True).split()).lower()
        if not plain:
            continue
        if len(plain) > MAX_NAME_CHARACTERS or "," in plain:
            raise InvalidAssigning(
                gettext(NO_NAME[what]) % {"plain": plain[:60], "max_name_characters": MAX_NAME_CHARACTERS},
                fields={
                    f"{what}s": gettext("At most %(max_name_characters)s characters each")
                    % {"max_name_characters": MAX_NAME_CHARACTERS}
                },
            )
        found.add(plain)
    if len(found) > MAX_NAMES:
        raise InvalidAssigning(
            gettext(TOO_MANY[what]) % {"max_names": MAX_NAMES},
            fields={f"{what}s": gettext("At most %(max_names)s") % {"max_names": MAX_NAMES}},
        )
    return sorted(found)


def _clean_limit(tasks: int, field: str) -> int | None:
    """0: none. Raises InvalidAssigning."""
    if not 0 <= tasks <= MAX_TASKS:
        raise InvalidAssigning(
            gettext("Give a whole number of tasks from 1 to %(max_tasks)s, or none.")
            % {"max_tasks": f"{MAX_TASKS:,}"},
            fields={field: gettext("1 to %(max_tasks)s") % {"max_tasks": f"{MAX_TASKS:,}"}},
        )
    return tasks or None


def member_work(membership: Membership) -> dict[str, Any]:
    """The member's groups and skills, and their own daily limit (None: the project's)."""
    tags = list(membership.tags.order_by("name").values_list("kind", "name"))
    limit = DailyLimit.objects.filter(membership=membership).first()
    return {
        "groups": [name for kind, name in tags if kind == MemberTag.Kind.GROUP],
        "skills": [name for kind, name in tags if kind == MemberTag.Kind.SKILL],
        "daily_limit": limit.tasks if limit else None,
    }


@write_transaction
def set_member_work(
    *,
    actor: User,
    project: Project,
    membership: Membership,
    groups: Sequence[str] | None = None,
    skills: Sequence[str] | None = None,
    daily_limit: int | None = None,
    shown: Shown = None,
) -> dict[str, Any]:
    """What is given and not None; a `daily_limit` of 0: none of their own. Returns all as member_work does.

    Raises InvalidAssigning, ChangedMeanwhile.
    """
    locked = project.memberships.select_for_update(no_key=True, of=("self",)).filter(pk=membership.pk).first()
    if locked is None:
        raise InvalidAssigning(gettext("They are not on the project any more."), code="not_a_member")
    before = member_work(locked)
    require_shown(shown, before)
    now = dict(before)
    if groups is not None:
        now["groups"] = clean_names(groups, "group")
    if skills is not None:
        now["skills"] = clean_names(skills, "skill")
    if daily_limit is not None:
        now["daily_limit"] = _clean_limit(daily_limit, "daily_limit")
    if now == before:
        return now
    for kind, names in ((MemberTag.Kind.GROUP, now["groups"]), (MemberTag.Kind.SKILL, now["skills"])):
        own = MemberTag.objects.filter(membership=locked, kind=kind)
        own.exclude(name__in=names).delete()
        there = set(own.values_list("name", flat=True))
        MemberTag.objects.bulk_create(
            MemberTag(membership=locked, kind=kind, name=name) for name in names if name not in there
        )
    _store_limit(project, locked, now["daily_limit"])
    record_audit(
        actor=actor, action="membership.set_work", project=project, target=locked, before=before, now=now
    )
    return now


def project_daily_limit(project: Project) -> int | None:
    limit = DailyLimit.objects.filter(project=project, membership__isnull=True).first()
    return limit.tasks if limit else None


@write_transaction
def set_daily_limit(*, actor: User, project: Project, daily_limit: int, shown: Shown = None) -> int | None:
    """Of every member without a limit of their own; 0: none. Raises InvalidAssigning, ChangedMeanwhile."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before, now = project_daily_limit(project), _clean_limit(daily_limit, "daily_limit")
    require_shown(shown, {"daily_limit": before})
    if before != now:
        _store_limit(project, None, now)
        record_audit(
            actor=actor,
            action="project.set_daily_limit",
            project=project,
            target=project,
            before=before,
            now=now,
        )
    return now


def _store_limit(project: Project, membership: Membership | None, tasks: int | None) -> None:
    if tasks is None:
        DailyLimit.objects.filter(project=project, membership=membership).delete()
    else:
        DailyLimit.objects.update_or_create(project=project, membership=membership, defaults={"tasks": tasks})


def batch_audience(batch: Batch) -> dict[str, Any]:
    """For whom the batch is: user names, groups, skills, whether any or all of those; tasks a person, and priority."""
    rows = list(batch.audience.select_related("person").order_by("name", "person__username"))

    def names(kind: str) -> list[str]:
        return [row.name for row in rows if row.kind == kind]

    return {
        "people": [row.person.username for row in rows if row.person is not None],
        "groups": names(BatchAudience.Kind.GROUP),
        "skills": names(BatchAudience.Kind.SKILL),
        "skills_asked": batch.skills_asked or ANY,
        "person_quota": batch.person_quota,
        "priority": batch.priority,
    }


@write_transaction
def set_batch_audience(
    *,
    actor: User,
    batch: Batch,
    people: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    skills: Sequence[str] | None = None,
    skills_asked: str | None = None,
    person_quota: int | None = None,
    priority: int | None = None,
    shown: Shown = None,
) -> dict[str, Any]:
    """Who gets its tasks from now on: the named people and the members of the groups (neither: everybody), of these who
    have any or all of the skills. What is not given stays; a `person_quota` of 0: none.

    Raises InvalidAssigning, ChangedMeanwhile.
    """
    locked = (
        Batch.objects.select_for_update(no_key=True, of=("self",)).select_related("project").get(pk=batch.pk)
    )
    before = batch_audience(locked)
    require_shown(shown, before)
    now = dict(before)
    if people is not None:
        now["people"] = sorted(_find_people(locked.project, people))
    if groups is not None:
        now["groups"] = clean_names(groups, "group")
        _require_in_use(locked.project, MemberTag.Kind.GROUP, set(now["groups"]) - set(before["groups"]))
    if skills is not None:
        now["skills"] = clean_names(skills, "skill")
        _require_in_use(locked.project, MemberTag.Kind.SKILL, set(now["skills"]) - set(before["skills"]))
    if skills_asked is not None:
        if skills_asked not in (ANY, ALL):
            raise InvalidAssigning(
                gettext("A batch asks for any or all of its skills."),
                fields={"skills_asked": gettext("any or all")},
            )
        now["skills_asked"] = skills_asked
    if person_quota is not None:
        now["person_quota"] = _clean_limit(person_quota, "person_quota")
    if priority is not None:
        if abs(priority) > MAX_PRIORITY:
            raise InvalidAssigning(
                gettext("The priority is too large."), fields={"priority": gettext("Too large")}
            )
        now["priority"] = priority
    if now == before:
        return now
    _store_audience(locked, now)
    record_audit(
        actor=actor,
        action="batch.set_audience",
        project=locked.project,
        target=locked,
        before=before,
        now=now,
    )
    return batch_audience(Batch.objects.get(pk=batch.pk))


def _find_people(project: Project, usernames: Sequence[str]) -> dict[str, int]:
    """User keys by name. Raises InvalidAssigning for who is no member."""
    wanted = {name.strip() for name in usernames if name.strip()}
    members = project.memberships.filter(user__username__in=wanted, user__kind=User.Kind.PERSON)
    found = dict(members.values_list("user__username", "user_id"))
    if unknown := sorted(wanted - set(found)):
        message = f"{', '.join(unknown)}: not on the project. Use the user names of its members."
        raise InvalidAssigning(message, code="no_such_person", fields={"people": message})
    if len(found) > MAX_NAMES:
        raise InvalidAssigning(
            gettext("At most %(max_names)s people: make a group of them.") % {"max_names": MAX_NAMES},
            fields={"people": gettext("Too many")},
        )
    return found


def _require_in_use(project: Project, kind: str, names: set[str]) -> None:
    """A name that nobody has is nearly always a slip, and the batch would go to nobody. Raises InvalidAssigning."""
    tags = MemberTag.objects.filter(membership__project=project, kind=kind)
    if unknown := sorted(names - set(tags.values_list("name", flat=True))):
        what = "group" if kind == MemberTag.Kind.GROUP else "skill"
        message = f"No member has the {what} “{unknown[0]}”: give it to somebody first, on the page People."
        raise InvalidAssigning(message, code=f"no_such_{what}", fields={f"{what}s": message})


def _store_audience(batch: Batch, now: Mapping[str, Any]) -> None:
    rows = [
        BatchAudience(batch=batch, kind=BatchAudience.Kind.PERSON, person_id=key)
        for key in User.objects.filter(username__in=now["people"]).values_list("pk", flat=True)
    ]
    rows += [BatchAudience(batch=batch, kind=BatchAudience.Kind.GROUP, name=name) for name in now["groups"]]
    rows += [BatchAudience(batch=batch, kind=BatchAudience.Kind.SKILL, name=name) for name in now["skills"]]
    batch.audience.all().delete()
    BatchAudience.objects.bulk_create(rows)
    Batch.objects.filter(pk=batch.pk).update(
        for_some=True if now["people"] or now["groups"] else None,
        skills_asked=now["skills_asked"] if now["skills"] else None,
        person_quota=now["person_quota"],
        priority=now["priority"],
        # Cursors start again: who was passed over may be offered what others left.
        queue_version=F("queue_version") + 1,
    )
