"""What is known of a gold or practice task: the right order, others that are right as well, and how close is enough."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from annotation.access import access_known_task
from annotation.judging.gold import MAX_ORDERS, MAX_RESPONSES, MAX_TOLERANCE, set_gold_judgment
from annotation.models import GoldJudgment, Task
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.operations import operation
from workspace.roles import Capability


def _tiers() -> Any:
    return serializers.ListField(
        child=serializers.ListField(
            child=serializers.CharField(max_length=200), min_length=1, max_length=MAX_RESPONSES
        ),
        min_length=1,
        max_length=MAX_RESPONSES,
        help_text="Ids of the task's responses, the best first; together in a list: a tie.",
    )


def _strengths() -> Any:
    return serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=3, allow_null=True),
        max_length=MAX_RESPONSES - 1,
        help_text="How much better each tier is than the next, 0 to 3; null: not said.",
    )


class KnownOrder(Body):
    tiers = _tiers()
    strengths = _strengths()


class NewKnownAnswer(KnownOrder):
    """All of it: what is left out is as it stands here, not as it was."""

    also_right = serializers.ListField(
        child=KnownOrder(),
        max_length=MAX_ORDERS,
        default=list,
        help_text="Other orders that are right as well.",
    )
    tolerance = serializers.IntegerField(
        min_value=0,
        max_value=MAX_TOLERANCE,
        allow_null=True,
        default=None,
        help_text="Places of the scale that a pair may be off; null: which is better is enough.",
    )
    least_pairs = serializers.FloatField(
        min_value=0.001, max_value=1, default=1.0, help_text="Share of its pairs that must be right."
    )
    explanation = serializers.CharField(max_length=20_000, allow_blank=True, default="")
    expected_version = serializers.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        help_text="Refused when it is another by now; 0: none yet.",
    )


class KnownOrderSerializer(serializers.Serializer[Any]):
    tiers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    strengths = serializers.ListField(child=serializers.IntegerField(allow_null=True))


class KnownTaskSerializer(serializers.Serializer[Any]):
    task = serializers.IntegerField()
    purpose = serializers.CharField(help_text="gold, or practice: of a training.")
    response_ids = serializers.ListField(child=serializers.CharField(), help_text="A, B, ... of its page.")
    version = serializers.IntegerField(help_text="0: nothing is known yet.")
    tiers = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    strengths = serializers.ListField(child=serializers.IntegerField(allow_null=True))
    also_right = KnownOrderSerializer(many=True)
    tolerance = serializers.IntegerField(allow_null=True)
    least_pairs = serializers.FloatField()
    explanation = serializers.CharField()


class KnownTask(ProjectApiView):
    @operation(Capability.MANAGE, answers=KnownTaskSerializer)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """What is known of a task whose answer is known."""
        return _described(access_known_task(self.project, pk))

    @operation(Capability.MANAGE, body=NewKnownAnswer, answers=KnownTaskSerializer)
    def put(self, request: Request, data: dict[str, Any], pk: int) -> dict[str, Any]:
        """Say what is right of it; what people said is compared with it from now on."""
        task = access_known_task(self.project, pk)
        keys = {external_id: key for key, external_id in _responses(task)}

        def in_keys(order: dict[str, Any], field: str) -> list[list[int]]:
            try:
                return [[keys[one] for one in tier] for tier in order["tiers"]]
            except KeyError as error:
                raise ValidationError({field: [f"The task has no response {error.args[0]}."]}) from error

        others = data.pop("also_right")
        tiers = in_keys(data, "tiers")
        set_gold_judgment(
            actor=self.actor,
            task=task,
            **data | {"tiers": tiers},
            also_right=[
                {"tiers": in_keys(order, "also_right"), "strengths": order["strengths"]} for order in others
            ],
        )
        return _described(task)


def _responses(task: Task) -> list[tuple[int, str]]:
    shown = task.task_responses.order_by("position")
    return list(shown.values_list("response_id", "response__external_id"))


def _described(task: Task) -> dict[str, Any]:
    gold = GoldJudgment.objects.filter(task=task).first()
    ids = dict(_responses(task))

    def in_ids(tiers: list[list[int]]) -> list[list[str]]:
        return [[ids[key] for key in tier] for tier in tiers]

    return {
        "task": task.pk,
        "purpose": task.purpose,
        "response_ids": list(ids.values()),
        "version": gold.version if gold else 0,
        "tiers": in_ids(gold.tiers) if gold else [],
        "strengths": gold.strengths if gold else [],
        "also_right": [
            {"tiers": in_ids(order["tiers"]), "strengths": order["strengths"]}
            for order in (gold.also_right if gold else ())
        ],
        "tolerance": gold.tolerance if gold else None,
        "least_pairs": gold.least_pairs if gold else 1.0,
        "explanation": gold.explanation if gold else "",
    }
