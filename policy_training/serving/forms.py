"""With which lengths a policy is loaded."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from policy_training.models import PolicyServing
from policy_training.serving.lengths import (
    LABELS,
    InvalidServingLengths,
    longest,
    require_possible_lengths,
    serving_lengths,
)


class ServingLengthsForm(forms.Form):
    """Empty fields: what the model's context allows. They hold what was set last."""

    max_prompt_tokens = forms.IntegerField(
        required=False,
        label=LABELS["max_prompt_tokens"],
        help_text=gettext_lazy("A longer one loses its earliest turns."),
    )
    max_response_tokens = forms.IntegerField(
        required=False,
        label=LABELS["max_response_tokens"],
        help_text=gettext_lazy("What one answer may have at most."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, serving: PolicyServing) -> None:
        initial = {name: getattr(serving, name) for name in self.base_fields}
        super().__init__(data, initial=initial, auto_id="serving-%s")
        self.policy = serving.policy
        most, used = longest(serving.policy), serving_lengths(serving)
        for name, field in self.fields.items():
            field.widget.attrs |= {
                "class": "form-control",
                "min": 1,
                "max": getattr(most, name),
            }
            if getattr(serving, name) is None:
                field.widget.attrs["placeholder"] = getattr(used, name)

    def clean(self) -> dict[str, Any]:
        lengths = {name: self.cleaned_data.get(name) for name in self.base_fields}
        try:
            require_possible_lengths(self.policy, **lengths)
        except InvalidServingLengths as error:
            for name, sentence in error.fields.items():
                self.add_error(name, sentence)
        return self.cleaned_data
