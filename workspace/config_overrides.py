"""Values of a configuration that were given on the command line: `--set data.epochs=2`."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from workspace.errors import ActionError


def apply_overrides(config: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """The config with `dotted.key=value` assignments put in, values read as JSON where they are JSON.

    Raises ActionError for an assignment that is none; whether keys and values fit is for the config's own check.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(config))
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not all(key.split(".")):
            raise ActionError(f"“{assignment}” is not of the form key=value, for example data.epochs=2.")
        *path, last = key.split(".")
        section = changed
        for part in path:
            inner = section.get(part)
            if not isinstance(inner, dict):
                inner = {}
                section[part] = inner
            section = inner
        try:
            section[last] = json.loads(text)
        except ValueError:
            section[last] = text
    return changed
