"""Policies compared, for programs."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from policy_training.comparing.actions import compare_policies, evaluate_along_run
from policy_training.comparing.forms import AlongRunForm, CompareForm
from policy_training.models import PolicyComparison
from runs.access import access_run
from runs.api.option_forms import RunBody, asked_by_program
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import KEY, NATURAL, JsonValue
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability


class PolicyComparisonSerializer(serializers.ModelSerializer[PolicyComparison]):
    policy: Any = serializers.IntegerField(source="policy_id")
    reward_model: Any = serializers.IntegerField(source="reward_model_id")
    of_run: Any = serializers.IntegerField(
        source="of_run_id", allow_null=True, help_text="The training whose checkpoints the others are."
    )
    run: Any = serializers.IntegerField(source="produced_by_id")
    batches: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    report = JsonValue(
        help_text="others: [{name, step, score, kl, by_reward, by_judge, ...}]; wins are the policy's."
    )

    class Meta:
        model = PolicyComparison
        fields = [
            "id",
            "policy",
            "reward_model",
            "prompt_set",
            "of_run",
            "run",
            "batches",
            "report",
            "created_at",
        ]
        read_only_fields = fields


class ComparisonQuery(PageQuery):
    order = OrderField("id")
    policy = serializers.IntegerField(required=False, **KEY)
    of_run = serializers.IntegerField(required=False, **KEY)


class MeasuredBody(RunBody):
    processes = None  # type: ignore[assignment]  # one process compares
    reward_model = serializers.IntegerField(**KEY)
    prompt_set = serializers.IntegerField(**KEY)
    prompts = serializers.IntegerField(
        required=False, help_text="Of those held out; left out: all.", **(NATURAL | {"min_value": 1})
    )
    server = serializers.CharField(required=False, max_length=60, help_text="Of a judge; left out: no judge.")
    model = serializers.CharField(required=False, max_length=200, help_text="The judge's.")
    question = serializers.CharField(required=False, max_length=300, help_text="What the judge is asked.")


class CompareBody(MeasuredBody):
    policy = serializers.IntegerField(**KEY)
    others = serializers.ListField(child=serializers.IntegerField(**KEY), default=list, help_text="Policies.")
    sources = serializers.ListField(
        child=serializers.IntegerField(**KEY), default=list, help_text="Sources of answers from files."
    )
    with_reference = serializers.BooleanField(default=False, help_text="With what people wrote.")
    criteria = serializers.ListField(
        child=serializers.CharField(max_length=40),
        default=list,
        help_text="On which people compare them, too.",
    )
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, default=1)


class AlongBody(MeasuredBody):
    run = serializers.IntegerField(help_text="A run of PPO or of a policy gradient.", **KEY)


class Comparisons(ProjectApiView):
    @operation(Capability.REVIEW, lists=PolicyComparisonSerializer, query=ComparisonQuery)
    def get(self, request: Request) -> QuerySet[PolicyComparison]:
        """Policies beside others on the same prompts, and trainings along their checkpoints."""
        return PolicyComparison.objects.filter(project=self.project).prefetch_related("batches")

    @operation(Capability.MANAGE, body=CompareBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the comparison of a policy with others, by a reward model, a judge and people."""
        criteria = [find_criterion(self.project, name).pk for name in data["criteria"]]
        return compare_policies(**asked_by_program(self, CompareForm, data | {"criteria": criteria}))


class AlongRun(ProjectApiView):
    @operation(Capability.MANAGE, body=AlongBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the comparison of a training's checkpoints with the policy that it started from."""
        run = access_run(self.project, data.pop("run"))
        return evaluate_along_run(run=run, **asked_by_program(self, AlongRunForm, data))
