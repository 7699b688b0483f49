"""Forms parse; actions decide."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.utils.functional import lazy
from django.utils.translation import gettext, gettext_lazy
from django.utils.translation import gettext_lazy as _

from workspace.errors import ActionError
from workspace.members import MAX_INVITATIONS
from workspace.models import MAX_LEASE_MINUTES, MAX_OVERLAP, Membership, Project
from workspace.project_settings import SPLITS, TIME_ZONE
from workspace.question_presets import DEFAULT_CRITERION, DEFAULT_QUESTION, PRESET_CHOICES
from workspace.shown_values import shown_of
from workspace.splits import format_test_per_tag, parse_test_per_tag
from workspace.time_zones import known_time_zones

# In place of Django's "Ensure this value is greater than or equal to 1."
_PLAIN_MESSAGES: dict[str, Any] = {
    "min_value": _("Must be at least %(limit_value)s."),
    "max_value": _("Must be at most %(limit_value)s."),
}


def add_errors(form: Any, error: ActionError) -> None:
    """An action's refusal: each sentence where its field is, else above all of them."""
    known = {name: said for name, said in error.fields.items() if name in form.fields}
    for name, said in known.items():
        form.add_error(name, said)
    if not known:
        form.add_error(None, error.message)


def offer_rows(form: Any, **rows: Any) -> None:
    """What each of these fields, ModelChoiceFields all, may choose from: a QuerySet by the field's name."""
    for name, queryset in rows.items():
        field = form.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = queryset


class StyledFormMixin:
    """Bootstrap's classes, plain words of errors and links to them for assistive technology, in one place."""

    fields: dict[str, forms.Field]

    def add_bootstrap_classes(self) -> None:
        for field in self.fields.values():
            field.error_messages = _PLAIN_MESSAGES | field.error_messages
            widget = field.widget
            if isinstance(widget, forms.CheckboxInput):
                widget.attrs["class"] = "form-check-input"
            elif isinstance(widget, forms.Select):
                widget.attrs["class"] = "form-select"
            else:
                widget.attrs["class"] = "form-control"


class ShownValuesForm(StyledFormMixin, forms.Form):
    """A form of values that are there: it carries which it showed (workspace/shown_values.py). One that does not say so
    has shown none of now.
    """

    shown = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def values(self) -> dict[str, Any]:
        """The action's arguments, but for `shown`."""
        return {name: value for name, value in self.cleaned_data.items() if name != "shown"}


class LoginForm(StyledFormMixin, AuthenticationForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class PasswordForm(StyledFormMixin, PasswordChangeForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


OVERLAP_HELP = gettext_lazy(
    "How many people judge each task, unless a batch says otherwise. With two or more, agreement is known."
)
LEASE_HELP = gettext_lazy(
    "For the annotator who opened it; then somebody else may get it. What was begun is kept either way."
)


def whole_number(least: int, most: int, **described: Any) -> forms.IntegerField:
    def bounds() -> str:
        return gettext("Give a whole number from %(least)s to %(most)s.") % {"least": least, "most": most}

    messages = dict.fromkeys(("invalid", "min_value", "max_value"), lazy(bounds, str)())
    return forms.IntegerField(min_value=least, max_value=most, error_messages=messages, **described)


class ProjectForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120, label=gettext_lazy("Name"))
    description = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 2}), label=gettext_lazy("Description")
    )
    criterion_name = forms.CharField(
        label=gettext_lazy("What is judged"),
        max_length=40,
        initial=DEFAULT_CRITERION,
        help_text=gettext_lazy(
            "The criterion: one or two words for the quality that people compare answers by, such as helpful or "
            "harmless. Batches, datasets and reward models carry it; more criteria can be added later."
        ),
    )
    question = forms.CharField(
        max_length=300,
        initial=DEFAULT_QUESTION,
        label=gettext_lazy("The question"),
        help_text=gettext_lazy("As annotators read it above every task. It can be corrected later."),
    )
    preset = forms.ChoiceField(
        required=False,
        choices=PRESET_CHOICES,
        label=gettext_lazy("What is asked beside the order"),
        help_text=gettext_lazy(
            "A preset sets marks of each answer, flags, confidence and ties as a published project had them, and "
            "its criteria. All of it can be changed in the settings."
        ),
    )
    guideline = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6, "dir": "auto"}),
        help_text=gettext_lazy(
            "How to decide, with examples; Markdown. Annotators open it with the button Guideline. It can be "
            "written later, too."
        ),
        label=gettext_lazy("Guideline"),
    )
    overlap = whole_number(
        1, MAX_OVERLAP, initial=1, label=gettext_lazy("People per task"), help_text=OVERLAP_HELP
    )
    lease_minutes = whole_number(
        1,
        MAX_LEASE_MINUTES,
        initial=30,
        label=gettext_lazy("Minutes a task stays reserved"),
        help_text=LEASE_HELP,
    )
    allow_ties = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Allow “tie”"),
        help_text=gettext_lazy(
            "Annotators may say that answers are equally good. A preset decides this by itself."
        ),
    )
    ask_rationale = forms.BooleanField(
        required=False,
        label=gettext_lazy("Ask for a reason"),
        help_text=gettext_lazy("Required then: a judgment without a few words why is not taken."),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        # What nobody has changed is not in the way of the preset's own criteria.
        untouched = (DEFAULT_CRITERION, DEFAULT_QUESTION)
        if cleaned.get("preset") and (cleaned.get("criterion_name"), cleaned.get("question")) == untouched:
            cleaned |= {"criterion_name": None, "question": None}
        return cleaned


class TimeZoneForm(ShownValuesForm):
    # The action says of an unknown one which may have been meant.
    time_zone = forms.CharField(
        widget=forms.Select(choices=[(name, name.replace("_", " ")) for name in known_time_zones()]),
        help_text=gettext_lazy("Pages show times in it, and schedules of rounds read theirs in it."),
        label=gettext_lazy("Time zone"),
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        kwargs["initial"] = {"time_zone": project.time_zone, "shown": shown_of(project, TIME_ZONE)}
        kwargs.setdefault("auto_id", "times_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class SplitsForm(ShownValuesForm):
    """Shares in percent, as people say them; the action has fractions."""

    train_share = forms.DecimalField(
        label=gettext_lazy("Train, %"),
        min_value=0,
        max_value=100,
        decimal_places=3,
        help_text=gettext_lazy("Share of prompts to train on."),
    )
    validation_share = forms.DecimalField(
        label=gettext_lazy("Validation, %"),
        min_value=0,
        max_value=100,
        decimal_places=3,
        help_text=gettext_lazy("The rest is test."),
    )
    test_per_tag = forms.CharField(
        required=False,
        label=gettext_lazy("Held out for each tag"),
        help_text=gettext_lazy(
            "Instead of a share for test: a number of prompts of each tag, for example 700, or helpful=700, "
            "harmless=300."
        ),
    )
    near_duplicates_together = forms.BooleanField(
        required=False,
        label=gettext_lazy("Near-duplicates together"),
        help_text=gettext_lazy(
            "Prompts that are almost the same share a side. Leave it off where prompts are made from a template: "
            "they would all be one group."
        ),
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        kwargs["initial"] = {
            "train_share": f"{project.train_share:.3%}".rstrip("%").rstrip("0").rstrip("."),
            "validation_share": f"{project.validation_share:.3%}".rstrip("%").rstrip("0").rstrip("."),
            "test_per_tag": format_test_per_tag(project.test_per_tag),
            "near_duplicates_together": project.near_duplicates_together,
            "shown": shown_of(project, SPLITS),
        }
        kwargs.setdefault("auto_id", "splits_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        """The action's arguments. Raises ActionError."""
        return {
            "train_share": float(self.cleaned_data["train_share"] / 100),
            "validation_share": float(self.cleaned_data["validation_share"] / 100),
            "test_per_tag": parse_test_per_tag(self.cleaned_data["test_per_tag"]),
            "near_duplicates_together": self.cleaned_data["near_duplicates_together"],
        }


class InviteForm(StyledFormMixin, forms.Form):
    role = forms.ChoiceField(
        choices=Membership.Role.choices,
        help_text=gettext_lazy(
            "Annotators judge, and see their own work only. Reviewers also read batches, judgments, rounds "
            "and runs. Managers change the project and invite people."
        ),
        label=gettext_lazy("Role"),
    )
    note = forms.CharField(
        required=False,
        strip=False,
        label=gettext_lazy("For whom"),
        widget=forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
        help_text=gettext_lazy(
            "A name or note a line: one link for each person. Only managers see it; it may be left empty."
        ),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def clean_note(self) -> list[str]:
        """A note for each person; one without words for a link for nobody in particular."""
        notes = [line.strip() for line in self.cleaned_data["note"].splitlines() if line.strip()]
        if too_long := [note for note in notes if len(note) > 120]:
            raise forms.ValidationError(
                gettext("At most 120 characters a line: “%(too_long)s…” has more.")
                % {"too_long": too_long[0][:40]}
            )
        if len(notes) > MAX_INVITATIONS:
            raise forms.ValidationError(
                gettext("At most %(max_invitations)s people at once: these are %(notes)s.")
                % {"max_invitations": MAX_INVITATIONS, "notes": len(notes)}
            )
        return notes or [""]


class AcceptForm(StyledFormMixin, forms.Form):
    username = forms.CharField(
        max_length=150, label=_("User name"), widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        label=_("Password"),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("At least ten characters."),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()
