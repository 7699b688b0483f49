"""Forms parse; actions decide."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm

from workspace.models import MAX_OVERLAP, Membership
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
