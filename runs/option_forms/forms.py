"""The form of a run whose options are a preset's, changed where somebody changed them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, ClassVar

from django import forms
from django.forms.utils import ErrorDict
from django.utils.translation import gettext, gettext_lazy

from learning.interface.training_options import MAX_PROCESSES
from runs.models import Run
from runs.option_forms.comments import preset_comments
from runs.option_forms.fields import Option, Section, as_text, assignment, path_in, value_at, yes_or_no
from workspace.forms import StyledFormMixin
from workspace.models import Project

SHOWN = "shown_preset"
OPEN_SECTIONS = ("data", "sampling", "")  # what most people look for


@dataclass(frozen=True, kw_only=True)
class PresetChoice:
    name: str
    source: str  # where to read about it
    config: Callable[[], Mapping[str, Any]]  # what a run by it is asked, as a mapping
    comments: Mapping[str, str]  # dotted path -> where that value is from


def preset_choices(
    presets: Mapping[str, Any], config: Callable[[str], Mapping[str, Any]], *modules: ModuleType
) -> Mapping[str, PresetChoice]:
    """A recipe's presets. `config` takes a preset's name; `modules`: where the presets are written."""
    comments = preset_comments(*modules)
    return {
        name: PresetChoice(
            name=name,
            source=preset.source,
            config=partial(config, name),
            comments=comments.get(name, {}),
        )
        for name, preset in presets.items()
    }


class PresetForm(StyledFormMixin, forms.Form):
    """Subclasses have `presets` and `sections`, and fields of their own; those of options have their paths as names.

    A field counts where it says something else than the preset that the page showed: choosing another preset without
    having its values shown takes that preset, not the values of the one before. `run` is one whose values are shown
    instead of the preset's.
    """

    presets: ClassVar[Mapping[str, PresetChoice]]
    sections: ClassVar[list[Section]]
    kinds: ClassVar[tuple[str, ...]]  # of runs that can be taken for an example
    initial_preset: ClassVar[str] = "tiny"

    preset = forms.ChoiceField(label=gettext_lazy("Preset"))
    shown_preset = forms.CharField(required=False, widget=forms.HiddenInput)
    processes = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_PROCESSES,
        help_text=gettext_lazy("Of one machine, that share the work; empty: 1."),
        label=gettext_lazy("Processes"),
    )

    def __init__(
        self, data: Any = None, *, project: Project, run: Run | None = None, initial: Any = None
    ) -> None:
        initial = dict(initial or {})
        self.project, self.run = project, run
        if run is not None:
            initial = self.values_of(run) | initial
        super().__init__(data, initial=initial)
        choice = self.fields["preset"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = [(name, name) for name in self.presets]
        asked = self.data.get(SHOWN) if self.is_bound else initial.get("preset")
        self.shown = self.presets.get(str(asked or ""), self.presets[self.initial_preset])
        choice.initial = self.shown.name
        self.fields[SHOWN].initial = self.shown.name
        self.preset_values = self.shown.config()
        example: Mapping[str, Any] = run.config if run is not None else self.preset_values
        self.options = {option.path: option for section in self.sections for option in section.options}
        for path, option in self.options.items():
            value = value_at(example, path)
            if value is None:
                value = value_at(self.preset_values, path)
            self.fields[path] = _field(option, as_text(value))
        self.add_bootstrap_classes()

    def values_of(self, run: Run) -> dict[str, Any]:
        """What an earlier run says of the fields that are no options."""
        return {"preset": run.config.get("preset") or self.initial_preset, "processes": run.processes}

    def assignments(self) -> list[str]:
        """What was changed, as the commands' `--set`."""
        changed = []
        for path, option in self.options.items():
            if self.add_prefix(path) not in self.data:
                continue
            text = str(self.cleaned_data.get(path) or "")
            if text.strip() != as_text(value_at(self.preset_values, path)):
                changed.append(assignment(option, text))
        return changed

    def refuse(self, message: str) -> None:
        """Shows what an action said, at the option too that it is about."""
        self.add_error(None, message)
        if (path := path_in(message, self.options)) is not None:
            self.add_error(path, message.partition(": ")[2])

    def say_before_it_is_sent(self, field: str, message: str) -> None:
        """Shows a message at a field of a form that nobody has sent: Django keeps errors of sent ones alone."""
        self._errors = ErrorDict({field: self.error_class([message])})

    def shown_sections(self) -> list[dict[str, Any]]:
        """The options as the page lists them, with the preset's value and where it is from."""
        return [
            {
                "section": section,
                "rows": rows,
                "is_open": section.path in OPEN_SECTIONS or any(row["field"].errors for row in rows),
                "n_changed": sum(row["is_changed"] for row in rows),
            }
            for section in self.sections
            if (rows := [self._row(option) for option in section.options])
        ]

    def _row(self, option: Option) -> dict[str, Any]:
        value = as_text(value_at(self.preset_values, option.path))
        return {
            "field": self[option.path],
            "option": option,
            "value": value or gettext("none"),
            "from": gettext(self.shown.comments.get(option.path, "")),
            "is_changed": str(self[option.path].value() or "").strip() != value,
        }


def _field(option: Option, initial: str) -> forms.Field:
    if not option.choices:
        return forms.CharField(
            label=option.label,
            initial=initial,
            required=False,
            max_length=500,
            help_text=gettext(option.help),
            widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
        )
    texts = [as_text(choice) for choice in option.choices]
    choices = [(text, yes_or_no(text)) for text in texts]
    if option.may_be_empty or not initial:  # of a section that may be null, too
        choices.insert(0, ("", gettext("none")))
    return forms.ChoiceField(
        label=option.label, choices=choices, initial=initial, required=False, help_text=gettext(option.help)
    )
