"""What a manager settles of the project and its question; forms parse, actions decide."""

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext, gettext_lazy

from workspace.forms import LEASE_HELP, StyledFormMixin, whole_number
from workspace.models import MAX_LEASE_MINUTES, MAX_OVERLAP, Project

MAX_GUIDELINE_CHARACTERS = 100_000
_QUESTION = "question_of_"


class VersionedForm(StyledFormMixin, forms.Form):
    """`version` is the one on which the person's change rests."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, *args: object, **kwargs: object) -> None:
        # Several of them are on one page: their fields need ids of their own.
        kwargs.setdefault("auto_id", f"{type(self).__name__.lower()}_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        """The action's arguments, but for the version."""
        return {name: value for name, value in self.cleaned_data.items() if name != "version"}


class CorrectionForm(VersionedForm):
    """The project itself. `adjust_batches` is for the view: batches that are there are no part of the project."""

    name = forms.CharField(
        max_length=120,
        help_text=gettext_lazy("Everybody on the project sees it at once. Its address stays as it is."),
        label=gettext_lazy("Name"),
    )
    description = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        help_text=gettext_lazy("Annotators read it on the project's first page."),
        label=gettext_lazy("Description"),
    )
    overlap = whole_number(
        1,
        MAX_OVERLAP,
        label=gettext_lazy("People per task"),
        help_text=gettext_lazy(
            "Of batches and rounds made from now on; those that are there keep theirs, unless you tick the next "
            "box. What is judged stays judged."
        ),
    )
    adjust_batches = forms.BooleanField(
        required=False,
        label=gettext_lazy("Also of batches that are not closed"),
        help_text=gettext_lazy(
            "More people: their tasks are handed out again. Fewer: tasks with enough judgments are done."
        ),
    )
    lease_minutes = whole_number(
        1,
        MAX_LEASE_MINUTES,
        label=gettext_lazy("Minutes a task stays reserved"),
        help_text=format_lazy(
            "{} {}", LEASE_HELP, gettext_lazy("Tasks that people have open keep the time they were given.")
        ),
    )


class QuestionForm(VersionedForm):
    """A field for the question of each criterion, then how it is put."""

    allow_ties = forms.BooleanField(
        required=False,
        label=gettext_lazy("Allow “tie”"),
        help_text=gettext_lazy("Annotators may say that answers are equally good."),
    )
    ask_rationale = forms.BooleanField(
        required=False,
        label=gettext_lazy("Ask for a reason"),
        help_text=gettext_lazy("Required: a judgment without a few words why is not taken."),
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        criteria = list(project.criteria.order_by("pk"))
        self._names = {f"{_QUESTION}{criterion.pk}": criterion.name for criterion in criteria}
        for criterion in criteria:
            self.fields[f"{_QUESTION}{criterion.pk}"] = forms.CharField(
                label=gettext("The question")
                if len(criteria) == 1
                else gettext("The question of %(name)s") % {"name": criterion.name},
                max_length=300,
                initial=criterion.question,
                # A page that does not ask for it leaves it as it is.
                required=False,
                widget=forms.TextInput(attrs={"dir": "auto"}),
            )
        self.order_fields([*self._names, "allow_ties", "ask_rationale"])
        self.add_bootstrap_classes()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for field in self._names:
            if field in self.data and not cleaned.get(field):
                self.add_error(field, gettext("Annotators need a question."))
        return cleaned

    def values(self) -> dict[str, Any]:
        questions = {
            name: self.cleaned_data[field] for field, name in self._names.items() if self.cleaned_data[field]
        }
        kept = {name: self.cleaned_data[name] for name in ("allow_ties", "ask_rationale")}
        return kept | {"questions": questions}


class CriterionForm(StyledFormMixin, forms.Form):
    name = forms.CharField(
        max_length=40,
        help_text=gettext_lazy("One or two words, such as harmless. It stays as it is."),
        label=gettext_lazy("Name"),
    )
    question = forms.CharField(
        max_length=300, label=gettext_lazy("Its question"), widget=forms.TextInput(attrs={"dir": "auto"})
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        kwargs.setdefault("auto_id", "criterion_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class GuidelineForm(VersionedForm):
    text = forms.CharField(
        required=False,
        strip=False,
        max_length=MAX_GUIDELINE_CHARACTERS,
        label=gettext_lazy("Text"),
        widget=forms.Textarea(attrs={"rows": 16, "dir": "auto"}),
        help_text=gettext_lazy(
            "Markdown. Annotators open it by the button Guideline; a new version is announced to them."
        ),
    )

    must_acknowledge = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Everybody confirms it before their next task"),
        help_text=gettext_lazy(
            "They see what changed and press one button. Leave it out for a slip of the pen."
        ),
    )

    def clean_text(self) -> str:
        # Browsers send line ends as CR LF.
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")
