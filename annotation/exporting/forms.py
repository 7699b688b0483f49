"""In which format a dataset is downloaded: the formats and options of the registry, nothing of its own."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy

from annotation.datasets.shards import CSV, FILE_KINDS
from annotation.exporting.formats.base import EXPORT_OPTIONS
from annotation.exporting.formats.registry import EXPORT_FORMATS
from learning.interface.vocabulary import SPLITS
from runs.hub.forms import PushForm
from workspace.forms import StyledFormMixin
from workspace.models import Project


class DownloadForm(StyledFormMixin, forms.Form):
    format = forms.ChoiceField(
        choices=[(name, name) for name in EXPORT_FORMATS], label=gettext_lazy("Format")
    )
    split = forms.ChoiceField(
        choices=[("", gettext_lazy("All"))] + [(name, name) for name in SPLITS],
        required=False,
        label=gettext_lazy("Split"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds = [("", gettext("As the format usually is"))] + [(name, name) for name in (*FILE_KINDS, CSV)]
        # A form has an attribute of this name: not in the class.
        self.fields["files"] = forms.ChoiceField(choices=kinds, required=False, label=gettext("Files"))
        for option in EXPORT_OPTIONS.values():
            read_by = [name for name, known in EXPORT_FORMATS.items() if option.name in known.options]
            help_text = f"{gettext(option.description)} ({', '.join(read_by)})"
            field: forms.Field
            if option.choices:
                choices = [(name, name) for name in option.choices]
                field = forms.ChoiceField(choices=choices, required=False, initial=option.default)
            else:
                field = forms.BooleanField(required=False)
            field.label, field.help_text = gettext(option.title), help_text[:1].upper() + help_text[1:]
            self.fields[option.name] = field
        self.add_bootstrap_classes()

    def options(self) -> dict[str, Any]:
        """The arguments of stream_preferences; what was not said is as usual."""
        values = self.cleaned_data
        given = {name: values[name] or option.default for name, option in EXPORT_OPTIONS.items()}
        return given | {
            "format": values["format"],
            "split": values["split"] or None,
            "files": values["files"] or None,
        }


class DemonstrationsForm(StyledFormMixin, forms.Form):
    format = forms.ChoiceField(
        choices=[
            ("sft", gettext_lazy("messages, as SFT trainers read them")),
            ("records", gettext_lazy("our own records")),
        ],
        help_text=gettext_lazy("Both are read again by Import demonstrations."),
        label=gettext_lazy("Format"),
    )
    plain = forms.BooleanField(
        required=False,
        label=gettext_lazy("Plain text"),
        help_text=gettext_lazy("Of messages: prompt and completion as texts instead."),
    )
    split = forms.ChoiceField(
        choices=[("", gettext_lazy("All"))] + [(name, name) for name in SPLITS],
        required=False,
        label=gettext_lazy("Split"),
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        sets = project.prompt_sets.order_by("name").values_list("pk", "name")
        self._project = project
        self.fields["prompt_set"] = forms.ChoiceField(
            choices=[("", gettext_lazy("All"))] + [(str(pk), name) for pk, name in sets],
            required=False,
            label=gettext("Prompt set"),
        )
        kinds = [(name, name) for name in FILE_KINDS]
        self.fields["files"] = forms.ChoiceField(choices=kinds, label=gettext("Files"))
        self.add_bootstrap_classes()

    def options(self) -> dict[str, Any]:
        """The arguments of stream_demonstrations."""
        values = self.cleaned_data
        chosen = values["prompt_set"]
        return {
            "format": values["format"],
            "plain": values["plain"],
            "prompt_set": self._project.prompt_sets.get(pk=chosen) if chosen else None,
            "split": values["split"] or None,
            "files": values["files"],
        }


class PushDatasetForm(PushForm, DownloadForm):
    """Where to, and in which format."""

    field_order = ["repository", "public", "token", "format", "split"]

    def push_options(self) -> dict[str, Any]:
        return super().push_options() | self.options()
