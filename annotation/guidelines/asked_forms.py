"""The form of what is asked beside the order of the answers; it parses, workspace.asked decides what fits."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy

from annotation.guidelines.forms import VersionedForm
from workspace.asked import (
    BOTH_BAD,
    EVERY,
    GUIDED_FROM,
    LIKERT,
    MARK_KINDS,
    MARK_TASKS,
    MAX_LABEL_CHARACTERS,
    MAX_MARKS,
    RATIONALE_CASES,
    Asked,
    Mark,
    name_from_label,
)
from workspace.forms import StyledFormMixin

_SEPARATOR = " = "
_LISTS = ("flags", "both_bad_reasons", "cannot_judge")
_ONE_A_LINE = gettext_lazy(
    "One a line. What stands before = is its name in files; a new line gets one by itself."
)


class _Lines(forms.CharField):
    """One thing a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            required=False, widget=forms.Textarea(attrs={"rows": options.pop("rows", 4), "dir": "auto"}), **options
        )  # fmt: skip

    def lines(self, text: str) -> list[str]:
        return [line.strip() for line in text.splitlines() if line.strip()]

    def clean(self, value: Any) -> Any:
        return self.lines(super().clean(value))


class MarkForm(StyledFormMixin, forms.Form):
    """One mark. A form without a label is no mark: the rows for new ones may stay empty."""

    name = forms.CharField(required=False, widget=forms.HiddenInput)
    label = forms.CharField(
        required=False,
        max_length=MAX_LABEL_CHARACTERS,
        label=gettext_lazy("What is said of each answer"),
        widget=forms.TextInput(attrs={"dir": "auto"}),
    )
    kind = forms.ChoiceField(
        choices=[(kind, gettext_lazy(said)) for kind, said in MARK_KINDS.items()], label=gettext_lazy("Kind")
    )
    points = forms.IntegerField(
        required=False, label=gettext_lazy("Points (of a scale)"), help_text=gettext_lazy("2 to 10.")
    )
    low = forms.CharField(required=False, label=gettext_lazy("Word at the end 1"))
    high = forms.CharField(required=False, label=gettext_lazy("Word at the other end"))
    choices = _Lines(
        label=gettext_lazy("Words to choose from"),
        help_text=gettext_lazy("One a line; of passages: the labels that one can have."),
        rows=3,
    )
    tasks = forms.ChoiceField(
        choices=[(tasks, gettext_lazy(said)) for tasks, said in MARK_TASKS.items()],
        initial=EVERY,
        label=gettext_lazy("Asked of"),
    )
    criteria = _Lines(
        label=gettext_lazy("Only on the criteria"),
        help_text=gettext_lazy("One name a line. Empty: on every criterion."),
        rows=2,
    )
    required = forms.BooleanField(required=False, label=gettext_lazy("Required"))
    remove = forms.BooleanField(required=False, label=gettext_lazy("Take it out"))

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def is_a_mark(self) -> bool:
        said = self.cleaned_data
        return bool(said.get("label") or said.get("name")) and not said["remove"]


MarkFormSet = forms.formset_factory(MarkForm, extra=2, max_num=MAX_MARKS, validate_max=True)


def initial_marks(marks: Iterable[Mark]) -> list[dict[str, Any]]:
    return [
        {
            **vars(mark),
            "choices": "\n".join(mark.choices),
            "criteria": "\n".join(mark.criteria),
            "points": mark.points or None,
        }
        for mark in marks
    ]


class AskedForm(VersionedForm):
    confidence_points = forms.IntegerField(
        required=False,
        label=gettext_lazy("Points of “How sure are you?”"),
        help_text=gettext_lazy("2 to 10, asked where answers are compared; empty: it is not asked."),
    )
    rationale_for = forms.MultipleChoiceField(
        required=False,
        choices=list(RATIONALE_CASES.items()),
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("A reason is required where somebody says"),
        help_text=gettext_lazy("Of every judgment: “Ask for a reason” in the settings."),
    )
    guided_first = forms.BooleanField(
        required=False,
        label=format_lazy(
            gettext_lazy("Rank {least} and more answers by questions at first"), least=GUIDED_FROM
        ),
        help_text=gettext_lazy(
            "A question asks which of two is better. Annotators can choose another way at any time, and keep it."
        ),
    )
    flags = _Lines(label=gettext_lazy("What can be reported"), help_text=_ONE_A_LINE)
    both_bad = forms.BooleanField(
        required=False,
        label=gettext_lazy("Offer “None of the answers is good”"),
        help_text=gettext_lazy("Beside the order, not in its place; one key."),
    )
    both_bad_reasons = _Lines(
        label=gettext_lazy("Why none is good"),
        help_text=format_lazy("{} {}", gettext_lazy("May be empty."), _ONE_A_LINE),
        rows=3,
    )
    cannot_judge = _Lines(
        label=gettext_lazy("Why somebody cannot judge a task"),
        help_text=format_lazy(
            "{} {}",
            gettext_lazy("The task goes to somebody else, with the reason. Empty: it can only be skipped."),
            _ONE_A_LINE,
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["rationale_for"].widget.attrs["class"] = "form-check-input"


def initial_asked(asked: Asked, version: int) -> dict[str, Any]:
    lists = {
        name: "\n".join(f"{one.name}{_SEPARATOR}{one.label}" for one in getattr(asked, name))
        for name in _LISTS
    }
    return {
        "version": version,
        "confidence_points": asked.confidence_points or None,
        "rationale_for": list(asked.rationale_for),
        "both_bad": asked.both_bad,
        "guided_first": asked.guided_first,
        **lists,
    }


def _named(lines: Iterable[str], taken: Iterable[str] = ()) -> list[dict[str, str]]:
    named: list[dict[str, str]] = []
    for line in lines:
        name, separator, label = line.partition(_SEPARATOR)
        if separator:
            named.append({"name": name.strip(), "label": label.strip()})
        else:
            used = [*taken, *(one["name"] for one in named)]
            named.append({"name": name_from_label(line, used), "label": line})
    return named


def asked_of_forms(form: AskedForm, marks: Any, preset: str) -> tuple[dict[str, Any], list[MarkForm]]:
    """What the valid forms ask, for workspace.asked.parse_asked, and the form of each mark in its order."""
    said = form.cleaned_data
    rows = [row for row in marks.forms if row.is_a_mark()]
    names = [row.cleaned_data["name"] for row in rows if row.cleaned_data["name"]]
    of_marks = []
    for row in rows:
        values = row.cleaned_data
        name = values["name"] or name_from_label(values["label"], names)
        names.append(name)
        # A number that was left in its field when the kind was changed is not asked about.
        points = (values["points"] or 0) if values["kind"] == LIKERT else 0
        mark = {
            key: values[key]
            for key in ("label", "kind", "required", "tasks", "criteria", "low", "high", "choices")
        }
        of_marks.append(mark | {"name": name, "points": points})
    asked = {
        "preset": preset,
        "marks": of_marks,
        "confidence_points": said["confidence_points"] or 0,
        "rationale_for": said["rationale_for"],
        "both_bad": said["both_bad"],
        "guided_first": said["guided_first"],
        "flags": _named(said["flags"], [BOTH_BAD]),
        "both_bad_reasons": _named(said["both_bad_reasons"]),
        "cannot_judge": _named(said["cannot_judge"]),
    }
    return asked, rows


def add_faults(form: AskedForm, rows: list[MarkForm], faults: Mapping[str, str]) -> None:
    """Each sentence at the field it speaks of; others above the form."""
    for place, sentence in faults.items():
        part, *rest = place.split(".")
        if part == "marks" and rest and int(rest[0]) < len(rows):
            row = rows[int(rest[0])]
            field = rest[1] if len(rest) > 1 and rest[1] in row.fields else None
            row.add_error("label" if field == "name" else field, sentence)
        elif part in form.fields:
            line = f"Line {int(rest[0]) + 1}: " if rest else ""
            form.add_error(part, line + sentence)
        else:
            form.add_error(None, sentence)
