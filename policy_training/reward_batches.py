"""Lengths and passes of further reward models, in their own tokens, as forms, commands and the API say them.

A reward model whose tokenizer is another than the policy's counts other tokens; a larger one takes fewer in a pass.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext

from learning.interface.options import UserError, load_options
from learning.interface.training_options import BatchOptions
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError

MAX_BATCHES_TEXT = 2000  # characters: MAX_PARTS models with all options
BETWEEN = ";"


def require_batch(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of BatchOptions, as JSON has them. Raises UserError for what does not fit."""
    load_options(BatchOptions, values, where="batch")
    return dict(values)


def batch_in(words: Sequence[str]) -> dict[str, Any]:
    """`key=value` of BatchOptions. Raises UserError, ActionError."""
    return require_batch(apply_overrides({}, words, where="batch"))


def batches_in(text: str) -> list[dict[str, Any] | None]:
    """Those of several models: `key=value key=value; key=value`, nothing where one is as the first. Raises
    ValidationError.
    """
    if not text.strip():
        return []
    try:
        return [batch_in(part.split()) if part.strip() else None for part in text.split(BETWEEN)]
    except (UserError, ActionError) as error:
        raise forms.ValidationError(str(error)) from error


def batches_as_text(batches: Sequence[Mapping[str, Any] | None]) -> str:
    """As `batches_in` reads them; "" where none has its own."""
    if not any(batches):
        return ""
    return f"{BETWEEN} ".join(
        " ".join(f"{name}={_word(value)}" for name, value in (batch or {}).items()) for batch in batches
    )


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def batches_for(
    count: int, batches: Sequence[dict[str, Any] | None], what: str
) -> list[dict[str, dict[str, Any]]]:
    """Of each of so many models what its part says of it: {"batch": ...} or nothing. Raises ActionError."""
    if batches and len(batches) != count:
        raise ActionError(
            gettext(
                "There are %(count)s %(what)s and lengths for %(batches)s: give them for each, with ; between, or for "
                "none."
            )
            % {"count": count, "what": what, "batches": len(batches)},
            code="bad_batches",
        )
    return [{"batch": batch} if batch else {} for batch in batches or [None] * count]


def with_whole_batches(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config, as a mapping, whose further reward models have in their batches what these do not name from that of
    the first one: BatchOptions alone would put in its own defaults, other lengths than the run's.
    """
    rewards = config.get("rewards")
    models = rewards.get("models") if isinstance(rewards, Mapping) else None
    if not isinstance(models, list | tuple):  # the options' own check says so
        return dict(config)
    first = _first_batch(config)
    filled = [
        {**part, "batch": {**first, **part["batch"]}}
        if isinstance(part, Mapping) and part.get("batch") and isinstance(part["batch"], Mapping)
        else part
        for part in models
    ]
    return {**config, "rewards": {**rewards, "models": filled}}  # type: ignore[dict-item]


def own_values(part: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Where the batch of a further reward model is another than that of the first one."""
    first = _first_batch(config)
    return {
        name: value
        for name, value in (part.get("batch") or {}).items()
        if name not in first or first[name] != value
    }


def _first_batch(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("reward_model_batch") or config.get("batch")
    return found if isinstance(found, Mapping) else {}
