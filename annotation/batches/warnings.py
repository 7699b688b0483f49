"""What the prompts of a batch warn of."""

from collections.abc import Sequence

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


def with_warnings_of(batch: Batch, keys: Sequence[int]) -> str | None:
    """What a batch warns of with these prompts in it, as it is stored."""
    return join_warnings({*split_warnings(batch.content_warnings), *warnings_of_prompts(keys)})


def warnings_of_prompts(keys: Sequence[int]) -> set[str]:
    """What the prompts' tags warn of: a batch warns of all that is in it."""
    found: set[str] = set()
    for start in range(0, len(keys), BULK_UPDATE_SIZE):
        some = Prompt.objects.filter(pk__in=set(keys[start : start + BULK_UPDATE_SIZE]))
        tagged = some.annotate(text=Cast("tags", TextField())).filter(text__contains=f'"{TAG_PREFIX}')
        for tags in tagged.values_list("tags", flat=True):
            found |= warnings_of_tags(tags)
    return found
