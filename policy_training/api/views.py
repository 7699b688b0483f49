"""Policies for programs, and what makes, samples from and evaluates them: fine-tuning, pretraining, import."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from annotation.batches.exclusion import find_batches
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from policy_training import actions
from policy_training.access import access_policy
from policy_training.api.chaining import (
    TrainingStartBody,
    form_start,
    started,
    trains,
)
from policy_training.api.reward_fields import (
    batches_field,
    form_rewards,
    functions_field,
    further_criteria_field,
    further_models_field,
    time_limits_field,
    weights_field,
)
from policy_training.chaining.actions import Recipe
from policy_training.evaluation_presets import EVALUATION_PRESETS
from policy_training.forms import EvaluatePolicyForm, FineTuneForm, PretrainForm, SampleForm
from policy_training.imports.actions import queue_import
from policy_training.models import Policy, PolicyEvaluation
from policy_training.registry import describe_policy
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS
from runs.api.option_forms import (
    PresetsSerializer,
    RunBody,
    RunsSerializer,
    asked_by_program,
    presets_of,
)
from runs.api.pushes import ModelDescription, card_values
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, NATURAL, JsonValue
from workspace.api.operations import Queued, operation
from workspace.criteria import find_criterion
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability
from workspace.shown_values import Shown


class PolicySerializer(serializers.ModelSerializer[Policy]):
    parent: Any = serializers.IntegerField(source="parent_id", allow_null=True)
    reward_model: Any = serializers.IntegerField(source="reward_model_id", allow_null=True)
    dataset: Any = serializers.IntegerField(
        source="dataset_id", allow_null=True, help_text="Whose judgments it learned from itself (DPO)."
    )
    run: Any = serializers.IntegerField(source="produced_by_id", allow_null=True)
    sha256 = serializers.CharField(source="artifact.sha256")

    class Meta:
        model = Policy
        fields = [
            "id",
            "name",
            "parent",
            "reward_model",
            "dataset",
            "run",
            "sha256",
            "licence",
            "notes",
            "created_at",
        ]
        read_only_fields = fields


class OnePolicySerializer(PolicySerializer):
    report = JsonValue()

    class Meta(PolicySerializer.Meta):
        fields = [*PolicySerializer.Meta.fields, "report"]
        read_only_fields = fields


class PolicyQuery(PageQuery):
    order = OrderField("id", "name")
    parent: Any = serializers.IntegerField(required=False, **KEY)
    reward_model: Any = serializers.IntegerField(required=False, **KEY)


class Policies(ProjectApiView):
    @operation(Capability.REVIEW, lists=PolicySerializer, query=PolicyQuery)
    def get(self, request: Request) -> QuerySet[Policy]:
        """The project's policies."""
        return Policy.objects.filter(project=self.project).select_related("artifact").defer("report")


class OnePolicy(ProjectApiView):
    @operation(Capability.REVIEW, answers=OnePolicySerializer, changeable=card_values)
    def get(self, request: Request, pk: int) -> Policy:
        """A policy and what its training reported."""
        return access_policy(self.project, pk)

    @operation(Capability.MANAGE, body=ModelDescription, answers=OnePolicySerializer, changeable=card_values)
    def patch(self, request: Request, pk: int, data: dict[str, Any], shown: Shown) -> Policy:
        """Change what its card says: licence and notes. The model stays."""
        found = access_policy(self.project, pk)
        return describe_policy(actor=self.actor, policy=found, **data, shown=shown)


class LanguageModelBody(TrainingStartBody, RunBody):
    start_is_needed = False

    name = serializers.CharField(max_length=120, help_text="Of the new policy.")
    preset = serializers.ChoiceField(sorted(LANGUAGE_MODEL_PRESETS), default="tiny")
    start = serializers.IntegerField(
        required=False,
        help_text="The policy to start from; none, and neither of the two: from scratch.",
        **KEY,
    )


class FineTuneBody(LanguageModelBody):
    rated_mark = serializers.CharField(
        max_length=60, required=False, help_text="Also answers that people rated, by this mark, ..."
    )
    rated_at_least = serializers.FloatField(
        required=False, help_text="... whose mean over the people is at least this."
    )
    put_first = serializers.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        help_text="Also answers that at least this share of the people who compared them put first, ...",
    )
    put_first_by = serializers.CharField(
        max_length=40, required=False, help_text="... by this criterion; none: by any."
    )
    batches = serializers.ListField(
        child=serializers.CharField(max_length=120),
        max_length=1000,
        required=False,
        help_text="Of such answers, by name; none: all batches that are not excluded.",
    )
    annotator_kinds = serializers.ListField(
        child=serializers.ChoiceField(ANNOTATOR_KINDS),
        min_length=1,
        default=[PERSON],
        help_text="Who judged such answers.",
    )


class PretrainBody(LanguageModelBody):
    learn_from = serializers.ChoiceField(["texts", "demonstrations"], default="texts")


class SampleBody(RunBody):
    preset = serializers.ChoiceField(sorted(EVALUATION_PRESETS), default="plain")
    prompt_set = serializers.IntegerField(**KEY)
    prompts = serializers.IntegerField(
        required=False, help_text="How many of its prompts; none: all.", **(NATURAL | {"min_value": 1})
    )
    policies = serializers.ListField(child=serializers.IntegerField(**KEY), min_length=1, max_length=9)
    criterion = serializers.CharField(
        max_length=40, required=False, help_text="Its name; none: the only one."
    )
    batch_name = serializers.CharField(max_length=110, required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    with_given = serializers.BooleanField(
        default=True, help_text="Together with the answers that the prompts have from files."
    )
    single_answers = serializers.BooleanField(
        default=False, help_text="Every different answer is a task of its own, to be rated."
    )
    open_at_once = serializers.BooleanField(default=False)


class LanguageModelPresets(ProjectApiView):
    @operation(Capability.REVIEW, answers=PresetsSerializer, immutable=True)
    def get(self, request: Request) -> dict[str, Any]:
        """The presets of fine-tuning and pretraining, every value with its source."""
        return presets_of(FineTuneForm)


class FineTune(ProjectApiView):
    @trains(FineTuneBody)
    def post(self, request: Request, data: dict[str, Any]) -> Run | Queued:
        """Queue fine-tuning on the project's demonstrations."""
        if "put_first_by" in data:
            data = data | {"put_first_by": find_criterion(self.project, data["put_first_by"]).pk}
        if "batches" in data:
            data = data | {
                "batches": [batch.pk for batch in find_batches(self.project, data["batches"]) or []]
            }
        return started(Recipe.SFT, asked_by_program(self, FineTuneForm, form_start(data)))


class Pretrain(ProjectApiView):
    @trains(PretrainBody)
    def post(self, request: Request, data: dict[str, Any]) -> Run | Queued:
        """Queue training on every token of the project's texts, or of its demonstrations."""
        return started(Recipe.PRETRAIN, asked_by_program(self, PretrainForm, form_start(data)))


class Sample(ProjectApiView):
    @operation(Capability.MANAGE, body=SampleBody, answers=RunsSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Queue sampling, a run a policy; the answers become a batch of tasks."""
        criterion = find_criterion(self.project, data.get("criterion")).pk
        asked = asked_by_program(self, SampleForm, data | {"criterion": criterion})
        return {"runs": actions.sample_tasks(**asked)}


class ImportBody(Body):
    name = serializers.CharField(max_length=120)
    source = serializers.CharField(  # type: ignore[assignment]
        max_length=500, help_text="A folder or hub:owner/model, of those that the site's settings allow."
    )
    revision = serializers.CharField(max_length=100, default="", allow_blank=True)
    base = serializers.CharField(max_length=500, default="", allow_blank=True, help_text="Of an adapter.")
    chat_template_kwargs = serializers.DictField(child=JsonValue(allow_null=True), default=dict)
    own_tokenizer = serializers.BooleanField(default=False)
    notes = serializers.CharField(max_length=5_000, default="", allow_blank=True)


class ImportPolicy(ProjectApiView):
    @operation(Capability.MANAGE, body=ImportBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the import of a language model."""
        return queue_import(actor=self.actor, project=self.project, **data)


class PolicyEvaluationSerializer(serializers.ModelSerializer[PolicyEvaluation]):
    policy: Any = serializers.IntegerField(source="policy_id")
    reward_model: Any = serializers.IntegerField(source="reward_model_id")
    reference: Any = serializers.IntegerField(source="reference_id", allow_null=True)
    run: Any = serializers.IntegerField(source="produced_by_id")
    report = JsonValue()

    class Meta:
        model = PolicyEvaluation
        fields = ["id", "policy", "reward_model", "reference", "prompt_set", "run", "report", "created_at"]
        read_only_fields = fields


class EvaluationQuery(PageQuery):
    order = OrderField("id")


class EvaluatePolicyBody(RunBody):
    preset = serializers.ChoiceField(sorted(EVALUATION_PRESETS), default="plain")
    reward_model = serializers.IntegerField(**KEY)
    further_reward_models = further_models_field()
    further_weights = weights_field()
    further_batches = batches_field()
    further_criteria = further_criteria_field()
    criterion_weights = weights_field()
    criterion_batches = batches_field()
    reward_functions = functions_field()
    function_weights = weights_field()
    function_time_limits = time_limits_field()
    reference = serializers.IntegerField(
        required=False, help_text="A policy, to measure the KL to it.", **KEY
    )
    prompt_set = serializers.IntegerField(**KEY)
    prompts = serializers.IntegerField(
        required=False,
        help_text="How many of its prompts that no training has seen; none: all of these.",
        **(NATURAL | {"min_value": 1}),
    )


class Evaluations(ProjectApiView):
    @operation(Capability.REVIEW, lists=PolicyEvaluationSerializer, query=EvaluationQuery)
    def get(self, request: Request, pk: int) -> QuerySet[PolicyEvaluation]:
        """How a policy did by reward models."""
        return access_policy(self.project, pk).evaluations.all()

    @operation(Capability.MANAGE, body=EvaluatePolicyBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Run:
        """Queue an evaluation."""
        policy = access_policy(self.project, pk)
        return actions.evaluate_policy(
            **asked_by_program(self, EvaluatePolicyForm, form_rewards(data) | {"policy": policy.pk})
        )
