"""Values of a configuration that were given on the command line: `--set data.epochs=2`."""

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

from learning.interface.unread_options import ReadOnlyIf, unread_options
from workspace.errors import ActionError


def apply_overrides(
    config: Mapping[str, Any],
    assignments: Sequence[str],
    rules: Sequence[ReadOnlyIf] = (),
    where: str = "config",
) -> dict[str, Any]:
    """The config with `dotted.key=value` assignments put in, values read as JSON where they are JSON.

    Raises ActionError for an assignment that is none, and for one that by the `rules` nothing would read; whether keys
    and values fit is for the config's own check. `where`: what the config is called in the sentence.
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
    given = [assignment.partition("=")[0] for assignment in assignments]
    for unread, value, why in unread_options(config, changed, given, rules):
        raise ActionError(
            f"{where}.{unread}: {json.dumps(value)} would change nothing, because {why}; leave it out.",
            code="unread_option",
        )
    return changed
