"""Rows that came with an import which has not ended, and that somebody else needs too: they stay, come what may."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from annotation.models import Import


def keep_rows(model: type[models.Model], rows: Iterable[Any], own: Import | None) -> None:
    """Rows of `model` that are there already; those of an import that still comes in, and is not `own`, are nobody's
    import any more. (Would it break off, they were deleted with it.) Call it in the transaction that needs them.
    """
    theirs = [
        row
        for row in rows
        if row.from_import_id is not None and (own is None or row.from_import_id != own.pk)
    ]
    if not theirs:
        return
    imports = {row.from_import_id for row in theirs}
    coming = set(Import.objects.unfinished().filter(pk__in=imports).values_list("pk", flat=True))
    keys = [row.pk for row in theirs if row.from_import_id in coming]
    if keys:
        model._base_manager.filter(pk__in=keys, from_import__in=coming).update(from_import=None)
