"""Rewards of several models and functions, as programs ask for them."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from learning.interface.options import UserError
from policy_training.reward_batches import batches_as_text, batches_for, require_batch
from policy_training.rewards import known_functions
from policy_training.training.reward_config import MAX_PARTS
from workspace.api.fields import KEY, JsonValue
from workspace.errors import ActionError


def further_models_field() -> Any:
    return serializers.ListField(
        child=serializers.IntegerField(**KEY),
        max_length=MAX_PARTS,
        required=False,
        help_text="Reward models whose scores are combined with that of the first one.",
    )


def batches_field() -> Any:
    return serializers.ListField(
        child=serializers.DictField(child=JsonValue(), allow_null=True),
        max_length=MAX_PARTS,
        required=False,
        help_text='Lengths and passes of each in its own tokens, for example {"max_prompt_tokens": 512}, in the order '
        "given; null, and what is not named: as of the first reward model.",
    )


def further_criteria_field() -> Any:
    return serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=MAX_PARTS,
        required=False,
        help_text="Criteria, by name: of each, the newest reward model that learned it alone when the training begins.",
    )


def functions_field() -> Any:
    return serializers.ListField(
        child=serializers.CharField(max_length=200),
        max_length=MAX_PARTS,
        required=False,
        help_text="Functions that the site's settings allow, as package.module.function; they are added.",
    )


def weights_field() -> Any:
    return serializers.ListField(
        child=serializers.FloatField(),
        max_length=MAX_PARTS,
        required=False,
        help_text="A number each, in the order given; none: 1 each.",
    )


def time_limits_field() -> Any:
    return serializers.ListField(
        child=serializers.FloatField(),
        max_length=MAX_PARTS,
        required=False,
        help_text="Seconds that each function may take for the responses of one step, in the order given; none: 60 "
        "each. One that takes longer ends the run.",
    )


_WHAT = {
    "further_batches": lambda: gettext("further reward models"),
    "criterion_batches": lambda: gettext("criteria"),
}


def form_rewards(data: Mapping[str, Any]) -> dict[str, Any]:
    """The values as RewardPartsFields has them: in the order of its lists, weights as text. Raises ValidationError."""
    values = dict(data)
    known = known_functions()
    places: dict[str, Callable[[Any], Any]] = {
        "further_reward_models": lambda key: -key,  # newest first
        "further_criteria": lambda name: name,  # by name
        "reward_functions": lambda name: known.index(name) if name in known else len(known),
    }
    for chosen, weights in (
        ("further_reward_models", "further_weights"),
        ("further_reward_models", "further_batches"),
        ("further_criteria", "criterion_weights"),
        ("further_criteria", "criterion_batches"),
        ("reward_functions", "function_weights"),
        ("reward_functions", "function_time_limits"),
    ):
        if weights not in values:
            continue
        found, names = values[weights], values.get(chosen) or ()
        if len(found) == len(names):
            place = places[chosen]
            order = sorted(range(len(names)), key=lambda index: place(names[index]))
            found = [found[index] for index in order]
        values[weights] = (
            _batches_text(weights, found, len(names))
            if weights.endswith("_batches")
            else " ".join(repr(float(weight)) for weight in found)
        )
    return values


def _batches_text(name: str, batches: list[dict[str, Any] | None], count: int) -> str:
    """Of so many models, as a field of the form has them. Raises ValidationError."""
    try:
        # Here, for the form has no text of a list of nulls.
        batches_for(count, batches, _WHAT[name]())
        return batches_as_text([require_batch(batch) if batch else None for batch in batches])
    except (ActionError, UserError) as error:
        raise ValidationError({name: [str(error)]}) from error
