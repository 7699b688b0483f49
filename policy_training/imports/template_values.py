"""What a chat template is always given, as people write it."""

import json
from collections.abc import Sequence
from typing import Any

from workspace.errors import ActionError


def parse_values(pairs: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, the values as JSON where they are JSON (true, 3, "x"), else as text. Raises ActionError."""
    values: dict[str, Any] = {}
    for pair in filter(None, map(str.strip, pairs)):
        name, found, value = pair.partition("=")
        if not found:
            raise ActionError(f"chat-template-kwargs {pair}: write NAME=VALUE.", code="bad_option")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values
