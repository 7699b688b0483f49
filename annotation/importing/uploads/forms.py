"""How an uploaded file is to be read, as a form: the options of the import commands. It parses, the actions decide."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.utils.functional import lazy
from django.utils.translation import gettext, gettext_lazy

from annotation.assigning.forms import AUDIENCE_FIELDS, AudienceFields, chosen_audience
from annotation.importing.readers.messages import MESSAGE_FIELDS
from annotation.importing.readers.registry import DIALOGUE_READERS
from annotation.importing.readers.row_extras import EXTRA_FIELDS
from annotation.importing.uploads.preview import Column, first_criterion
from annotation.importing.uploads.settings import READERS, ImportSettings
from annotation.models import Batch, Import, PromptSet
from learning.interface.vocabulary import SPLITS
from workspace.forms import StyledFormMixin
from workspace.models import MAX_OVERLAP, Project

AS_THE_FORMAT_SAYS = ("", gettext_lazy("by its name"))
TXT_ROWS = [
    ("document", gettext_lazy("the whole file")),
    ("paragraph", gettext_lazy("a paragraph")),
    ("line", gettext_lazy("a line")),
]
COLUMN_PREFIX = "column-"


def kinds_and_formats() -> list[tuple[str, list[tuple[str, str]]]]:
    """Grouped choices: “comparisons/trl” and what the rows of such a file are."""
    return [
        (
            str(Import.Kind(kind).label),
            [
                (f"{kind}/{name}", f"{Import.Kind(kind).label}, {name}: {gettext(reader.description)}")
                for name, reader in readers.items()
            ],
        )
        for kind, readers in READERS.items()
    ]


class WhatForm(StyledFormMixin, forms.Form):
    """Kind and format; the other fields depend on them."""

    what = forms.ChoiceField(label=gettext_lazy("What the file is"), choices=kinds_and_formats)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_bootstrap_classes()

    def settings(self, before: ImportSettings) -> ImportSettings:
        """Those of before where kind and format stay; else what any file of this kind begins with."""
        kind, name = self.cleaned_data["what"].split("/", 1)
        if (kind, name) == (before.kind, before.format):
            return before
        return ImportSettings(kind=kind, format=name)


class HubDatasetForm(StyledFormMixin, forms.Form):
    """A dataset of the hub that an operator lets managers import."""

    dataset = forms.CharField(
        max_length=200, label=gettext_lazy("Dataset"), widget=forms.TextInput(attrs={"dir": "ltr"})
    )
    config = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("Configuration"),
        help_text=gettext_lazy("Where it has several."),
    )
    splits = forms.CharField(
        required=False,
        max_length=2_000,
        help_text=gettext_lazy("With commas between, for example train, test. Empty: all."),
        label=gettext_lazy("Splits"),
    )
    revision = forms.CharField(
        required=False,
        max_length=200,
        help_text=gettext_lazy("A branch, tag or commit. Empty: the newest."),
        label=gettext_lazy("Revision"),
    )
    token = forms.CharField(
        required=False, max_length=500, label=gettext_lazy("Your token of the hub"), strip=True,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("Only for a dataset that is not public. It is used once and not kept."),
    )  # fmt: skip
    kind = forms.CharField(required=False, max_length=20, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "hub_%s")
        super().__init__(*args, **kwargs)
        allowed = ", ".join(settings.HUB_DATASETS)
        self.fields["dataset"].help_text = gettext("Written owner/name. Allowed here: %(allowed)s.") % {
            "allowed": allowed
        }
        self.add_bootstrap_classes()

    def values(self) -> dict[str, Any]:
        values = self.cleaned_data
        splits = [split.strip() for split in values["splits"].split(",") if split.strip()]
        kind = values["kind"] if values["kind"] in READERS else ""
        return values | {"splits": splits, "kind": kind}


def _lines(help_text: Any, label: Any, rows: int = 2) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows})
    return forms.CharField(required=False, label=label, help_text=help_text, widget=widget, max_length=10_000)


def _further_columns() -> str:
    said = gettext(
        "FIELD=COLUMN a line, for columns inside others (prompt=meta.question) and for names inside messages "
        "(%(names)s)."
    )
    return said % {"names": ", ".join(MESSAGE_FIELDS)}


class OptionsForm(StyledFormMixin, AudienceFields):
    """The options of one kind of import, and a choice for each column of the file."""

    skip_bad = forms.BooleanField(required=False, label=gettext_lazy("Leave bad rows out"))
    again = forms.BooleanField(
        required=False,
        label=gettext_lazy("Import rows again"),
        help_text=gettext_lazy(
            "Rows that the project has already come in once more; else they are left out and counted."
        ),
    )
    criterion = forms.ChoiceField(label=gettext_lazy("Criterion"))
    batch_name = forms.CharField(
        required=False,
        max_length=110,
        label=gettext_lazy("Name of the batch"),
        help_text=gettext_lazy("Empty: the file's name."),
    )
    batch_kind = forms.ChoiceField(
        choices=[
            ("", gettext_lazy("By the rows: pairs or rankings")),
            (Batch.Kind.PAIRWISE, gettext_lazy("Pairs only")),
            (Batch.Kind.RANKING, gettext_lazy("Rankings")),
            (Batch.Kind.RATING, gettext_lazy("Ratings of one answer each")),
        ],
        required=False,
        label=gettext_lazy("How they are compared"),
    )
    overlap = forms.IntegerField(min_value=1, max_value=MAX_OVERLAP, label=gettext_lazy("People per task"))
    priority = forms.IntegerField(
        min_value=-1000,
        max_value=1000,
        help_text=gettext_lazy("Batches with a higher one are handed out first."),
        label=gettext_lazy("Priority"),
    )
    open_at_once = forms.BooleanField(
        required=False, label=gettext_lazy("Open it at once: annotators get its tasks")
    )
    prompt_set = forms.CharField(required=False, max_length=120, label=gettext_lazy("Prompt set"))
    purpose = forms.ChoiceField(
        choices=PromptSet.Purpose.choices, label=gettext_lazy("What the prompt set is for")
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31,
        label=gettext_lazy("Seed"),
        help_text=gettext_lazy("Of the turns that are drawn."),
    )
    licence = forms.CharField(
        required=False,
        max_length=200,
        help_text=gettext_lazy("Of texts whose rows name none."),
        label=gettext_lazy("Licence"),
    )
    split = forms.ChoiceField(
        required=False,
        choices=[("", gettext_lazy("by the project's rule")), *((split, split) for split in SPLITS)],
        label=gettext_lazy("Split of rows that name none"),
    )
    txt_rows = forms.ChoiceField(choices=TXT_ROWS, label=gettext_lazy("In a .txt file a text is"))
    project_splits = forms.BooleanField(
        required=False,
        label=gettext_lazy("Use the project's splits"),
        help_text=gettext_lazy("Whatever split the file names."),
    )
    split_names = _lines(
        gettext_lazy("NAME=SPLIT a line, as eval=test. Usual short forms are known."),
        gettext_lazy("Names of splits"),
    )
    named_strengths = _lines(
        gettext_lazy(
            "NAME=STRENGTH a line: what a preference of the file means. a:0 to a:3 (the first response is better, by "
            "so much), b:0 to b:3, a or b (nobody said by how much), tie. Names like a-is-slightly-better are known."
        ),
        gettext_lazy("Names of preferences"),
    )
    margins = forms.CharField(
        required=False,
        max_length=60,
        label=gettext_lazy("Rule for margins"),
        help_text=gettext_lazy(
            "The strength of a row that has a margin and no strength: small (1, 2/3, 1/3, 0), large (3, 2, 1, "
            "0), or three numbers, the least margins of slightly better, better and "
            "significantly better. Empty: margins "
            "are not used."
        ),
    )
    further_columns = _lines(
        lazy(_further_columns, str)(),
        gettext_lazy("Further columns"),
    )

    def __init__(
        self,
        *args: Any,
        project: Project,
        settings: ImportSettings,
        columns: Sequence[Column] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("initial", _initial(settings, [column.name for column in columns], project))
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._columns = [column.name for column in columns]
        criterion = self.fields["criterion"]
        assert isinstance(criterion, forms.ChoiceField)
        criterion.choices = [(one.name, one.name) for one in project.criteria.order_by("pk")]
        for name in set(self.fields) - _fields_of(settings):
            del self.fields[name]
        fields = dict.fromkeys([*settings.reader.fields, *EXTRA_FIELDS])
        choices = [AS_THE_FORMAT_SAYS, *((one, one) for one in fields)]
        for place, column in enumerate(columns):
            self.fields[f"{COLUMN_PREFIX}{place}"] = forms.ChoiceField(
                choices=choices, required=False, label=gettext("%(name)s is read as") % {"name": column.name}
            )
        self.add_bootstrap_classes()
        if settings.kind == Import.Kind.TASKS:
            self.offer(project, settings.audience or {})

    def option_fields(self) -> list[forms.BoundField]:
        return [
            self[name]
            for name in self.fields
            if not name.startswith(COLUMN_PREFIX) and name not in AUDIENCE_FIELDS
        ]

    def audience_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in AUDIENCE_FIELDS if name in self.fields]

    def column_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name.startswith(COLUMN_PREFIX)]

    def clean_split_names(self) -> dict[str, str]:
        return _pairs(self.cleaned_data["split_names"], "NAME=SPLIT")

    def clean_named_strengths(self) -> dict[str, str]:
        return _pairs(self.cleaned_data["named_strengths"], "NAME=STRENGTH")

    def clean_further_columns(self) -> list[tuple[str, str]]:
        found = []
        for line in _nonempty(self.cleaned_data["further_columns"]):
            one, equals, column = line.partition("=")
            if not (equals and one.strip() and column.strip()):
                raise forms.ValidationError(gettext("“%(line)s”: write FIELD=COLUMN.") % {"line": line})
            found.append((one.strip(), column.strip()))
        return found

    def settings(self) -> ImportSettings:
        values = self.cleaned_data
        mapping: dict[str, list[str]] = {}
        for place, column in enumerate(self._columns):
            if one := values.get(f"{COLUMN_PREFIX}{place}"):
                mapping.setdefault(one, []).append(column)
        for one, column in values["further_columns"]:
            mapping.setdefault(one, []).append(column)
        given = {name: values[name] for name in _fields_of(self._settings) & _PLAIN}
        for name in ("criterion", "batch_name", "batch_kind", "margins", "prompt_set", "split"):
            if name in given:
                given[name] = given[name].strip() or None
        if self._settings.kind == Import.Kind.TASKS:
            given["audience"] = chosen_audience(values)
        return ImportSettings(
            kind=self._settings.kind, format=self._settings.format, mapping=mapping, **given
        )


_PLAIN = {
    "skip_bad", "again", "criterion", "batch_name", "batch_kind", "overlap", "priority", "open_at_once", "prompt_set",
    "purpose", "seed", "licence", "split", "txt_rows", "project_splits", "split_names", "named_strengths", "margins",
}  # fmt: skip


def _fields_of(settings: ImportSettings) -> set[str]:
    """The options of the command of this kind."""
    every = {"skip_bad", "further_columns"}
    splits = {"split_names", "project_splits"}
    if settings.kind == Import.Kind.COMPARISONS:
        return every | splits | {"again", "criterion", "batch_name", "named_strengths", "margins"}
    if settings.kind == Import.Kind.TASKS:
        tasks = {"again", "criterion", "batch_name", "batch_kind", "overlap", "priority", "open_at_once"}
        return every | splits | tasks | set(AUDIENCE_FIELDS)
    if settings.kind == Import.Kind.TEXTS:
        return every | {"licence", "split", "txt_rows"}
    if settings.kind == Import.Kind.DEMONSTRATIONS:
        return every | splits | {"again", "prompt_set"}
    if settings.format in DIALOGUE_READERS:
        return every | splits | {"prompt_set", "purpose", "seed"}
    return every | splits | {"again", "prompt_set", "purpose"}


def _initial(settings: ImportSettings, columns: Sequence[str], project: Project) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(settings, name) for name in _PLAIN}
    values |= settings.audience or {}
    values["overlap"] = settings.overlap or project.overlap
    values["criterion"] = settings.criterion or first_criterion(project)
    for name in ("split_names", "named_strengths"):
        values[name] = "\n".join(f"{key}={value}" for key, value in values[name].items())
    further = []
    for one, named in settings.mapping.items():
        for column in named:
            if column in columns:
                values[f"{COLUMN_PREFIX}{columns.index(column)}"] = one
            else:
                further.append(f"{one}={column}")
    values["further_columns"] = "\n".join(further)
    return values


def _nonempty(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _pairs(text: str, form: str) -> dict[str, str]:
    found: Mapping[str, str] = {}
    for line in _nonempty(text):
        name, equals, value = line.rpartition("=")
        if not (equals and name.strip() and value.strip()):
            raise forms.ValidationError(gettext("“%(line)s”: write %(form)s.") % {"line": line, "form": form})
        found = {**found, name.strip(): value.strip()}
    return dict(found)
