"""What makes one row of a record file acceptable: types, allowed values, rules between columns."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa

from learning.interface.messages import OPTIONAL_FIELDS
from learning.interface.options import UserError
from learning.interface.text import find_unstorable_character
from learning.interface.vocabulary import ANNOTATOR_KINDS, LAST_ROLES, ROLES, SPLITS

ExtraColumns = Literal["refuse", "ignore"]

_UTC_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)\Z")
_ALLOWED = {"role": ROLES, "split": SPLITS, "annotator_kind": ANNOTATOR_KINDS}


def validate_row(
    row: Any, schema: pa.Schema, where: Callable[[], str], extra_columns: ExtraColumns = "refuse"
) -> dict[str, Any]:
    """The row with the schema's columns in order and absent nullable columns as None.

    Raises UserError naming `where()`, the column and the value. `where` is a function, because building its
    text for every good row would double the time.
    """
    if not isinstance(row, Mapping):
        raise UserError(f"{where()}: expected an object with columns, found {_short_repr(row)}")
    if extra_columns == "refuse":
        for name in row:
            if name not in schema.names:
                raise UserError(f"{where()}: unknown column {name!r}; expected {', '.join(schema.names)}")
    try:
        result = {field.name: _value(row, field, field.name) for field in schema}
        _check_cross_column_rules(result)
    except _InvalidValue as invalid:
        raise UserError(f"{where()}, column {invalid.column!r}: {invalid.reason}") from None
    return result


class _InvalidValue(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column = column
        self.reason = reason


def _value(row: Mapping[str, Any], field: pa.Field, column: str) -> Any:
    if field.name not in row:
        if field.nullable:
            return None
        raise _InvalidValue(column, "missing")
    return _typed(row[field.name], field.type, field.nullable, column, field.name)


def _typed(value: Any, kind: pa.DataType, nullable: bool, column: str, name: str) -> Any:
    if value is None:
        if nullable:
            return None
        raise _InvalidValue(column, "must not be null")
    if pa.types.is_string(kind):
        return _text(value, column, name)
    if pa.types.is_boolean(kind):
        if isinstance(value, bool):
            return value
        raise _InvalidValue(column, f"expected true or false, found {_short_repr(value)}")
    if pa.types.is_integer(kind):
        if isinstance(value, bool) or not isinstance(value, int):
            raise _InvalidValue(column, f"expected a whole number, found {_short_repr(value)}")
        if abs(value) >= 2 ** (kind.bit_width - 1):
            raise _InvalidValue(column, f"{_short_repr(value)} is too large")
        return value
    if pa.types.is_floating(kind):
        return _number(value, column)
    if pa.types.is_map(kind):
        return _mapping(value, kind, column)
    if pa.types.is_list(kind):
        if not isinstance(value, (list, tuple)):
            raise _InvalidValue(column, f"expected a list, found {_short_repr(value)}")
        element = kind.value_field
        return [
            _typed(item, element.type, element.nullable, f"{column}[{index}]", name)
            for index, item in enumerate(value)
        ]
    return _struct(value, kind, column)


def _struct(value: Any, kind: pa.StructType, column: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _InvalidValue(column, f"expected an object, found {_short_repr(value)}")
    fields = [kind.field(index) for index in range(kind.num_fields)]
    names = {field.name for field in fields}
    for key in value:
        if key not in names:
            raise _InvalidValue(column, f"unknown key {key!r}; expected {', '.join(f.name for f in fields)}")
    found = {field.name: _value(value, field, f"{column}.{field.name}") for field in fields}
    if "role" in names:
        # A message has only the fields it really has: a template that looks whether there are calls must not see null.
        for name in OPTIONAL_FIELDS:
            if not found[name]:
                del found[name]
    return found


def _mapping(value: Any, kind: pa.MapType, column: str) -> dict[str, Any]:
    pairs = value.items() if isinstance(value, Mapping) else value  # pyarrow reads a map as a list of pairs
    if not isinstance(value, (Mapping, list)):
        raise _InvalidValue(column, f"expected an object, found {_short_repr(value)}")
    items = {}
    for key, item in pairs:
        name = _text(key, column, "")
        items[name] = _typed(item, kind.item_type, False, f"{column}.{name}", name)
    return dict(sorted(items.items()))


def _text(value: Any, column: str, name: str) -> str:
    if not isinstance(value, str):
        raise _InvalidValue(column, f"expected text, found {_short_repr(value)}")
    unstorable = find_unstorable_character(value)
    if unstorable is not None:
        raise _InvalidValue(
            column, f"contains {unstorable.name} at position {unstorable.position}; remove it"
        )
    allowed = _ALLOWED.get(name)
    if allowed is not None and value not in allowed:
        raise _InvalidValue(column, f"{_short_repr(value)} is not one of {', '.join(allowed)}")
    if name.endswith("_at") and not _UTC_TIME.match(value):
        raise _InvalidValue(column, f"expected an ISO 8601 time in UTC, found {_short_repr(value)}")
    return value


def _number(value: Any, column: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _InvalidValue(column, f"expected a number, found {_short_repr(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number != number or number in (float("inf"), float("-inf")):
        raise _InvalidValue(column, f"expected a finite number, found {_short_repr(value)}")
    return number


def _check_cross_column_rules(row: Mapping[str, Any]) -> None:
    """Rules that hold between values: a prompt ends with a user turn, a comparison says one thing."""
    for column in ("messages", "prompt"):
        messages = row.get(column)
        if messages is None:
            continue
        if not messages:
            raise _InvalidValue(column, "the prompt has no messages")
        if messages[-1]["role"] not in LAST_ROLES:
            raise _InvalidValue(
                column, f"a prompt ends with a user or tool turn, found {messages[-1]['role']!r} last"
            )
        if not messages[-1]["content"].strip():
            raise _InvalidValue(f"{column}[{len(messages) - 1}].content", "the prompt's last turn is empty")
    if "soft_preference" in row:
        _check_comparison(row)
    if "scores" in row:
        _check_ratings(row)


def _check_ratings(row: Mapping[str, Any]) -> None:
    """At least one response, and one score for each."""
    if not row["responses"]:
        raise _InvalidValue("responses", "ratings need at least 1 response, found 0")
    _check_lengths(row, ("ended", "response_ids", "scores", "turns"))
    _check_weight(row)


def _check_lengths(row: Mapping[str, Any], columns: Sequence[str]) -> None:
    size = len(row["responses"])
    for column in columns:
        entries = row[column]
        if entries is not None and len(entries) != size:
            raise _InvalidValue(column, f"expected {size} entries (one a response), found {len(entries)}")


def _check_weight(row: Mapping[str, Any]) -> None:
    if row["weight"] < 0:
        raise _InvalidValue("weight", f"must be at least 0, found {row['weight']}")


def _check_comparison(row: Mapping[str, Any]) -> None:
    """K responses have K ranks and K x K shares and grades; shares of a pair add up to 1 and agree
    with the ranks.
    """
    size = len(row["responses"])
    if size < 2:
        raise _InvalidValue("responses", f"a comparison needs at least 2 responses, found {size}")
    _check_lengths(row, ("ended", "response_ids", "ranks", "grade", "soft_preference"))
    for column in ("grade", "soft_preference"):
        for index, line in enumerate(row[column]):
            if len(line) != size:
                raise _InvalidValue(f"{column}[{index}]", f"expected {size} entries, found {len(line)}")
    _check_weight(row)
    for i in range(size):
        for j in range(i + 1, size):
            _check_pair(row, i, j)


def _check_pair(row: Mapping[str, Any], i: int, j: int) -> None:
    shares = row["soft_preference"]
    forward, backward = shares[i][j], shares[j][i]
    if forward is None and backward is None:
        return
    if forward is None or backward is None or not (0 <= forward <= 1 and abs(forward + backward - 1) < 1e-6):
        raise _InvalidValue(
            f"soft_preference[{i}][{j}]",
            f"{forward}, and {backward} the other way: they must be shares that add up to 1",
        )
    preferred, other = (i, j) if forward >= backward else (j, i)
    if abs(shares[preferred][other] - 0.5) < 1e-9:
        return
    grade = row["grade"][preferred][other]
    if grade is not None and not 0 <= grade <= 3:
        raise _InvalidValue(f"grade[{preferred}][{other}]", f"must be between 0 and 3, found {grade}")
    ranks = row["ranks"]
    if ranks is not None and ranks[preferred] > ranks[other]:
        raise _InvalidValue(
            "ranks",
            f"response {preferred + 1} was preferred to response {other + 1}, but its rank "
            f"{ranks[preferred]} is worse than {ranks[other]}",
        )


def _short_repr(value: Any) -> str:
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"
