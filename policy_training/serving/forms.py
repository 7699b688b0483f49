"""With which limits a policy is loaded."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from policy_training.models import PolicyServing
from policy_training.serving.limits import (
    LABELS,
    InvalidServingLimits,
    least_and_most,
    require_possible_limits,
    serving_limits,
)


class ServingLimitsForm(forms.Form):
    """Empty fields: what the model's context allows, or is usual. They hold what was set last."""

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
    max_waiting_requests = forms.IntegerField(
        required=False,
        label=LABELS["max_waiting_requests"],
        help_text=gettext_lazy("Of all conversations and playgrounds together; more are refused."),
    )
    abandoned_after_seconds = forms.IntegerField(
        required=False,
        label=LABELS["abandoned_after_seconds"],
        help_text=gettext_lazy("An answer that no page has asked about for so long is ended."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, serving: PolicyServing) -> None:
        initial = {name: getattr(serving, name) for name in self.base_fields}
        super().__init__(data, initial=initial, auto_id="serving-%s")
        self.policy = serving.policy
        least, most = least_and_most(serving.policy)
        used = serving_limits(serving)
        for name, field in self.fields.items():
            field.widget.attrs |= {
                "class": "form-control",
                "min": getattr(least, name),
                "max": getattr(most, name),
            }
            if getattr(serving, name) is None:
                field.widget.attrs["placeholder"] = getattr(used, name)

    def clean(self) -> dict[str, Any]:
        try:
            require_possible_limits(
                self.policy, {name: self.cleaned_data.get(name) for name in self.base_fields}
            )
        except InvalidServingLimits as error:
            for name, sentence in error.fields.items():
                self.add_error(name, sentence)
        return self.cleaned_data
