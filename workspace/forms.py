"""Forms parse; actions decide."""

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm

from workspace.models import MAX_OVERLAP, Membership, Project
from workspace.splits import format_test_per_tag, parse_test_per_tag
from workspace.time_zones import known_time_zones


class StyledFormMixin:
    """Bootstrap's classes and error links for assistive technology, in one place."""

    fields: dict[str, forms.Field]

    def add_bootstrap_classes(self) -> None:
        for field in self.fields.values():
            widget = field.widget
            if isinstance(widget, forms.CheckboxInput):
                widget.attrs["class"] = "form-check-input"
            elif isinstance(widget, forms.Select):
                widget.attrs["class"] = "form-select"
            else:
                widget.attrs["class"] = "form-control"


class LoginForm(StyledFormMixin, AuthenticationForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class PasswordForm(StyledFormMixin, PasswordChangeForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class ProjectForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120)
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    criterion_name = forms.SlugField(
        label="Criterion", initial="helpful", help_text="One word: helpful, harmless, ..."
    )
    question = forms.CharField(
        max_length=300, initial="Which answer is more helpful?", help_text="As the annotator reads it."
    )
    guideline = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="Markdown; shown beside every task.",
    )
    overlap = forms.IntegerField(
        min_value=1,
        max_value=MAX_OVERLAP,
        initial=1,
        label="People per task",
        help_text="How many people judge each task.",
    )
    lease_minutes = forms.IntegerField(
        min_value=1, max_value=1440, initial=30, label="Minutes a task stays reserved for who opened it"
    )
    allow_ties = forms.BooleanField(required=False, initial=True, label="Annotators may call a tie")
    ask_rationale = forms.BooleanField(required=False, label="Ask for a reason")

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class TimeZoneForm(StyledFormMixin, forms.Form):
    time_zone = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in known_time_zones()],
        help_text="Pages show times in it, and schedules of rounds read theirs in it.",
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class SplitsForm(StyledFormMixin, forms.Form):
    """Shares in percent, as people say them; the action has fractions."""

    train_share = forms.DecimalField(
        label="Train, %",
        min_value=0,
        max_value=100,
        decimal_places=3,
        help_text="Share of prompts to train on.",
    )
    validation_share = forms.DecimalField(
        label="Validation, %", min_value=0, max_value=100, decimal_places=3, help_text="The rest is test."
    )
    test_per_tag = forms.CharField(
        required=False,
        label="Held out for each tag",
        help_text="Instead of a share for test: a number of prompts of each tag, for example 700, or helpful=700, "
        "harmless=300.",
    )

    def __init__(self, *args: object, project: Project | None = None, **kwargs: object) -> None:
        if project is not None:
            kwargs["initial"] = {
                "train_share": f"{project.train_share:.3%}".rstrip("%").rstrip("0").rstrip("."),
                "validation_share": f"{project.validation_share:.3%}".rstrip("%").rstrip("0").rstrip("."),
                "test_per_tag": format_test_per_tag(project.test_per_tag),
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
        }


class InviteForm(StyledFormMixin, forms.Form):
    role = forms.ChoiceField(choices=Membership.Role.choices)
    note = forms.CharField(
        max_length=120, required=False, label="For whom", help_text="Only managers see this."
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class AcceptForm(StyledFormMixin, forms.Form):
    username = forms.CharField(
        max_length=150, label="User name", widget=forms.TextInput(attrs={"autocomplete": "username"})
    )
    password = forms.CharField(
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least ten characters.",
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()
