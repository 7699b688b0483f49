"""What the form that starts a round asks about servers of language models: who writes the answers that people judge."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy


def known_servers() -> list[tuple[str, Any]]:
    return [("", gettext_lazy("the program itself")), *((name, name) for name in settings.MODEL_SERVERS)]


class ServerFields(forms.Form):
    """Mixed into the form of a round."""

    sampling_server = forms.ChoiceField(
        required=False,
        choices=known_servers,
        label=gettext_lazy("Answers are written by"),
        help_text=gettext_lazy(
            "A model server that has the policy loaded; it is asked before the round starts."
        ),
    )
    sampling_model = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("What that server calls the model"),
        help_text=gettext_lazy("{policy} stands for the policy's name. Empty: the policy's folder."),
    )
    servers_may_be_away = forms.BooleanField(
        required=False,
        label=gettext_lazy("Start although a model server does not answer"),
        help_text=gettext_lazy("It must answer when it is needed, for answers, rollouts or a judge."),
    )

    def server_values(self) -> dict[str, Any]:
        """As override_plan takes them."""
        values = self.cleaned_data
        server = {"name": values.get("sampling_server"), "model": values.get("sampling_model")}
        return {
            "server": {name: value for name, value in server.items() if value},
            "servers_may_be_away": bool(values.get("servers_may_be_away")),
        }
