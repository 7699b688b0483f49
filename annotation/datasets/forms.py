"""Which judgments a new dataset is made of, and what it is called; the form parses, the action decides."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_lazy

from annotation.datasets.conditions import Conditions
from annotation.datasets.descriptions import (
    DESCRIBED,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_NAME_CHARACTERS,
)
from annotation.datasets.quality_labels import newest_complete
from annotation.datasets.selection import DEFAULT_ANNOTATOR_KINDS
from annotation.models import COUNTED_PURPOSES, Batch, PreferenceDataset, Prompt, QualityReport, Task
from workspace.cards import HUB_LICENCES, MAX_LICENCE_CHARACTERS
from workspace.errors import ActionError
from workspace.forms import ShownValuesForm, StyledFormMixin, offer_rows
from workspace.models import Criterion, Project, User
from workspace.shown_values import shown_of, values_of

LISTED_BATCHES = 1_000


class BatchesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, batch: Any) -> str:
        round_name = (
            gettext(", round %(round_number)s") % {"round_number": batch.round_number}
            if batch.round_number
            else ""
        )
        return f"{batch.name}{round_name}"


class ReportField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return gettext("Report %(pk)s of %(created_at)s, %(judgments)s judgments") % {
            "pk": obj.pk,
            "created_at": f"{localtime(obj.created_at):%-d %b %Y %H:%M}",
            "judgments": f"{obj.judgments:,}",
        }


class SelectionForm(StyledFormMixin, forms.Form):
    """Nothing chosen means all; but kinds of annotators and purposes are those that are ticked."""

    criteria = forms.ModelMultipleChoiceField(
        Criterion.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Criteria"),
    )
    batches = BatchesField(
        Batch.objects.none(),
        required=False,
        label=gettext_lazy("Batches"),
        help_text=gettext_lazy("None chosen: all that are not excluded."),
    )
    rounds = forms.TypedMultipleChoiceField(
        required=False, coerce=int, label=gettext_lazy("Rounds"), widget=forms.CheckboxSelectMultiple
    )
    annotator_kinds = forms.MultipleChoiceField(
        choices=User.Kind.choices, widget=forms.CheckboxSelectMultiple, label=gettext_lazy("Judged by")
    )
    purposes = forms.MultipleChoiceField(
        choices=Task.Purpose.choices, widget=forms.CheckboxSelectMultiple, label=gettext_lazy("Tasks")
    )
    decisions = forms.BooleanField(
        required=False,
        label=gettext_lazy("Reviewers' decisions in place of judgments"),
        help_text=gettext_lazy(
            "Of tasks that a reviewer has decided. Not ticked: what the annotators said of them."
        ),
    )
    splits = forms.MultipleChoiceField(
        choices=Prompt.Split.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Splits"),
    )
    min_agreement = forms.DecimalField(
        required=False,
        min_value=0,
        max_value=100,
        decimal_places=1,
        label=gettext_lazy("Agreement of at least, %"),
        help_text=gettext_lazy(
            "Of pairs of annotators on a task; tasks that one person judged are then left out."
        ),
    )
    min_characters = forms.IntegerField(
        required=False,
        min_value=0,
        label=gettext_lazy("Answers of at least"),
        help_text=gettext_lazy("Characters, every answer of a task."),
    )
    max_characters = forms.IntegerField(required=False, min_value=0, label=gettext_lazy("Answers of at most"))
    since = forms.DateField(
        required=False, label=gettext_lazy("Last judged from"), widget=forms.DateInput({"type": "date"})
    )
    until = forms.DateField(
        required=False,
        label=gettext_lazy("Judged up to"),
        widget=forms.DateInput({"type": "date"}),
        help_text=gettext_lazy("The end of this day, as the judgments stood then."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.project = project
        batches = Batch.objects.for_datasets(project).order_by("-pk")
        offer_rows(self, criteria=project.criteria.order_by("name"), batches=batches)
        numbers = batches.order_by("round_number").values_list("round_number", flat=True).distinct()
        rounds = self.fields["rounds"]
        assert isinstance(rounds, forms.TypedMultipleChoiceField)
        rounds.choices = [
            (number, gettext("Round %(number)s") % {"number": number})
            for number in numbers
            if number is not None
        ]
        self.fields["annotator_kinds"].initial = list(DEFAULT_ANNOTATOR_KINDS)
        self.fields["purposes"].initial = list(COUNTED_PURPOSES)
        self.add_bootstrap_classes()
        for field in self.fields.values():
            if isinstance(field.widget, forms.CheckboxSelectMultiple):
                field.widget.attrs["class"] = "form-check-input"

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.errors:
            try:
                values["conditions"] = self._conditions(values)
                if values["decisions"] and User.Kind.PERSON not in values["annotator_kinds"]:
                    self.add_error(
                        "decisions", gettext("Decisions are people's: tick people under “Judged by”, too.")
                    )
            except ActionError as error:
                raise forms.ValidationError(error.message) from error
        return values

    def _conditions(self, values: Mapping[str, Any]) -> Conditions:
        agreement, since, until = values["min_agreement"], values["since"], values["until"]
        zone = ZoneInfo(self.project.time_zone)
        return Conditions(
            min_agreement=None if agreement is None else float(agreement / 100),
            min_characters=values["min_characters"],
            max_characters=values["max_characters"],
            since=None if since is None else datetime.combine(since, time(), zone),
            until=None if until is None else datetime.combine(until + timedelta(days=1), time(), zone),
        )

    def selection(self) -> dict[str, Any]:
        """The arguments of freeze_dataset and of Selection."""
        values = self.cleaned_data
        batches = list(values["batches"])
        return {
            "criteria": tuple(values["criteria"]),
            "batches": batches or None,
            "rounds": values["rounds"],
            "annotator_kinds": values["annotator_kinds"],
            "purposes": values["purposes"],
            "splits": values["splits"],
            "conditions": values["conditions"],
            "decisions": values["decisions"],
        }


class DescriptionForm(StyledFormMixin, forms.Form):
    licence = forms.CharField(
        required=False,
        max_length=MAX_LICENCE_CHARACTERS,
        label=gettext_lazy("Licence"),
        widget=forms.TextInput({"list": "licences", "autocomplete": "off"}),
        help_text=gettext_lazy("For the card, for example cc-by-4.0."),
    )
    description = forms.CharField(
        required=False,
        max_length=MAX_DESCRIPTION_CHARACTERS,
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("For the card: what was asked, and of whom."),
        label=gettext_lazy("Description"),
    )
    licences = HUB_LICENCES

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_bootstrap_classes()


class DatasetDescriptionForm(ShownValuesForm, DescriptionForm):
    """Of a dataset that is there."""

    def __init__(self, data: Any = None, *, dataset: PreferenceDataset) -> None:
        values = values_of(dataset, DESCRIBED) | {"shown": shown_of(dataset, DESCRIBED)}
        super().__init__(data, initial=values)


class NewDatasetForm(SelectionForm, DescriptionForm):
    name = forms.CharField(max_length=MAX_NAME_CHARACTERS, label=gettext_lazy("Name"))
    consensus = forms.BooleanField(
        required=False,
        label=gettext_lazy("Consensus of the newest measurement of quality, too"),
        help_text=gettext_lazy(
            "What the annotators of each pair think together, weighed by the annotator model: soft labels for "
            "reward models that learn from one merged comparison a task."
        ),
    )
    annotator_weights = ReportField(
        QualityReport.objects.none(),
        required=False,
        label=gettext_lazy("Weights by annotator"),
        empty_label=gettext_lazy("none"),
        help_text=gettext_lazy(
            "Who judges better counts more, where a training asks for it: ability in this measurement of "
            "quality, divided by the crowd's mean, 0 to 2."
        ),
    )
    new_version = forms.BooleanField(
        required=False,
        label=gettext_lazy("A new version, if there is one of this name"),
        help_text=gettext_lazy("Earlier versions stay as they are."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        newest = newest_complete(project)
        offer_rows(self, annotator_weights=QualityReport.objects.filter(pk=newest.pk if newest else 0))
        if newest is None:
            self.fields["annotator_weights"].empty_label = gettext("none: quality was never measured")  # type: ignore[attr-defined]

    def freeze_options(self) -> dict[str, Any]:
        """The arguments of freeze_dataset."""
        names = ("name", "new_version", "consensus", "licence", "description")
        report = self.cleaned_data["annotator_weights"]
        weights = {"annotator_weights": report.pk if report else None}
        return self.selection() | weights | {name: self.cleaned_data[name] for name in names}
