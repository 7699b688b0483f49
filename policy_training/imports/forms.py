"""The form that imports a policy, of what the settings let a manager import."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from policy_training.imports.allowed_models import allowed_folders
from policy_training.imports.hub_models import HUB
from policy_training.imports.template_values import parse_values
from workspace.errors import ActionError
from workspace.forms import StyledFormMixin
from workspace.models import Project


class ImportPolicyForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the policy"))
    folder = forms.ChoiceField(
        required=False,
        help_text=gettext_lazy("A folder that an operator offers here."),
        label=gettext_lazy("Folder"),
    )
    hub_model = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Or a model of the Hugging Face hub"),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    revision = forms.CharField(
        required=False,
        max_length=100,
        help_text=gettext_lazy(
            "Of the hub's model: a branch, tag or commit. Empty: main. The commit is recorded."
        ),
        label=gettext_lazy("Revision"),
    )
    base = forms.CharField(
        required=False,
        max_length=500,
        label=gettext_lazy("Base of an adapter"),
        help_text=gettext_lazy(
            "Of a LoRA adapter, if it is another than the one it names: a folder from the list above, or "
            "hub:owner/model. The adapter is merged into it."
        ),
    )
    chat_template_kwargs = forms.CharField(
        required=False,
        max_length=2_000,
        label=gettext_lazy("What the chat template is always given"),
        widget=forms.Textarea({"rows": 2}),
        help_text=gettext_lazy("NAME=VALUE, one a line, for example enable_thinking=false."),
    )
    own_tokenizer = forms.BooleanField(
        required=False,
        label=gettext_lazy(
            "Take a tokenizer that is read by its architecture's rules and not by tokenizer.json"
        ),
    )
    notes = forms.CharField(
        required=False, max_length=5_000, widget=forms.Textarea({"rows": 2}), label=gettext_lazy("Notes")
    )

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        self.project = project
        folders = allowed_folders()
        choice = self.fields["folder"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [("", gettext("none")), *((folder, folder) for folder in folders)]
        self.fields["hub_model"].help_text = gettext("One of: %(models)s.") % {
            "models": ", ".join(settings.HUB_MODELS)
        }
        if not folders:
            del self.fields["folder"]
        if not settings.HUB_MODELS:
            del self.fields["hub_model"], self.fields["revision"]
        self.add_bootstrap_classes()

    @property
    def offers_nothing(self) -> bool:
        return not {"folder", "hub_model"} & set(self.fields)

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.errors and bool(values.get("folder")) == bool(values.get("hub_model")):
            raise forms.ValidationError(gettext("Choose a folder or name a model of the hub, one of them."))
        return values

    def asked(self) -> dict[str, Any]:
        """The arguments of queue_import, without who asks. Raises ActionError."""
        values = self.cleaned_data
        hub_model = values.get("hub_model", "").removeprefix(HUB)
        return {
            "project": self.project,
            "name": values["name"],
            "source": values.get("folder") or f"{HUB}{hub_model}",
            "revision": values.get("revision", ""),
            "base": values["base"],
            "chat_template_kwargs": parse_values(values["chat_template_kwargs"].split("\n")),
            "own_tokenizer": values["own_tokenizer"],
            "notes": values["notes"],
        }

    def refuse(self, error: ActionError) -> None:
        self.add_error("name" if error.code == "name_taken" else None, error.message)
