"""What the form that starts a round asks about rewards of several models and functions."""

from typing import Any

from django import forms

from policy_training.rewards import COMBINATIONS, RewardPartsFields


class RoundRewardFields(RewardPartsFields):
    """The round's own reward model is the first; what is left empty is as the preset has it."""

    reward_weight = forms.FloatField(
        required=False,
        label="Weight of the round's own reward model",
        help_text="Read by the weighted sum.",
    )
    reward_combination = forms.ChoiceField(
        required=False,
        label="Reward models together",
        choices=[("", "as the preset"), *COMBINATIONS.items()],
    )
    normalize_models = forms.BooleanField(
        required=False,
        label="Each reward model in its own standard deviations",
        help_text="Measured once, on answers of the policy that the round starts from.",
    )
    safety_threshold = forms.FloatField(
        required=False,
        min_value=0.0,
        max_value=1.0,
        help_text="Of the safety gate, a probability: below it the safety model's score counts.",
    )
    risky_tag = forms.CharField(
        required=False,
        max_length=200,
        label="Tag of risky prompts",
        help_text="Of the safety gate: on prompts with this tag the safety model's score counts.",
    )
    spread_coefficient = forms.FloatField(
        required=False, help_text="Of the ensemble: times the spread of the models, taken off their mean."
    )
    whiten_rewards = forms.BooleanField(
        required=False,
        label="Whiten the rewards of each step",
        help_text="To mean 0 and variance 1 (Llama 2), in place of the moments of all steps so far.",
    )

    def rewards(self) -> dict[str, Any]:
        """What was said of RewardSourcesOptions, as a mapping. Raises ActionError."""
        values = self.cleaned_data
        names = {
            "weight": "reward_weight",
            "combination": "reward_combination",
            "safety_threshold": "safety_threshold",
            "risky_tag": "risky_tag",
            "spread_coefficient": "spread_coefficient",
        }
        found = {name: values[field] for name, field in names.items() if values[field] not in (None, "")}
        found |= {
            name: True
            for name, field in (("normalize_models", "normalize_models"), ("whiten", "whiten_rewards"))
            if values[field]
        }
        return found | self.reward_parts()
