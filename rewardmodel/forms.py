"""The form that trains a reward model: on which judgments, from which model, by which preset."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from annotation.datasets.forms import BatchesField
from annotation.models import Batch, PreferenceDataset
from learning.interface.options import options_to_dict
from learning.interface.unread_options import OF_TRAINING
from learning.interface.vocabulary import PERSON
from rewardmodel.models import RewardModel
from rewardmodel.run_kinds import EVALUATE, TRAIN
from rewardmodel.start_training import evaluation_config, possible_starts, reward_model_config
from rewardmodel.training import presets as preset_module
from rewardmodel.training.config import EvaluateConfig, RewardModelConfig
from rewardmodel.training.presets import PRESETS
from runs.models import Artifact, Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetChoice, PresetForm, preset_choices
from workspace.forms import offer_rows
from workspace.models import Criterion, Project, User
from workspace.naming import unique_name

LISTED_DATASETS = 500


class StartField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Artifact) -> str:
        model = getattr(obj, "policy", None) or getattr(obj, "reward_model", None)
        missing = gettext(" (files missing)") if obj.is_missing else ""
        return f"{model} ({obj.get_kind_display().lower()}){missing}"


class DatasetField(forms.ModelChoiceField):
    def label_from_instance(self, obj: PreferenceDataset) -> str:
        version = gettext(", version %(version)s") % {"version": obj.version} if obj.version > 1 else ""
        return gettext("%(name)s%(version)s (%(get)s judgments)") % {
            "name": obj.name,
            "version": version,
            "get": obj.counts.get("counted", 0),
        }


class JudgmentsForm(PresetForm):
    """A training on judgments: a frozen dataset's, or those there are now."""

    dataset = DatasetField(
        PreferenceDataset.objects.none(),
        required=False,
        label=gettext_lazy("Judgments"),
        empty_label=gettext_lazy("those there are now, frozen first"),
        help_text=gettext_lazy(
            "A dataset was chosen when it was frozen: the three fields below are for the judgments of now."
        ),
    )
    criteria = forms.ModelMultipleChoiceField(
        Criterion.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Several: one model for all of them."),
        label=gettext_lazy("Criteria"),
    )
    batches = BatchesField(
        Batch.objects.none(),
        required=False,
        help_text=gettext_lazy("None chosen: all that are not excluded."),
        label=gettext_lazy("Batches"),
    )
    annotator_kinds = forms.MultipleChoiceField(
        choices=User.Kind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        initial=[PERSON],
        label=gettext_lazy("Judged by"),
    )
    consensus = forms.BooleanField(
        required=False,
        label=gettext_lazy("One merged comparison a task, not one a judgment"),
        help_text=gettext_lazy(
            "Annotators are weighed by how reliable they are. Of a dataset that was frozen with a consensus: "
            "that consensus; the loss soft_labels learns its shares."
        ),
    )
    consensus_labels = forms.BooleanField(
        required=False,
        label=gettext_lazy("With the consensus of the newest measurement of quality as its label"),
        help_text=gettext_lazy(
            "Of the judgments of now. A dataset has the consensus that it was frozen with."
        ),
    )
    annotator_weights = forms.BooleanField(
        required=False,
        label=gettext_lazy("Weights by annotator"),
        help_text=gettext_lazy(
            "Who judges better counts more: ability in a measurement of quality, divided by the crowd's mean, "
            "0 to 2. The newest measurement, or the one that the dataset was frozen with."
        ),
    )
    ratings = forms.CharField(
        required=False,
        max_length=60,
        label=gettext_lazy("Ratings of single answers, by this mark"),
        help_text=gettext_lazy(
            "Its name in files. Of the answers to one prompt, what an annotator rated higher is better; equal "
            "ratings are ties. The losses regression and ordinal learn the points themselves, and nothing else. Empty: "
            "ratings are left out."
        ),
    )
    points_per_grade = forms.FloatField(
        required=False,
        label=gettext_lazy("Points of a rating that are one grade"),
        help_text=gettext_lazy(
            "A pair's strength is its distance divided by this, at most 3. Empty: no strengths."
        ),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(
            self,
            dataset=project.preference_datasets.order_by("-pk"),
            criteria=project.criteria.order_by("pk"),
            batches=Batch.objects.for_datasets(project).order_by("-pk"),
        )
        self.only_criterion = project.criteria.get() if project.criteria.count() == 1 else None
        self.order_fields(
            [
                "name",
                "start",
                "reference",
                "dataset",
                "criteria",
                "batches",
                "annotator_kinds",
                "consensus",
                "consensus_labels",
                "annotator_weights",
                "ratings",
                "points_per_grade",
                "preset",
                "processes",
            ]
        )
        for name in ("criteria", "annotator_kinds"):
            self.fields[name].widget.attrs["class"] = "form-check-input"

    def values_of(self, run: Run) -> dict[str, Any]:
        parameters = run.parameters
        return super().values_of(run) | {
            "dataset": parameters.get("dataset"),
            "consensus": parameters.get("consensus", False),
            "annotator_weights": parameters.get("annotator_weights") is not None,
            "ratings": (parameters.get("ratings") or {}).get("mark", ""),
            "points_per_grade": (parameters.get("ratings") or {}).get("points_per_grade"),
        }

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        points = values.get("points_per_grade")
        if points is not None and not (values.get("ratings") and points > 0):
            self.add_error(
                "points_per_grade", gettext("Give a number above 0, with the mark of the ratings.")
            )
        if values.get("consensus_labels"):
            if not values.get("consensus"):
                self.add_error(
                    "consensus_labels", gettext("It is the label of merged comparisons: tick these, too.")
                )
            if values.get("dataset"):
                self.add_error(
                    "consensus_labels", gettext("It is for the judgments of now: choose no dataset.")
                )
            if values.get("annotator_weights"):
                self.add_error(
                    "annotator_weights", gettext("The consensus weighs annotators already: leave this out.")
                )
        if not values.get("dataset"):
            if not values.get("criteria") and self.only_criterion is None:
                self.add_error("criteria", gettext("Choose what the judgments are about."))
            if not values.get("annotator_kinds"):
                self.add_error("annotator_kinds", gettext("Choose whose judgments."))
        return values

    def judgments(self) -> dict[str, Any]:
        """The arguments that say which judgments."""
        values = self.cleaned_data
        if values["dataset"] is not None:
            return {"dataset": values["dataset"]}
        only = [self.only_criterion] if self.only_criterion else []
        return {
            "criteria": list(values["criteria"]) or only,
            "batches": list(values["batches"]) or None,
            "annotator_kinds": values["annotator_kinds"],
        }

    def asked_judgments(self) -> dict[str, Any]:
        """The arguments of an action that trains on judgments, but for its models and options."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "name": values["name"],
            "preset": values["preset"],
            "assignments": self.assignments(),
            "consensus": values["consensus"],
            "consensus_labels": values["consensus_labels"],
            "annotator_weights": values["annotator_weights"],
            "ratings": values["ratings"],
            "points_per_grade": values["points_per_grade"],
            "processes": values["processes"] or 1,
            **self.judgments(),
        }


class TrainRewardModelForm(JudgmentsForm):
    presets = preset_choices(PRESETS, reward_model_config, preset_module)
    # A reward model never starts from nothing here, so that it brings its tokenizer.
    sections = sections_of(RewardModelConfig, leave_out=("model.source", "tokenizer", "criterion"))
    kinds = (TRAIN.name,)

    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the new reward model"))
    start = StartField(Artifact.objects.none(), label=gettext_lazy("Start from"), empty_label=None)

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(self, start=possible_starts(project))

    def values_of(self, run: Run) -> dict[str, Any]:
        wanted = str(run.parameters.get("name", ""))
        name = unique_name(RewardModel.objects.filter(project=self.project), wanted)
        return super().values_of(run) | {"name": name, "start": run.parameters.get("base_artifact")}

    def asked(self) -> dict[str, Any]:
        """The arguments of start_training, without who asks."""
        return self.asked_judgments() | {"base": self.cleaned_data["start"]}


class EvaluateRewardModelForm(PresetForm):
    """A reward model beside the judgments of a dataset. Lengths are those it was trained with."""

    presets = {
        "plain": PresetChoice(
            name="plain",
            source=gettext_noop("as the reward model was trained"),
            config=lambda: options_to_dict(EvaluateConfig(model_path="(filled in)")),
            comments={},
        )
    }
    initial_preset = "plain"
    sections = sections_of(EvaluateConfig, leave_out=("batch", *OF_TRAINING))
    kinds = (EVALUATE.name,)

    reward_model = forms.ModelChoiceField(
        RewardModel.objects.none(), empty_label=None, label=gettext_lazy("Reward model")
    )
    dataset = DatasetField(PreferenceDataset.objects.none(), empty_label=None, label=gettext_lazy("Dataset"))
    consensus = forms.BooleanField(
        required=False, label=gettext_lazy("One merged comparison a task, not one a judgment")
    )
    ratings = forms.CharField(
        required=False,
        max_length=60,
        label=gettext_lazy("Ratings of single answers, by this mark"),
        help_text=gettext_lazy(
            "Its name in files. In place of comparisons: how close scores are to ratings, and how often the "
            "score is higher where an annotator rated higher. Empty: comparisons."
        ),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(
            self,
            reward_model=RewardModel.objects.filter(project=project).order_by("-pk"),
            dataset=project.preference_datasets.order_by("-pk"),
        )

    def values_of(self, run: Run) -> dict[str, Any]:
        kept = {name: run.parameters[name] for name in ("reward_model", "dataset", "consensus")}
        return super().values_of(run) | kept | {"ratings": run.parameters.get("ratings", "")}

    def asked(self) -> dict[str, Any]:
        """The arguments of evaluate_reward_model, without who asks. Raises ActionError."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "reward_model": values["reward_model"],
            "dataset": values["dataset"],
            "config": evaluation_config(self.assignments()),
            "consensus": values["consensus"],
            "ratings": values["ratings"],
            "processes": values["processes"] or 1,
        }
