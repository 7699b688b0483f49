"""What is asked about a model that goes out: its licence, and where to."""

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Model
from django.utils.translation import gettext, gettext_lazy

from runs.model_cards import DESCRIBED
from workspace.cards import HUB_LICENCES, MAX_LICENCE_CHARACTERS
from workspace.forms import ShownValuesForm, StyledFormMixin
from workspace.shown_values import shown_of, values_of


class ModelDescriptionForm(ShownValuesForm):
    licence = forms.CharField(
        required=False,
        max_length=MAX_LICENCE_CHARACTERS,
        label=gettext_lazy("Licence"),
        widget=forms.TextInput({"list": "licences", "autocomplete": "off"}),
        help_text=gettext_lazy("For the card, for example apache-2.0."),
    )
    notes = forms.CharField(
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("For the card (Markdown): what it is for, and what not."),
        label=gettext_lazy("Notes"),
    )
    licences = HUB_LICENCES

    def __init__(self, data: Any = None, *, model: Model) -> None:
        super().__init__(data, initial=values_of(model, DESCRIBED) | {"shown": shown_of(model, DESCRIBED)})
        self.add_bootstrap_classes()


class PushForm(StyledFormMixin, forms.Form):
    repository = forms.CharField(
        max_length=200,
        help_text=gettext_lazy(
            "owner/name. It is made where it is not there; one that is there gets a new commit."
        ),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        label=gettext_lazy("Repository"),
    )
    public = forms.BooleanField(
        required=False,
        label=gettext_lazy("Public: everybody may read it"),
        help_text=gettext_lazy("Else it is private, and a repository that everybody can read is refused."),
    )
    token = forms.CharField(
        required=False,
        max_length=500,
        # Never written back into the page.
        widget=forms.PasswordInput({"autocomplete": "off"}, render_value=False),
        label=gettext_lazy("Token"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        named = ", ".join(settings.HUB_REPOSITORIES)
        empty = (
            gettext("empty: the site's own token, for %(named)s.") % {"named": named}
            if named
            else gettext("the site's own token is for no repository here, so one is needed.")
        )
        self.fields["token"].help_text = gettext(
            "Of the Hub, with write access to the repository. It is used once and kept nowhere; %(empty)s"
        ) % {"empty": empty}
        self.add_bootstrap_classes()

    def push_options(self) -> dict[str, Any]:
        """What queue_push takes of it."""
        return {name: self.cleaned_data[name] for name in ("repository", "public", "token")}
