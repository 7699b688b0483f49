"""Policies compared, for programs."""

from typing import Any, get_args

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request

from policy_training.access import access_comparison
from policy_training.comparing.actions import (
    MAX_MODEL_NAME,
    MAX_OTHERS,
    compare_policies,
    evaluate_along_run,
)
from policy_training.comparing.forms import AlongRunForm, CompareForm
from policy_training.comparing.presentation import VerdictKind, Verdicts, comparison_rows
from policy_training.evaluation_presets import EVALUATION_PRESETS
from policy_training.models import PolicyComparison
from policy_training.training.evaluation.config import MAX_FURTHER_MODELS
from runs.access import access_run
from runs.api.option_forms import RunBody, asked_by_program
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import KEY, NATURAL, JsonValue
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.models import MAX_OVERLAP, Project
from workspace.roles import Capability


class PolicyComparisonSerializer(serializers.ModelSerializer[PolicyComparison]):
    policy: Any = serializers.IntegerField(source="policy_id")
    reward_model: Any = serializers.IntegerField(source="reward_model_id")
    further_reward_models = serializers.SerializerMethodField(
        help_text="That score the same answers, each by itself; of one comparison its verdicts name them."
    )
    of_run: Any = serializers.IntegerField(
        source="of_run_id", allow_null=True, help_text="The training whose checkpoints the others are."
    )
    run: Any = serializers.IntegerField(source="produced_by_id")
    batches: Any = serializers.PrimaryKeyRelatedField(many=True, read_only=True)
    report = JsonValue(
        help_text="others: [{name, step, score, kl, by_reward, by_judge, further, ...}]; wins are the policy's. "
        "`further`: what each further reward model says, in their order."
    )

    class Meta:
        model = PolicyComparison
        fields = [
            "id",
            "policy",
            "reward_model",
            "further_reward_models",
            "prompt_set",
            "of_run",
            "run",
            "batches",
            "report",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.IntegerField()))
    def get_further_reward_models(self, comparison: PolicyComparison) -> Any:
        return comparison.produced_by.parameters.get("further_reward_models", [])


class SharesSerializer(serializers.Serializer[Any]):
    win = serializers.IntegerField()
    tie = serializers.IntegerField()
    lose = serializers.IntegerField()
    unclear = serializers.IntegerField(help_text="What a judge answered without a verdict.")
    share = serializers.FloatField(allow_null=True, help_text="Of wins, 0 to 1; a tie is half of one.")
    low = serializers.FloatField(allow_null=True, help_text="Of its interval (95 percent), over prompts.")
    high = serializers.FloatField(allow_null=True)


class TagSharesSerializer(SharesSerializer):
    tag = serializers.CharField()


class VerdictsSerializer(SharesSerializer):
    other = serializers.CharField(help_text="Its name in the report.")
    by = serializers.ChoiceField(get_args(VerdictKind))
    criterion = serializers.CharField(
        help_text="On which people compared, or that the reward model learned; of a judge empty."
    )
    reward_model = serializers.IntegerField(
        allow_null=True, help_text="Which one, of a reward model's verdicts."
    )
    score = serializers.FloatField(allow_null=True, help_text="The other's mean score by this reward model.")
    equal_answers = serializers.IntegerField(
        allow_null=True, help_text="Pairs that people were not shown, both answers being the same."
    )
    tags = TagSharesSerializer(many=True)


class OneComparisonSerializer(PolicyComparisonSerializer):
    verdicts = serializers.SerializerMethodField(
        help_text="As the page has them. Of a reward model and a judge they count prompts, of people judgments. Wins "
        "are the policy's, of a training the checkpoint's."
    )

    class Meta(PolicyComparisonSerializer.Meta):
        fields = [*PolicyComparisonSerializer.Meta.fields, "verdicts"]
        read_only_fields = fields

    @extend_schema_field(VerdictsSerializer(many=True))
    def get_verdicts(self, comparison: PolicyComparison) -> Any:
        found = [
            {
                **_shares(verdicts),
                "other": row["name"],
                "by": verdicts.kind,
                "criterion": verdicts.criterion,
                "reward_model": verdicts.reward_model,
                "score": verdicts.score,
                "equal_answers": row["equal_answers"] if verdicts.kind == "people" else None,
                "tags": [{"tag": tag, **_shares(own)} for tag, own in verdicts.tags],
            }
            for row in comparison_rows(comparison)
            for verdicts in row["verdicts"]
        ]
        return VerdictsSerializer(found, many=True).data


def _shares(verdicts: Verdicts) -> dict[str, Any]:
    low, high = verdicts.interval if verdicts.total else (None, None)
    return {
        "win": verdicts.win,
        "tie": verdicts.tie,
        "lose": verdicts.lose,
        "unclear": verdicts.unclear,
        "share": verdicts.share / 100 if verdicts.total else None,
        "low": None if low is None else low / 100,
        "high": None if high is None else high / 100,
    }


class ComparisonQuery(PageQuery):
    order = OrderField("id")
    policy = serializers.IntegerField(required=False, **KEY)
    of_run = serializers.IntegerField(required=False, **KEY)


class MeasuredBody(RunBody):
    processes = None  # type: ignore[assignment]  # one process compares
    preset = serializers.ChoiceField(sorted(EVALUATION_PRESETS), default="plain")
    reward_model = serializers.IntegerField(**KEY)
    further_reward_models = serializers.ListField(
        child=serializers.IntegerField(**KEY),
        max_length=MAX_FURTHER_MODELS,
        default=list,
        help_text="That say who wins on the same answers too, for example one of each criterion.",
    )
    prompt_set = serializers.IntegerField(**KEY)
    prompts = serializers.IntegerField(
        required=False, help_text="Of those held out; left out: all.", **(NATURAL | {"min_value": 1})
    )
    server = serializers.CharField(required=False, max_length=60, help_text="Of a judge; left out: no judge.")
    model = serializers.CharField(required=False, max_length=200, help_text="The judge's.")
    question = serializers.CharField(required=False, max_length=300, help_text="What the judge is asked.")
    criteria = serializers.ListField(
        child=serializers.CharField(max_length=40),
        default=list,
        help_text="On which people compare them, too.",
    )
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, default=1)


class CompareBody(MeasuredBody):
    policy = serializers.IntegerField(**KEY)
    others = serializers.ListField(child=serializers.IntegerField(**KEY), default=list, help_text="Policies.")
    sources = serializers.ListField(
        child=serializers.IntegerField(**KEY), default=list, help_text="Sources of answers from files."
    )
    outside_server = serializers.CharField(
        required=False, max_length=60, help_text="Of outside models; left out: none."
    )
    outside_models = serializers.ListField(
        child=serializers.RegexField("^[^,]*$", max_length=MAX_MODEL_NAME),
        default=list,
        max_length=MAX_OTHERS,
        help_text="As their server calls them; they answer the same prompts.",
    )
    with_reference = serializers.BooleanField(default=False, help_text="With what people wrote.")


class AlongBody(MeasuredBody):
    run = serializers.IntegerField(help_text="A training of a policy.", **KEY)
    steps = serializers.ListField(
        child=serializers.IntegerField(min_value=0),
        max_length=MAX_OTHERS,
        default=list,
        help_text="Whose checkpoints people compare on the criteria; left out: of all that are evaluated.",
    )


def _as_the_form_has_it(project: Project, data: dict[str, Any]) -> dict[str, Any]:
    return data | {"criteria": [find_criterion(project, name).pk for name in data["criteria"]]}


class Comparisons(ProjectApiView):
    @operation(Capability.REVIEW, lists=PolicyComparisonSerializer, query=ComparisonQuery)
    def get(self, request: Request) -> QuerySet[PolicyComparison]:
        """Policies beside others on the same prompts, and trainings along their checkpoints."""
        return PolicyComparison.objects.filter(project=self.project).prefetch_related(
            "batches", "produced_by"
        )

    @operation(Capability.MANAGE, body=CompareBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the comparison of a policy with others, by reward models, a judge and people."""
        values = _as_the_form_has_it(self.project, data)
        values["outside_models"] = ",".join(data["outside_models"])
        return compare_policies(**asked_by_program(self, CompareForm, values))


class OneComparison(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneComparisonSerializer)
    def get(self, request: Request, pk: int) -> PolicyComparison:
        """A comparison with the verdicts of its reward models, its judge and people."""
        return access_comparison(self.project, pk)


class AlongRun(ProjectApiView):
    @operation(Capability.MANAGE, body=AlongBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the comparison of a training's checkpoints with its start, by reward models, a judge and people."""
        run = access_run(self.project, data.pop("run"))
        values = _as_the_form_has_it(self.project, data) | {"steps": " ".join(map(str, data["steps"]))}
        return evaluate_along_run(run=run, **asked_by_program(self, AlongRunForm, values))
