"""Where annotators disagree: decisions, judgments sent back to their authors, one more annotator."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import access_judgment_of_project, access_task_of_project, shown_tasks
from annotation.adjudication.actions import (
    MAX_REMARK_CHARACTERS,
    current_decision,
    current_decisions,
    decide_task,
    keep_judgment,
    open_returns,
    return_judgment,
)
from annotation.adjudication.listing import answers_to_decide
from annotation.adjudication.more_annotators import ask_one_more, current_rule, set_one_more_rule
from annotation.api.quality import OneTaskQualitySerializer
from annotation.models import Adjudication, DisagreementKind, Judgment, ReturnedJudgment, Task
from annotation.preferences.scale import labels_to_responses, tiers_to_labels
from annotation.preferences.validation import MAX_RATIONALE_CHARACTERS
from annotation.quality.task_consensus import crowd_opinion
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability

_LABELS: dict[str, Any] = {
    "child": serializers.ListField(child=serializers.CharField(max_length=1), min_length=1),
    "min_length": 1,
}


class DecisionSerializer(serializers.ModelSerializer[Adjudication]):
    task: Any = serializers.IntegerField(source="task_id")
    batch: Any = serializers.IntegerField(source="task.batch_id")
    kind = serializers.ChoiceField(DisagreementKind.choices, help_text="Why the annotators disagreed.")
    author: Any = serializers.CharField(source="author.pseudonym")
    supersedes: Any = serializers.IntegerField(source="supersedes_id", allow_null=True)

    class Meta:
        model = Adjudication
        fields = ["id", "task", "batch", "kind", "author", "supersedes", "created_at"]
        read_only_fields = fields


class DecisionQuery(PageQuery):
    order = OrderField("id")
    kind = serializers.ChoiceField(DisagreementKind.choices, required=False)
    batch = serializers.IntegerField(source="task__batch_id", required=False, **KEY)


class SaidSerializer(serializers.Serializer[Judgment]):
    """A judgment in the labels of the task's decision; not whose it is."""

    id = serializers.IntegerField(source="pk")
    tiers = serializers.SerializerMethodField()
    strengths = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    rationale = serializers.CharField()
    returned = serializers.SerializerMethodField(help_text="Sent back to its author already.")

    @extend_schema_field(serializers.ListField(child=serializers.ListField(child=serializers.CharField())))
    def get_tiers(self, judgment: Judgment) -> list[list[str]]:
        order = self.context["view"].order
        return [sorted(tier) for tier in tiers_to_labels(order, judgment.tiers)]

    @extend_schema_field(serializers.BooleanField())
    def get_returned(self, judgment: Judgment) -> bool:
        return hasattr(judgment, "returned")


class TaskToDecideSerializer(serializers.Serializer[Any]):
    answers = serializers.DictField(child=serializers.CharField(), help_text="By label.")
    consensus = OneTaskQualitySerializer(allow_null=True, help_text="Of the newest measurement.")
    judgments = SaidSerializer(many=True)
    decision = DecisionSerializer(allow_null=True)


class NewDecision(Body):
    tiers = serializers.ListField(
        **_LABELS, help_text="Labels of the answers, the best first; together: a tie."
    )
    strengths = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=3, allow_null=True),
        help_text="Of each step between two tiers.",
    )
    kind = serializers.ChoiceField(DisagreementKind.choices)
    rationale = serializers.CharField(max_length=MAX_RATIONALE_CHARACTERS, default="", allow_blank=True)
    expected = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The decision that this one takes the place of; left out: there is none. Refused when it is another.",
        **KEY,
    )


class ReturnedSerializer(serializers.ModelSerializer[ReturnedJudgment]):
    judgment: Any = serializers.IntegerField(source="judgment_id")
    task: Any = serializers.IntegerField(source="judgment.task_id")

    class Meta:
        model = ReturnedJudgment
        fields = ["id", "judgment", "task", "remark", "kept_at", "reason", "created_at"]
        read_only_fields = fields


class OwnReturnedSerializer(serializers.ModelSerializer[ReturnedJudgment]):
    assignment: Any = serializers.UUIDField(
        source="judgment.assignment.public_id", help_text="Revise the judgment by it."
    )

    class Meta:
        model = ReturnedJudgment
        fields = ["id", "assignment", "remark", "created_at"]
        read_only_fields = fields


class ReturnedQuery(PageQuery):
    order = OrderField("id")


class Remark(Body):
    remark = serializers.CharField(max_length=MAX_REMARK_CHARACTERS, help_text="Its author reads it.")


class Reason(Body):
    reason = serializers.CharField(max_length=MAX_REMARK_CHARACTERS, default="", allow_blank=True)


class MorePeople(Body):
    criterion = serializers.CharField(max_length=40, required=False, help_text="Left out: the only one.")
    most = serializers.IntegerField(min_value=2, max_value=MAX_OVERLAP, help_text="People a task at most.")


class MorePeopleAskedSerializer(serializers.Serializer[Any]):
    tasks = serializers.IntegerField()


class NewOneMoreRule(Body):
    most = serializers.IntegerField(
        min_value=0, max_value=MAX_OVERLAP, help_text="People a task at most; 0: off."
    )
    expected_most = serializers.IntegerField(
        min_value=0, max_value=MAX_OVERLAP, required=False, help_text="Refused when it is another by now."
    )


class OneMoreRuleSerializer(serializers.Serializer[Any]):
    most = serializers.IntegerField(help_text="People a task at most; 0: off.")


class Decisions(ProjectApiView):
    @operation(Capability.REVIEW, lists=DecisionSerializer, query=DecisionQuery)
    def get(self, request: Request) -> QuerySet[Adjudication]:
        """The decisions that stand, and why annotators disagreed."""
        return current_decisions(self.project).select_related("task", "author")


class TaskDecision(ProjectApiView):
    order: list[int]

    def find(self, pk: int) -> tuple[Task, dict[int, str]]:
        """The task, and the text of each answer in the order of labels."""
        task = access_task_of_project(self.project, pk, self.capabilities)
        rows = answers_to_decide(task)
        if not task.uses_slots or len(rows) < 2:
            raise Http404("Such a task is not decided.")
        self.order = [response.pk for response in rows]
        return task, {response.pk: response.text for response in rows}

    @operation(Capability.DECIDE, answers=TaskToDecideSerializer)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """What annotators said of a task, without their names, and what a reviewer decided."""
        task, texts = self.find(pk)
        label_of = {key: label for label, key in labels_to_responses(self.order).items()}
        said = Judgment.objects.current().filter(task=task).select_related("returned").order_by("pk")
        return {
            "answers": {label_of[key]: text for key, text in texts.items()},
            "consensus": crowd_opinion(task, label_of),
            "judgments": list(said),
            "decision": current_decision(task),
        }

    @operation(Capability.DECIDE, body=NewDecision, answers=DecisionSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> Adjudication:
        """Decide it: a judgment of its own. What the annotators said stays."""
        task, _ = self.find(pk)
        key_of = labels_to_responses(self.order)
        tiers = data.pop("tiers")
        if sorted(label for tier in tiers for label in tier) != sorted(key_of):
            raise ValidationError({"tiers": [f"Name each answer once: {', '.join(key_of)}."]})
        keys = [[key_of[label] for label in tier] for tier in tiers]
        return decide_task(actor=self.actor, task=task, order_shown=self.order, tiers=keys, **data)


class ReturnJudgment(ProjectApiView):
    @operation(Capability.DECIDE, body=Remark, answers=ReturnedSerializer, status=201)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> ReturnedJudgment:
        """Send a judgment back to its author with a remark. They are not told whose it is."""
        judgment = access_judgment_of_project(self.project, pk, self.capabilities)
        return return_judgment(actor=self.actor, judgment=judgment, remark=data["remark"])


class ReturnedJudgments(ProjectApiView):
    @operation(Capability.REVIEW, lists=ReturnedSerializer, query=ReturnedQuery)
    def get(self, request: Request) -> QuerySet[ReturnedJudgment]:
        """What was sent back, and who stood by it (`kept_at`)."""
        found = ReturnedJudgment.objects.filter(judgment__task__batch__project=self.project)
        found = shown_tasks(found, self.capabilities, "judgment__task__")
        return found.filter(judgment__task__batch__visible=True).select_related("judgment")


class OwnReturned(ProjectApiView):
    @operation(Capability.ANNOTATE, lists=OwnReturnedSerializer, query=ReturnedQuery)
    def get(self, request: Request) -> QuerySet[ReturnedJudgment]:
        """What the caller was sent back, and has neither changed nor stood by."""
        return open_returns(self.actor, self.project).order_by()


class KeepJudgment(ProjectApiView):
    @operation(Capability.ANNOTATE, body=Reason, answers=OwnReturnedSerializer)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> ReturnedJudgment:
        """The caller stands by a judgment of theirs."""
        own = ReturnedJudgment.objects.filter(
            judgment__annotator=self.actor, judgment__task__batch__project=self.project, pk=pk
        )
        returned = own.select_related("judgment__assignment").first()
        if returned is None:
            raise Http404("Nothing of the caller's was sent back under this number.")
        kept = keep_judgment(actor=self.actor, returned=returned, reason=data["reason"])
        return own.select_related("judgment__assignment").get(pk=kept.pk)


class OneMore(ProjectApiView):
    @operation(Capability.MANAGE, body=MorePeople, answers=MorePeopleAskedSerializer)
    def post(self, request: Request, data: dict[str, Any]) -> dict[str, int]:
        """Ask one more annotator for each task on which annotators disagree, up to so many people a task."""
        criterion = find_criterion(self.project, data.get("criterion"))
        return {
            "tasks": ask_one_more(
                actor=self.actor, project=self.project, criterion=criterion, most=data["most"]
            )
        }


class OneMoreByItself(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneMoreRuleSerializer)
    def get(self, request: Request) -> dict[str, int]:
        """Up to how many people a task are asked after each measurement."""
        return {"most": current_rule(self.project)}

    @operation(Capability.MANAGE, body=NewOneMoreRule, answers=OneMoreRuleSerializer)
    def put(self, request: Request, data: dict[str, Any]) -> dict[str, int]:
        """Ask one more annotator where they disagree, after each measurement."""
        expected = data.get("expected_most")
        most = set_one_more_rule(actor=self.actor, project=self.project, most=data["most"], expected=expected)
        return {"most": most}
