"""Names for what programs make: a result must not be lost because its name is taken, so it gets a number."""

from typing import Any

from django.db.models import QuerySet


def unique_name(rows: QuerySet[Any], name: str, *, max_length: int = 120) -> str:
    """`name` cut to `max_length`, or the first of `name (2)`, `name (3)`, ... that none of the rows has."""
    name = name[:max_length]
    stem = name[: max_length - 7]
    taken = set(rows.filter(name__startswith=stem).values_list("name", flat=True))
    numbered = (f"{stem} ({number})" for number in range(2, len(taken) + 3))
    return name if name not in taken else next(other for other in numbered if other not in taken)
