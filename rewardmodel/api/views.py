"""Reward models, with what they were trained on and how well they do."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from learning.interface.vocabulary import SPLITS
from rewardmodel.access import access_reward_model
from rewardmodel.actions import describe_reward_model, evaluate_reward_model
from rewardmodel.api.judgments import JudgmentsBody, with_chosen_judgments
from rewardmodel.forms import EvaluateRewardModelForm, TrainRewardModelForm
from rewardmodel.models import RewardModel, RewardModelEvaluation
from rewardmodel.start_training import possible_starts, start_training
from rewardmodel.training.presets import PRESETS
from runs.api.option_forms import PresetsSerializer, RunBody, asked_by_program, presets_of
from runs.api.pushes import ModelDescription, card_values
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import KEY, JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability
from workspace.shown_values import Shown


class RewardModelSerializer(serializers.ModelSerializer[RewardModel]):
    criteria = serializers.SerializerMethodField()
    dataset: Any = serializers.IntegerField(source="dataset_id")
    run: Any = serializers.IntegerField(source="produced_by_id")
    sha256 = serializers.CharField(source="artifact.sha256")

    class Meta:
        model = RewardModel
        fields = ["id", "name", "criteria", "dataset", "run", "sha256", "licence", "notes", "created_at"]
        read_only_fields = fields

    def get_criteria(self, model: RewardModel) -> list[str]:
        return [criterion.name for criterion in model.criteria.all()]


class OneRewardModelSerializer(RewardModelSerializer):
    report = JsonValue()

    class Meta(RewardModelSerializer.Meta):
        fields = [*RewardModelSerializer.Meta.fields, "report"]
        read_only_fields = fields


class RewardModelQuery(PageQuery):
    order = OrderField("id", "name")


def _models(view: ProjectApiView) -> QuerySet[RewardModel]:
    found = RewardModel.objects.filter(project=view.project)
    return found.select_related("artifact").prefetch_related("criteria")


class RewardModels(ProjectApiView):
    @operation(Capability.REVIEW, lists=RewardModelSerializer, query=RewardModelQuery)
    def get(self, request: Request) -> QuerySet[RewardModel]:
        """The project's reward models."""
        return _models(self)


class OneRewardModel(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneRewardModelSerializer, changeable=card_values)
    def get(self, request: Request, pk: int) -> RewardModel:
        """A reward model and its report: accuracy with intervals, calibration, counts."""
        return access_reward_model(self.project, pk)

    @operation(
        Capability.MANAGE, body=ModelDescription, answers=OneRewardModelSerializer, changeable=card_values
    )
    def patch(self, request: Request, pk: int, data: dict[str, Any], shown: Shown) -> RewardModel:
        """Change what its card says: licence and notes. The model stays."""
        found = access_reward_model(self.project, pk)
        return describe_reward_model(actor=self.actor, reward_model=found, **data, shown=shown)


class TrainBody(JudgmentsBody):
    name = serializers.CharField(max_length=120, help_text="Of the new reward model.")
    preset = serializers.ChoiceField(sorted(PRESETS), default="tiny")
    start_policy = serializers.IntegerField(required=False, help_text="Where it starts: this, ...", **KEY)
    start_reward_model = serializers.IntegerField(required=False, help_text="... or this.", **KEY)


class RewardModelPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of reward models, every value with its source."""
        return presets_of(TrainRewardModelForm)


class TrainRewardModel(ProjectApiView):
    @operation(Capability.MANAGE, body=TrainBody, answers=OneRunSerializer, creates=True, is_long=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the training of a reward model, on a frozen dataset or on the judgments there are now."""
        starts = {name: data.pop(f"start_{name}", None) for name in ("policy", "reward_model")}
        given = [name for name, key in starts.items() if key is not None]
        if len(given) != 1:
            raise ValidationError({"start_policy": ["Give start_policy or start_reward_model."]})
        base = possible_starts(self.project).filter(**{f"{given[0]}__pk": starts[given[0]]}).first()
        if base is None:
            raise ValidationError({f"start_{given[0]}": ["The project has none of this number."]})
        data = with_chosen_judgments(self, data) | {"start": base.pk}
        return start_training(**asked_by_program(self, TrainRewardModelForm, data))


class RewardModelEvaluationSerializer(serializers.ModelSerializer[RewardModelEvaluation]):
    reward_model: Any = serializers.IntegerField(source="reward_model_id")
    dataset: Any = serializers.IntegerField(source="dataset_id")
    run: Any = serializers.IntegerField(source="produced_by_id")
    report = JsonValue()

    class Meta:
        model = RewardModelEvaluation
        fields = ["id", "reward_model", "dataset", "split", "run", "report", "created_at"]
        read_only_fields = fields


class EvaluationQuery(PageQuery):
    order = OrderField("id")


class EvaluateRewardModelBody(RunBody):
    dataset = serializers.IntegerField(**KEY)
    split = serializers.ChoiceField(SPLITS, default="validation")
    consensus = serializers.BooleanField(
        default=False, help_text="One merged comparison a task, not one a judgment."
    )
    ratings = serializers.CharField(
        max_length=60,
        required=False,
        help_text="In place of comparisons, the points of this mark that single answers were given.",
    )


class Evaluations(ProjectApiView):
    @operation(Capability.REVIEW, lists=RewardModelEvaluationSerializer, query=EvaluationQuery)
    def get(self, request: Request, pk: int) -> QuerySet[RewardModelEvaluation]:
        """How a reward model did on judgments of datasets."""
        return access_reward_model(self.project, pk).evaluations.all()

    @operation(Capability.MANAGE, body=EvaluateRewardModelBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Run:
        """Queue an evaluation."""
        model = access_reward_model(self.project, pk)
        settings = data["settings"] | {"split": data.pop("split")}
        return evaluate_reward_model(
            **asked_by_program(
                self, EvaluateRewardModelForm, data | {"reward_model": model.pk, "settings": settings}
            )
        )
