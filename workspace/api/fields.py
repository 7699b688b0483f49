"""Fields that several apps use."""

import math
from typing import Any

from rest_framework import serializers

# A primary key, as a filter or in a body.
KEY: dict[str, Any] = {"min_value": 1, "max_value": 2**63 - 1}
NATURAL: dict[str, Any] = {"min_value": 0, "max_value": 2**31 - 1}


def rows_of(row: Any, **limits: Any) -> Any:
    """A list of such objects, with `min_length`, `max_length`, `required` as the list's."""
    return row(many=True, **limits)


class JsonValue(serializers.JSONField):
    """Any JSON. What a program of ours wrote as not-a-number is null: JSON has no such number."""

    def to_representation(self, value: Any) -> Any:
        return _finite(super().to_representation(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return value
