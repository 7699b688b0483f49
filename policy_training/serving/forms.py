"""With which lengths a policy is loaded."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from policy_training.models import PolicyServing
from policy_training.serving.lengths import longest, serving_lengths


class ServingLengthsForm(forms.Form):
    """Empty fields: what the model's context allows. They hold what was set last."""

    max_prompt_tokens = forms.IntegerField(
        required=False,
        label=gettext_lazy("Tokens of a conversation"),
        help_text=gettext_lazy("A longer one loses its earliest turns."),
    )
    max_response_tokens = forms.IntegerField(
        required=False,
        label=gettext_lazy("Tokens of an answer"),
        help_text=gettext_lazy("What one answer may have at most."),
    )

    def __init__(self, data: Mapping[str, Any] | None = None, *, serving: PolicyServing) -> None:
        initial = {name: getattr(serving, name) for name in self.base_fields}
        super().__init__(data, initial=initial, auto_id="serving-%s")
        most, used = longest(serving.policy), serving_lengths(serving)
        for name, field in self.fields.items():
            field.widget.attrs |= {
                "class": "form-control",
                "min": 1,
                "max": getattr(most, name),
                "aria-describedby": f"serving-{name}_helptext",
            }
            if getattr(serving, name) is None:
                field.widget.attrs["placeholder"] = getattr(used, name)
