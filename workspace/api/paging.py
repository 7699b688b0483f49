"""Pages of a list by cursor: a page begins after the last row of the one before, whatever was added meanwhile."""

import base64
import binascii
import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import FieldDoesNotExist
from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Model, Q, QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

# Of the table, looked through for each row of a page.
TABLE_ROWS_PER_ROW = 40


def page_of(row: type[serializers.BaseSerializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The serializer of a page of such rows."""
    return _page_of(row)  # type: ignore[arg-type]  # the stubs say that an instance has no hash; the class has


@cache
def _page_of(row: Any) -> type[serializers.Serializer[Any]]:
    name = row.__name__.removesuffix("Serializer")
    fields = {
        "results": row(many=True),
        "next": serializers.URLField(allow_null=True, help_text="The next page; null: this is the last."),
        "next_cursor": serializers.CharField(allow_null=True),
    }
    return type(f"{name}Page", (serializers.Serializer,), fields)


def read_page(
    rows: QuerySet[Any], query: dict[str, Any], request: Request
) -> tuple[list[Any], str | None, str | None]:
    """The rows of a page, and the address and cursor of the next.

    `query`: limit, cursor, order, and filters by what they ask of the database.
    """
    filters = dict(query)
    limit, cursor, order = filters.pop("limit"), filters.pop("cursor", None), filters.pop("order", "-id")
    past = Q() if cursor is None else _after(rows.model, cursor, order)
    rows = rows.filter(**filters)
    if order.removeprefix("-") == "id":
        found = _first_by_key(rows, past, order, limit + 1)
    else:
        found = list(rows.filter(past).order_by(order, "-pk" if order.startswith("-") else "pk")[: limit + 1])
    if len(found) <= limit:
        return found, None, None
    page = found[:limit]
    following = _cursor(page[-1], order)
    parameters = request.query_params.dict() | {"cursor": following}
    return page, request.build_absolute_uri(f"{request.path}?{urlencode(parameters)}"), following


def _first_by_key(rows: QuerySet[Any], past: Q, order: str, number: int) -> list[Any]:
    """The first rows past the cursor.

    Their keys are read first, and sought among the next rows of the table, whoever has them: a page of a million
    judgments is there, and left to itself the database joins and sorts the million to find it. Where these are too few
    (a small project of a large site, a rare filter), it goes its own way.
    """
    everything = rows.model._base_manager.filter(past).order_by(order)
    size = number * TABLE_ROWS_PER_ROW
    wanted = rows.order_by(order).values_list("pk", flat=True)
    keys = list(wanted.filter(pk__in=everything.values("pk")[:size])[:number])
    if len(keys) < number and everything[size : size + 1].exists():
        keys = list(wanted.filter(past)[:number])
    found = rows.in_bulk(keys)
    return [found[key] for key in keys if key in found]


def _cursor(row: Model, order: str) -> str:
    column = order.removeprefix("-")
    field: Any = row._meta.get_field(column)
    value = None if column == "id" else field.value_to_string(row)
    return base64.urlsafe_b64encode(json.dumps([order, value, row.pk]).encode()).decode().rstrip("=")


def _after(model: type[Model], cursor: str, order: str) -> Q:
    """What comes after the row of the cursor. Raises ValidationError for one of another list, or of none."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, value, key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if made_for != order or type(key) is not int or abs(key) >= 2**63:
            raise ValueError(cursor)
        past = "lt" if order.startswith("-") else "gt"
        column = order.removeprefix("-")
        if column == "id":
            return Q(**{f"pk__{past}": key})
        field: Any = model._meta.get_field(column)
        value = field.to_python(value)
        if value is None:
            raise ValueError(cursor)
    except (ValueError, TypeError, RecursionError, binascii.Error, InvalidValue, FieldDoesNotExist) as error:
        raise ValidationError({"cursor": ["It is no cursor of this list in this order."]}) from error
    return Q(**{f"{column}__{past}": value}) | Q(**{column: value, f"pk__{past}": key})
