"""Which judgments a training learns from, as programs say it."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from annotation.batches.exclusion import find_batches
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from runs.api.option_forms import RunBody
from workspace.api.base import ProjectApiView
from workspace.api.fields import KEY
from workspace.criteria import find_criterion


class JudgmentsBody(RunBody):
    dataset = serializers.IntegerField(
        required=False, help_text="None: the judgments there are now, frozen first.", **KEY
    )
    criteria = serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=100,
        default=list,
        help_text="Of the judgments of now, by name; none: the only one.",
    )
    batches = serializers.ListField(
        child=serializers.CharField(max_length=120),
        max_length=1000,
        required=False,
        help_text="The same, by name; none: all that are not excluded.",
    )
    annotator_kinds = serializers.ListField(
        child=serializers.ChoiceField(ANNOTATOR_KINDS), min_length=1, default=[PERSON]
    )
    consensus = serializers.BooleanField(
        default=False, help_text="One merged comparison a task, not one a judgment."
    )
    consensus_labels = serializers.BooleanField(
        default=False,
        help_text="Of judgments that are frozen now, with consensus: the label is that of the newest quality report.",
    )
    annotator_weights = serializers.BooleanField(
        default=False,
        help_text="Annotators count after their ability in the quality report that the dataset was frozen with; of the "
        "judgments of now, in the newest.",
    )
    ratings = serializers.CharField(
        max_length=60,
        required=False,
        help_text="The mark of single answers' ratings that it learns from as well.",
    )
    points_per_grade = serializers.FloatField(
        required=False, help_text="A rated pair's strength is its distance divided by this, at most 3."
    )


def with_chosen_judgments(view: ProjectApiView, data: dict[str, Any]) -> dict[str, Any]:
    """The body with criteria and batches by their keys, as the forms read them. Raises ValidationError, ActionError."""
    if "dataset" not in data:
        names = data["criteria"] or [None]
        batches = find_batches(view.project, data.get("batches"))
        return data | {
            "criteria": [find_criterion(view.project, name).pk for name in names],
            "batches": [batch.pk for batch in batches or []],
        }
    if data["criteria"] or data.get("batches"):
        raise ValidationError({"dataset": ["It says which judgments: leave criteria and batches out."]})
    return data
