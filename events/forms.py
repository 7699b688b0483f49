"""The form of a webhook; what it may be is decided in actions."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from events.actions import CHANGEABLE, MAX_DESCRIPTION
from events.kinds import GROUPS, KINDS, NAMES
from events.models import MAX_URL, Webhook
from workspace.forms import ShownValuesForm, StyledFormMixin
from workspace.shown_values import shown_of, values_of


class WebhookForm(StyledFormMixin, forms.Form):
    url = forms.CharField(
        max_length=MAX_URL,
        label=gettext_lazy("Address"),
        widget=forms.URLInput(attrs={"placeholder": "https://example.org/hook"}),
        help_text=gettext_lazy("It is sent each event by POST, signed with a secret that you see once."),
    )
    description = forms.CharField(
        required=False,
        max_length=MAX_DESCRIPTION,
        help_text=gettext_lazy("What it is for."),
        label=gettext_lazy("Description"),
    )
    all_kinds = forms.BooleanField(
        required=False,
        label=gettext_lazy("All events"),
        help_text=gettext_lazy("Also kinds that come later."),
    )
    kinds = forms.MultipleChoiceField(
        required=False,
        widget=forms.SelectMultiple(attrs={"size": 10}),
        label=gettext_lazy("Or only these events"),
        help_text=gettext_lazy("A group is all of its kinds, also later ones. Ctrl or Cmd chooses several."),
    )

    def __init__(self, *args: Any, stored: Sequence[str] = (), **kwargs: Any) -> None:
        """`stored`: the kinds that the webhook has. Those that nobody may choose any more can be kept, or the form
        would come back without them, and a webhook without kinds is told of all.
        """
        super().__init__(*args, **kwargs)
        kinds = self.fields["kinds"]
        assert isinstance(kinds, forms.MultipleChoiceField)
        other = [
            (kind, gettext("%(kind)s (not known any more)") % {"kind": kind})
            for kind in stored
            if kind not in NAMES
        ]
        kinds.choices = [
            (
                gettext("Groups"),
                [(group, gettext("%(group)s: all of them") % {"group": group}) for group in GROUPS],
            ),
            (gettext("Kinds"), [(kind, kind) for kind in KINDS]),
            *([(gettext("Earlier"), other)] if other else []),
        ]
        self.add_bootstrap_classes()

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.has_error("kinds"):
            if values["all_kinds"] and values["kinds"]:
                self.add_error(
                    "kinds", gettext("Either all events or those chosen here: take one of the two back.")
                )
            elif not values["all_kinds"] and not values["kinds"]:
                # To an action no kinds are all kinds: nobody is told more because a choice was lost on the way.
                self.add_error("kinds", gettext("Choose at least one, or tick “All events”."))
        return values

    def webhook_options(self) -> dict[str, Any]:
        """The arguments of create_webhook and change_webhook."""
        return {name: self.cleaned_data[name] for name in ("url", "description", "kinds")}


class ChangedWebhookForm(ShownValuesForm, WebhookForm):
    """Of one that is there."""

    def __init__(self, data: Any = None, *, webhook: Webhook) -> None:
        values = values_of(webhook, CHANGEABLE) | {"shown": shown_of(webhook, CHANGEABLE)}
        super().__init__(data, initial=values | {"all_kinds": not webhook.kinds}, stored=webhook.kinds)

    def values(self) -> dict[str, Any]:
        return self.webhook_options()
