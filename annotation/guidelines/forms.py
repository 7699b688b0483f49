"""What a manager settles of the question; forms parse, actions decide."""

from django import forms

from workspace.forms import StyledFormMixin

MAX_GUIDELINE_CHARACTERS = 100_000


class VersionedForm(StyledFormMixin, forms.Form):
    """`version` is the one on which the person's change rests."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def __init__(self, *args: object, **kwargs: object) -> None:
        # Two of them are on one page: their fields need ids of their own.
        kwargs.setdefault("auto_id", f"{type(self).__name__.lower()}_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


class QuestionForm(VersionedForm):
    allow_ties = forms.BooleanField(required=False, label="Annotators may call a tie")
    ask_rationale = forms.BooleanField(
        required=False,
        label="Ask for a reason",
        help_text="Required: a judgment without a few words why is not taken.",
    )


class GuidelineForm(VersionedForm):
    text = forms.CharField(
        required=False,
        strip=False,
        max_length=MAX_GUIDELINE_CHARACTERS,
        label="Text",
        widget=forms.Textarea(attrs={"rows": 16, "dir": "auto"}),
        help_text="Markdown. Annotators open it by the button Guideline; a new version is announced to them.",
    )

    def clean_text(self) -> str:
        # Browsers send line ends as CR LF.
        return str(self.cleaned_data["text"]).replace("\r\n", "\n")
