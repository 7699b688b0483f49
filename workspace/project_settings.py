"""What a manager corrects of a project itself: its name, who judges how much, times, the division of prompts."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from workspace.actions import record_audit, require_version
from workspace.errors import ActionError
from workspace.models import Project, User
from workspace.shown_values import Shown, require_shown, values_of
from workspace.splits import require_valid_splits
from workspace.time_zones import known_time_zones

TIME_ZONE = ("time_zone",)
SPLITS = ("train_share", "validation_share", "test_per_tag", "near_duplicates_together")
CHECKS = ("gold_share", "repeat_share", "repeat_after")
CHANGEABLE = ("name", "description", "overlap", "lease_minutes", *TIME_ZONE, *SPLITS, *CHECKS)
MAX_GOLD_SHARE, MAX_REPEAT_SHARE, MAX_REPEAT_AFTER = 0.5, 0.2, 1_000


@transaction.atomic
def correct_project(
    *,
    actor: User,
    project: Project,
    name: str | None = None,
    description: str | None = None,
    overlap: int | None = None,
    lease_minutes: int | None = None,
    expected_version: int | None = None,
) -> Project:
    """New values for what is given. The address stays; batches that are there keep their overlap, and tasks that
    people hold their time.

    Raises StaleVersion when `expected_version` is given and somebody has corrected the project since; ActionError with
    the fields that do not fit.
    """
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    require_version(expected_version, locked.version)
    given = {"name": name, "description": description, "overlap": overlap, "lease_minutes": lease_minutes}
    changed = {
        field: value
        for field, value in given.items()
        if value is not None and value != getattr(locked, field)
    }
    if not changed:
        return locked
    fields = {}
    if name is not None and not any(map(str.isalnum, name)):
        fields["name"] = "A project's name needs at least one letter or digit."
    before = {field: getattr(locked, field) for field in changed}
    for field, value in changed.items():
        setattr(locked, field, value)
    try:
        locked.clean_fields()
    except ValidationError as error:
        fields = {field: " ".join(texts) for field, texts in error.message_dict.items()} | fields
    if fields:
        raise ActionError(" ".join(fields.values()), code="project_invalid", fields=fields)
    locked.version += 1
    locked.save(update_fields=[*changed, "version"])
    record_audit(
        actor=actor, action="project.correct", project=locked, target=locked, before=before, now=changed
    )
    return locked


@transaction.atomic
def set_time_zone(*, actor: User, project: Project, time_zone: str, shown: Shown = None) -> Project:
    """In which the project's pages show times, and schedules read theirs from now on. Raises ChangedMeanwhile."""
    if time_zone not in known_time_zones():
        similar = get_close_matches(time_zone, known_time_zones(), n=1, cutoff=0.5)
        hint = f"; did you mean {similar[0]}?" if similar else ", for example Europe/Berlin or UTC."
        message = f"“{time_zone}” is no time zone: give an IANA name{hint}"
        raise ActionError(message, code="time_zone_unknown", fields={"time_zone": message})
    return _change_project(actor, project, "project.set_time_zone", {"time_zone": time_zone}, shown)


@transaction.atomic
def set_splits(
    *,
    actor: User,
    project: Project,
    train_share: float | None = None,
    validation_share: float | None = None,
    test_per_tag: Mapping[str, int] | None = None,
    near_duplicates_together: bool | None = None,
    shown: Shown = None,
) -> Project:
    """On which side prompts go that come from now on; those that are there keep theirs, and what is not given stays.

    `test_per_tag` (tag, or EVERY_TAG, -> how many prompts are held out) takes the place of a share for test.
    `near_duplicates_together`: prompts that are almost the same share a side. Raises ChangedMeanwhile.
    """
    given = {
        "train_share": train_share, "validation_share": validation_share,
        "test_per_tag": None if test_per_tag is None else dict(test_per_tag),
        "near_duplicates_together": near_duplicates_together,
    }  # fmt: skip
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    now = values_of(locked, SPLITS) | {name: value for name, value in given.items() if value is not None}
    require_valid_splits(now["train_share"], now["validation_share"], now["test_per_tag"])
    return _change_project(actor, project, "project.set_splits", now, shown)


@transaction.atomic
def set_checks(
    *,
    actor: User,
    project: Project,
    gold_share: float | None = None,
    repeat_share: float | None = None,
    repeat_after: int | None = None,
    shown: Shown = None,
) -> Project:
    """How many of a person's tasks have a known answer, how many come a second time, and after how many others. What is
    not given stays. Raises ChangedMeanwhile.
    """
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    given = {"gold_share": gold_share, "repeat_share": repeat_share, "repeat_after": repeat_after}
    now = values_of(locked, CHECKS) | {name: value for name, value in given.items() if value is not None}
    limits = {
        "gold_share": (0, MAX_GOLD_SHARE, "The share of tasks with a known answer is 0 to 0.5."),
        "repeat_share": (0, MAX_REPEAT_SHARE, "The share of tasks that come again is 0 to 0.2."),
        "repeat_after": (1, MAX_REPEAT_AFTER, "A task comes again after 1 to 1,000 others."),
    }
    wrong = {name: said for name, (low, high, said) in limits.items() if not low <= now[name] <= high}
    if wrong:
        raise ActionError(" ".join(wrong.values()), code="checks_invalid", fields=wrong)
    return _change_project(actor, project, "project.set_checks", now, shown)


@transaction.atomic
def lock_shown(project: Project, shown: Shown) -> None:
    """Before several of these changes in one transaction. Raises ChangedMeanwhile."""
    require_shown(
        shown, values_of(Project.objects.select_for_update(no_key=True).get(pk=project.pk), CHANGEABLE)
    )


def _change_project(
    actor: User, project: Project, action: str, now: Mapping[str, Any], shown: Shown
) -> Project:
    """The project with these values; no audit row when it had them already."""
    locked = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before = values_of(locked, now)
    require_shown(shown, before)
    if before != now:
        Project.objects.filter(pk=locked.pk).update(**now)
        locked.refresh_from_db()
        record_audit(actor=actor, action=action, project=locked, target=locked, before=before, now=dict(now))
    return locked
