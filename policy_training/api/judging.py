"""Language models that judge batches, for programs."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import shown_batches
from annotation.models import AIJudging
from policy_training.judging.actions import MAX_TASKS, judge_batch
from policy_training.judging.forms import JudgeBatchForm
from runs.api.option_forms import RunBody, asked_by_program
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery
from workspace.api.fields import KEY, JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability


class AIJudgingSerializer(serializers.ModelSerializer[AIJudging]):
    batch: Any = serializers.IntegerField(source="batch_id")
    annotator: Any = serializers.CharField(source="annotator.pseudonym")
    run: Any = serializers.IntegerField(source="run_id")
    report = JsonValue(
        help_text="tie_rate, order_rate, first_share, self_agreement, unclear, tokens, seconds, cost, ... How far it "
        "agrees with people is part of the batch's quality."
    )

    class Meta:
        model = AIJudging
        fields = ["id", "batch", "annotator", "run", "takes_slots", "judgments", "report", "created_at"]
        read_only_fields = fields


class AIJudgingQuery(PageQuery):
    order = OrderField("id")
    batch = serializers.IntegerField(required=False, **KEY)


class AIJudgingBody(RunBody):
    processes = None  # type: ignore[assignment]  # one process asks
    batch = serializers.IntegerField(**KEY)
    server = serializers.CharField(max_length=60, help_text="One of the site's model servers.")
    model = serializers.CharField(max_length=200, help_text="As the server calls it.")
    question = serializers.CharField(
        max_length=300, required=False, help_text="What it is asked; left out: the criterion's question."
    )
    tasks = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_TASKS,
        help_text="At most; left out: all it has not judged.",
    )
    takes_slots = serializers.BooleanField(
        default=False, help_text="Its judgments are some of those the tasks ask for; else beside people's."
    )


class AIJudgings(ProjectApiView):
    @operation(Capability.REVIEW, lists=AIJudgingSerializer, query=AIJudgingQuery)
    def get(self, request: Request) -> QuerySet[AIJudging]:
        """The judgings of batches by language models: how steady each was, and what it took."""
        batches = shown_batches(self.project.batches.filter(visible=True), self.capabilities)
        return AIJudging.objects.filter(batch__in=batches).select_related("annotator")

    @operation(Capability.MANAGE, body=AIJudgingBody, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Run:
        """Queue the judging of a batch by a language model."""
        return judge_batch(**asked_by_program(self, JudgeBatchForm, data))
