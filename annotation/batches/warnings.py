"""What a batch warns of: its tasks are not offered to who does not want to see it."""

from collections.abc import Sequence

from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from annotation.models import Batch, Prompt
from annotation.models.bulk import BULK_UPDATE_SIZE
from annotation.preferences.content_warnings import (
    TAG_PREFIX,
    clean_warnings,
    join_warnings,
    split_warnings,
    warnings_of_tags,
)
from workspace.actions import record_audit
from workspace.errors import StaleVersion
from workspace.models import User


@transaction.atomic
def set_content_warnings(
    *, actor: User, batch: Batch, names: Sequence[str], expected: Sequence[str] | None = None
) -> Batch:
    """What the batch warns of from now on: who does not want to see it is not offered its tasks. What people have on
    their screens stays there.

    Raises InvalidBatch, and StaleVersion when it does not warn of what is `expected`.
    """
    wanted = clean_warnings(names)
    locked = Batch.objects.select_for_update().get(pk=batch.pk)
    before = split_warnings(locked.content_warnings)
    if before == wanted:
        return locked
    if expected is not None and sorted(expected) != before:
        now = ", ".join(before) or "nothing"
        raise StaleVersion(
            f"Somebody changed it meanwhile: the batch warns of {now}. Yours is not saved.", current=0
        )
    locked.content_warnings = join_warnings(wanted)
    locked.save(update_fields=["content_warnings"])
    record_audit(
        actor=actor,
        action="batch.set_warnings",
        project=batch.project,
        target=batch,
        before=before,
        now=wanted,
    )
    return locked


def warnings_of_prompts(keys: Sequence[int]) -> set[str]:
    """What the prompts' tags warn of: a batch warns of all that is in it."""
    found: set[str] = set()
    for start in range(0, len(keys), BULK_UPDATE_SIZE):
        some = Prompt.objects.filter(pk__in=set(keys[start : start + BULK_UPDATE_SIZE]))
        tagged = some.annotate(text=Cast("tags", TextField())).filter(text__contains=f'"{TAG_PREFIX}')
        for tags in tagged.values_list("tags", flat=True):
            found |= warnings_of_tags(tags)
    return found
