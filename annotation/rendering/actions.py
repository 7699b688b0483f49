"""The only place that writes kept HTML. It can be made again at any time, so nothing here is audited."""

import logging
from collections.abc import Mapping
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models import QuerySet, Sum
from django.utils import timezone

from annotation.models import RenderedText

logger = logging.getLogger(__name__)
# Longer HTML is made each time: it is a text of a kind that nobody should see twice.
MAX_KEPT_CHARACTERS = 500_000
# Of all rows together: some hundred thousand answers. The oldest go first; who shows one of them again makes it again.
MAX_KEPT_CHARACTERS_IN_ALL = 500_000_000
# While a site is upgraded, processes of two versions serve side by side.
OTHER_VERSIONS_STAY = timedelta(days=1)
_ROWS_PER_DELETE = 500


def store_rendered(html_by_key: Mapping[str, str], *, version: str) -> None:
    """Keep HTML for whoever shows the same next. A database that takes no writes just now is no reason to fail."""
    rows = [
        RenderedText(key=key, version=version, characters=len(html), html=html)
        for key, html in html_by_key.items()
        if len(html) <= MAX_KEPT_CHARACTERS
    ]
    try:
        with transaction.atomic():
            RenderedText.objects.bulk_create(rows, ignore_conflicts=True)
    except DatabaseError as error:
        logger.warning("rendered texts could not be kept: %s", error)


def trim_rendered(*, version: str, budget: int = MAX_KEPT_CHARACTERS_IN_ALL) -> int:
    """Deletes rows of other versions, and the oldest beyond `budget` characters; how many."""
    old = RenderedText.objects.exclude(version=version).filter(
        created_at__lt=timezone.now() - OTHER_VERSIONS_STAY
    )
    deleted = 0
    while part := _delete_some(old):
        deleted += part
    while (RenderedText.objects.aggregate(sum=Sum("characters"))["sum"] or 0) > budget:
        deleted += _delete_some(RenderedText.objects.order_by("pk"))
    return deleted


def _delete_some(rows: QuerySet[RenderedText]) -> int:
    """A few at a time: writers of the site do not wait long."""
    return RenderedText.objects.filter(
        pk__in=list(rows.values_list("pk", flat=True)[:_ROWS_PER_DELETE])
    ).delete()[0]
