"""The only place that writes kept HTML. It can be made again at any time, so nothing here is audited."""

import logging
from collections.abc import Mapping

from django.db import DatabaseError, transaction

from annotation.models import RenderedText

logger = logging.getLogger(__name__)
# Longer HTML is made each time: it is a text of a kind that nobody should see twice.
MAX_KEPT_CHARACTERS = 500_000


def keep_rendered(html_by_key: Mapping[str, str], *, version: str) -> None:
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
