"""Mixtures of prompt sets, as programs ask for them."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from policy_training.mixtures.fields import MAX_SETS, MEANINGS, WHEN_SHORT, share_lines
from workspace.api.bodies import Body
from workspace.api.fields import NATURAL


class ShareOfSet(Body):
    prompt_set = serializers.CharField(max_length=120, help_text="Its name.")
    amount = serializers.FloatField(help_text="Its share, or its number of prompts.")


def shares_field(what: str) -> Any:
    return serializers.ListField(
        child=ShareOfSet(), max_length=MAX_SETS, min_length=1, required=False, help_text=what
    )


class TrainedMixtureBody(Body):
    trained_sets = shares_field(
        "Of which sets the prompts are that the policy is trained on; none: `prompt_set`."
    )
    trained_are = serializers.ChoiceField(MEANINGS, required=False)
    trained_prompts = serializers.IntegerField(
        required=False,
        help_text="Of shares; none: as many as the smallest set allows.",
        **(NATURAL | {"min_value": 1}),
    )
    trained_short = serializers.ChoiceField(WHEN_SHORT, required=False)


def form_mixtures(data: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the forms have them: a set a line."""
    return dict(data) | {
        name: share_lines([(share["prompt_set"], share["amount"]) for share in data[name]])
        for name in ("compared_sets", "trained_sets")
        if name in data
    }
