"""What an option was worth that config.json leaves out, where its default has changed since the run started.

A resumed run must compute what it would have computed without the interruption, and a checkpoint knows the options it
was made with, defaults included. Runs that the site prepares name every option; a config.json written by hand may not.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

FORMER_MICRO_BATCH_TOKENS = 4096  # until 2026-11-28, when "auto" became the default


def with_former_defaults(
    options_cls: type[Any], options: Mapping[str, Any], environment: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The options of a run with results as the version that made them understood them. `environment`: as that version
    recorded it; where it recorded what stands for "auto", that was the default already.
    """
    if environment is None or "resolved" in environment:
        return dict(options)
    completed = dict(options)
    known = {field.name for field in dataclasses.fields(options_cls)}
    for name in known & {"batch", "reward_model_batch"}:
        batch = options.get(name, {} if name == "batch" else None)
        if isinstance(batch, Mapping):
            completed[name] = {"max_micro_batch_tokens": FORMER_MICRO_BATCH_TOKENS, **batch}
    return completed
