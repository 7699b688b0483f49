"""What the form that starts a round asks about rewards of several models and functions."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from policy_training.reward_fields import RewardPartsFields
from policy_training.rewards import COMBINATIONS
from policy_training.training.reward_config import RewardSourcesOptions

CHOICES = ("further_reward_models", "further_criteria", "reward_functions")


class RoundRewardFields(RewardPartsFields):
    """The round's own reward model is the first; what is left empty is as the preset has it."""

    reward_weight = forms.FloatField(
        required=False,
        label=gettext_lazy("Weight of the round's own reward model"),
        help_text=gettext_lazy("Read by the weighted sum."),
    )
    reward_combination = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Reward models together"),
        choices=[("", gettext_lazy("as the preset")), *COMBINATIONS.items()],
    )
    normalize_models = forms.BooleanField(
        required=False,
        label=gettext_lazy("Each reward model in its own standard deviations"),
        help_text=gettext_lazy("Measured once, on answers of the policy that the round starts from."),
    )
    safety_threshold = forms.FloatField(
        required=False,
        min_value=0.0,
        max_value=1.0,
        help_text=gettext_lazy(
            "Of the safety gate, a probability: below it the safety model's score counts."
        ),
        label=gettext_lazy("Safety threshold"),
    )
    risky_tag = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Tag of risky prompts"),
        help_text=gettext_lazy(
            "Of the safety gate: on prompts with this tag the safety model's score counts."
        ),
    )
    spread_coefficient = forms.FloatField(
        required=False,
        help_text=gettext_lazy("Of the ensemble: times the spread of the models, taken off their mean."),
        label=gettext_lazy("Spread coefficient"),
    )
    whiten_rewards = forms.NullBooleanField(
        required=False,
        widget=forms.Select(
            choices=[
                ("", gettext_lazy("as the preset")),
                ("true", gettext_lazy("yes")),
                ("false", gettext_lazy("no")),
            ]
        ),
        label=gettext_lazy("Whiten the rewards of each step"),
        help_text=gettext_lazy(
            "To mean 0 and variance 1 (Llama 2), in place of the moments of all steps so far."
        ),
    )

    def show_whitening(self, of_preset: RewardSourcesOptions) -> None:
        """What is done where nothing is chosen."""
        widget = self.fields["whiten_rewards"].widget
        assert isinstance(widget, forms.Select)
        shown = gettext("yes") if of_preset.whiten else gettext("no")
        _, *others = widget.choices
        widget.choices = [("", gettext("%(shown)s (preset)") % {"shown": shown}), *others]

    def reward_values(self) -> list[forms.BoundField]:
        """What is asked beside the choice of models and functions."""
        return [self[name] for name in RoundRewardFields.base_fields if name not in CHOICES]

    def rewards_are_asked(self) -> bool:
        return any(self[name].errors or self[name].value() for name in RoundRewardFields.base_fields)

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
        if values["normalize_models"]:
            found["normalize_models"] = True
        if values["whiten_rewards"] is not None:
            found["whiten"] = values["whiten_rewards"]
        return found | self.reward_parts()
