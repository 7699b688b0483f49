"""What the prompts of a batch warn of."""

from collections.abc import Iterable

from django.db.models import TextField
from django.db.models.functions import Cast

from annotation.models import Batch, Prompt
from annotation.models.bulk import BULK_UPDATE_SIZE
from annotation.preferences.content_warnings import (
    TAG_PREFIX,
    join_warnings,
    split_warnings,
    warnings_of_tags,
)


def with_warnings_of(batch: Batch, prompts: Iterable[Prompt]) -> str | None:
    """What a batch warns of with these prompts in it, as it is stored."""
    return join_warnings({*split_warnings(batch.content_warnings), *warnings_of_prompts(prompts)})


def add_warnings(batch: Batch) -> None:
    """Those of `batch` to what is stored, where others may add some meanwhile. Locks the batch only if any are new."""
    if not batch.content_warnings:
        return
    if Batch.objects.filter(pk=batch.pk, content_warnings=batch.content_warnings).exists():
        return
    stored = Batch.objects.select_for_update(no_key=True).only("content_warnings").get(pk=batch.pk)
    both = {*split_warnings(stored.content_warnings), *split_warnings(batch.content_warnings)}
    Batch.objects.filter(pk=batch.pk).update(content_warnings=join_warnings(both))


def warnings_of_prompts(prompts: Iterable[Prompt]) -> set[str]:
    """What the prompts' tags warn of: a batch warns of all that is in it. Tags never change: those at hand count, and
    only those that were not loaded are looked up.
    """
    found: set[str] = set()
    unread: set[int] = set()
    for prompt in prompts:
        if "tags" not in prompt.__dict__:
            unread.add(prompt.pk)
        elif tags := prompt.tags:
            found |= warnings_of_tags(tags)
    keys = sorted(unread)
    for start in range(0, len(keys), BULK_UPDATE_SIZE):
        some = Prompt.objects.filter(pk__in=keys[start : start + BULK_UPDATE_SIZE])
        tagged = some.annotate(text=Cast("tags", TextField())).filter(text__contains=f'"{TAG_PREFIX}')
        for tags in tagged.values_list("tags", flat=True):
            found |= warnings_of_tags(tags)
    return found
