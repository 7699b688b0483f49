"""What the form of a round asks about mixtures of prompt sets: for comparisons, beside those of the training."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from policy_training.mixtures.fields import MEANINGS, WHEN_SHORT, TrainedMixtureFields, sets_field
from policy_training.mixtures.options import REPEAT

AGAIN = (REPEAT, gettext_lazy("prompts of earlier rounds are compared again"))


class MixtureFields(TrainedMixtureFields):
    """Cleaned: `compared_mixture` and `trained_mixture`, each None where the one prompt set is meant."""

    compared_sets = sets_field(
        gettext_lazy("Sets of the prompts that people compare"),
        gettext_lazy(
            "One on each line with its share, for example helpful = 5. Empty: the prompt set above."
        ),
    )
    compared_are = forms.ChoiceField(
        required=False, choices=MEANINGS, label=gettext_lazy("The numbers of those compared are")
    )
    compared_short = forms.ChoiceField(
        required=False,
        choices=[*WHEN_SHORT, AGAIN],
        label=gettext_lazy("When a set has too few to compare"),
    )

    mixture_names = ("compared_sets", "compared_are", "compared_short", *TrainedMixtureFields.mixture_names)

    def clean(self) -> dict[str, Any]:
        values = super().clean()
        values["compared_mixture"] = self.asked_mixture("compared")
        return values
