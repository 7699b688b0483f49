"""What a manager uploads to have it judged; the form parses, the action decides."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile

from annotation.models import Batch
from workspace.forms import StyledFormMixin
from workspace.models import MAX_OVERLAP, Criterion, Project

MAX_UPLOAD_BYTES = 20 * 1024**2


class UploadTasksForm(StyledFormMixin, forms.Form):
    """`fields` of the reader -> columns, as --map gives them."""

    file = forms.FileField(
        label="File",
        help_text="JSON Lines, a JSON array, CSV or Parquet, up to 20 MB: a prompt and 2 to 9 answers a row.",
        widget=forms.ClearableFileInput(attrs={"accept": ".jsonl,.json,.csv,.tsv,.parquet,.gz"}),
    )
    prompt_column = forms.CharField(
        required=False,
        label="Column of the prompt",
        max_length=200,
        widget=forms.TextInput(attrs={"placeholder": "prompt"}),
        help_text="Text or messages.",
    )
    answer_columns = forms.CharField(
        required=False,
        label="Columns of the answers",
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "responses"}),
        help_text="One a line, for example a column for each model; or one column with a list of answers.",
    )
    source_columns = forms.CharField(
        required=False,
        label="Columns that name who wrote them",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="One a line, in the same order; empty: the names of the answers' columns. Annotators never see it.",
    )
    criterion = forms.ModelChoiceField(Criterion.objects.none())
    batch_name = forms.CharField(
        required=False, max_length=110, label="Name of the batch", help_text="Empty: the file's name."
    )
    kind = forms.ChoiceField(
        choices=[
            ("", "By the rows: pairs or rankings"),
            (Batch.Kind.PAIRWISE, "Pairs only"),
            (Batch.Kind.RANKING, "Rankings"),
        ],
        required=False,
        label="How they are compared",
    )
    overlap = forms.IntegerField(min_value=1, max_value=MAX_OVERLAP, label="People per task")
    skip_bad = forms.BooleanField(required=False, label="Leave bad rows out")
    again = forms.BooleanField(required=False, label="Bring in tasks that a batch has already, too")
    open_at_once = forms.BooleanField(required=False, label="Open it at once: annotators get its tasks")

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        criterion = self.fields["criterion"]
        assert isinstance(criterion, forms.ModelChoiceField)
        criterion.queryset = project.criteria.all()
        criterion.empty_label = None
        self.fields["overlap"].initial = project.overlap
        self.add_bootstrap_classes()

    def clean_file(self) -> UploadedFile:
        file: UploadedFile = self.cleaned_data["file"]
        if (file.size or 0) > MAX_UPLOAD_BYTES:
            raise forms.ValidationError(
                "The file has more than 20 MB: bring it in on the server, with manage.py import_tasks."
            )
        return file

    def mapping(self) -> dict[str, list[str]]:
        columns = {
            "prompt": [self.cleaned_data["prompt_column"].strip()],
            "responses": self.cleaned_data["answer_columns"].splitlines(),
            "sources": self.cleaned_data["source_columns"].splitlines(),
        }
        named = {field: [name.strip() for name in names if name.strip()] for field, names in columns.items()}
        return {field: names for field, names in named.items() if names}
