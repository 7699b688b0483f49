"""The form of a webhook; what it may be is decided in actions."""

from typing import Any

from django import forms

from events.actions import MAX_DESCRIPTION
from events.kinds import KINDS
from events.models import MAX_URL
from workspace.forms import StyledFormMixin


class WebhookForm(StyledFormMixin, forms.Form):
    url = forms.CharField(
        max_length=MAX_URL,
        label="Address",
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/hook"}),
        help_text="It is sent each event by POST, signed with a secret that you see once.",
    )
    description = forms.CharField(required=False, max_length=MAX_DESCRIPTION, help_text="What it is for.")
    kinds = forms.MultipleChoiceField(
        required=False,
        choices=[(kind, kind) for kind in KINDS if kind != "webhook.test"],
        widget=forms.SelectMultiple(attrs={"size": 10}),
        label="Events",
        help_text="Those it is told of; none chosen: all, also kinds that come later. Ctrl or Cmd chooses several.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_bootstrap_classes()
