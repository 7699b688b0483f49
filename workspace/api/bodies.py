"""What a program may send: JSON of a bounded size with known names, and addresses with known parameters."""

import json
import math
from typing import IO, Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from learning.interface.text import find_unstorable_character
from workspace.api.errors import BodyTooLarge


class JsonParser(BaseParser):
    """JSON as the standard has it (no NaN), as large as a form of the site may be, that any database can keep."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: Any = None, parser_context: Any = None) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise BodyTooLarge(f"The request has more than {limit:,} bytes: send it in parts.")
        try:
            data = json.loads(raw, parse_constant=_refuse_constant, parse_float=_parse_float)
        except (ValueError, RecursionError) as error:
            raise ParseError("The request is not JSON.") from error
        _require_storable(data)
        return data


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _parse_float(text: str) -> float:
    """1e400 would be infinity, which no database keeps as JSON."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _require_storable(data: Any) -> None:
    """Without recursion: a document may be nested more deeply than the interpreter likes."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.keys()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and (found := find_unstorable_character(value)):
            raise ParseError(f"A text in the request holds {found.name}, which cannot be stored.")


class Body(serializers.Serializer[Any]):
    """A JSON object. A name that it does not know is refused, a read-only field among them: never ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = {name for name, field in self.fields.items() if not field.read_only}
            if unknown := [str(name) for name in data if name not in known]:
                raise ValidationError({name: ["There is no such field here."] for name in unknown})
        return super().to_internal_value(data)


class Query(serializers.Serializer[Any]):
    """The parameters of an address. The `source` of a filter is what it asks of the database."""


class PageQuery(Query):
    limit = serializers.IntegerField(min_value=1, max_value=200, default=50, help_text="Rows of a page.")
    cursor = serializers.CharField(
        max_length=600, required=False, help_text="`next_cursor` of the page before."
    )


class OrderField(serializers.ChoiceField):
    """By which column a list goes, from the columns named; the first, descending, unless asked otherwise."""

    def __init__(self, *columns: str, **options: Any) -> None:
        choices = [sign + column for column in columns for sign in ("-", "")]
        super().__init__(choices, **({"default": choices[0]} | options))


def read_query(query: type[Query] | None, request: Request) -> dict[str, Any]:
    """Checked parameters. Raises ValidationError for one that is not on the list, or is there twice."""
    known = query().fields if query is not None else {}
    faults = {}
    for name, values in request.query_params.lists():
        if name not in known:
            allowed = f"known here: {', '.join(known)}" if known else "none is known here"
            faults[name] = [f"There is no such parameter; {allowed}."]
        elif len(values) > 1:
            faults[name] = ["Give it once."]
    if faults:
        raise ValidationError(faults)
    if query is None:
        return {}
    parameters = query(data=request.query_params.dict())
    parameters.is_valid(raise_exception=True)
    return dict(parameters.validated_data)
