"""Trainings that start from a policy that is being made, for programs."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from policy_training.access import access_chained
from policy_training.chaining.actions import cancel_chained, retry_chained, start_or_chain
from policy_training.models import ChainedTraining
from runs.api.views import OneRunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, JsonValue
from workspace.api.operations import Queued, operation
from workspace.roles import Capability

WAITS = "It waits for the policy that it starts from: look at this (`policy-trainings/chained/ID`) until it has a run."


class ChainedTrainingSerializer(serializers.ModelSerializer[ChainedTraining]):
    after_run: Any = serializers.IntegerField(source="after_run_id", allow_null=True)
    after_training: Any = serializers.IntegerField(source="after_training_id", allow_null=True)
    run: Any = serializers.IntegerField(source="run_id", allow_null=True, help_text="What it was queued as.")
    requested_by: Any = serializers.CharField(source="requested_by.username")
    situation: Any = serializers.CharField(help_text="What it waits for, or what became of it, in words.")

    class Meta:
        model = ChainedTraining
        fields = [
            "id", "recipe", "name", "title", "state", "situation", "error", "after_run", "after_training", "run",
            "requested_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class OneChainedTrainingSerializer(ChainedTrainingSerializer):
    arguments = JsonValue(help_text="What was asked; rows by their ids and names.")

    class Meta(ChainedTrainingSerializer.Meta):
        fields = [*ChainedTrainingSerializer.Meta.fields, "arguments"]
        read_only_fields = fields


class TrainingStartBody(Body):
    """Where a training starts: a policy, or one that is being made."""

    start_is_needed = True

    start = serializers.IntegerField(
        required=False, help_text="The policy to start from; or one of the two:", **KEY
    )
    after_run = serializers.IntegerField(
        required=False,
        help_text="A run that is queued, running or paused: start from the policy that it makes, as soon as it is "
        "there. The answer is 202 and a chained training.",
        **KEY,
    )
    after_training = serializers.IntegerField(
        required=False, help_text="The same of a chained training that waits itself.", **KEY
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        given = sum(name in attrs for name in ("start", "after_run", "after_training"))
        if given > 1 or (self.start_is_needed and not given):
            raise serializers.ValidationError(
                {"start": ["Give it, or after_run, or after_training, and only one of them."]}
            )
        return attrs


def form_start(data: Mapping[str, Any]) -> dict[str, Any]:
    """The values as the forms have them (policy_training/policy_fields.py)."""
    values = dict(data)
    for name in ("run", "training"):
        if (number := values.pop(f"after_{name}", None)) is not None:
            values["start"] = f"{name}-{number}"
    return values


def trains(body: type[TrainingStartBody], *, is_long: bool = False) -> Callable[..., Any]:
    """An operation that queues the training of a policy, or has it wait for the one that it starts from."""
    return operation(
        Capability.MANAGE,
        body=body,
        answers=OneRunSerializer,
        queues=OneChainedTrainingSerializer,
        queues_note=WAITS,
        creates=True,
        is_long=is_long,
    )


def started(recipe: ChainedTraining.Recipe, asked: Mapping[str, Any]) -> Run | Queued:
    """What the operation answers: the run, or 202 and what waits."""
    made = start_or_chain(recipe, **asked)
    return made if isinstance(made, Run) else Queued(made)


class ChainedQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(ChainedTraining.State.choices, required=False)


class ChainedTrainings(ProjectApiView):
    @operation(Capability.REVIEW, lists=ChainedTrainingSerializer, query=ChainedQuery)
    def get(self, request: Request) -> QuerySet[ChainedTraining]:
        """Trainings that wait, or waited, for the policy that they start from."""
        rows = self.project.chained_trainings.select_related(
            "requested_by", "after_run", "after_training__run"
        )
        return rows.defer("arguments")


class OneChainedTraining(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneChainedTrainingSerializer)
    def get(self, request: Request, pk: int) -> ChainedTraining:
        """One of them, with what was asked."""
        return access_chained(self.project, pk)


class CancelChainedTraining(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneChainedTrainingSerializer)
    def post(self, request: Request, pk: int) -> ChainedTraining:
        """Do not train it; what waits for it stays."""
        cancel_chained(actor=self.actor, training=access_chained(self.project, pk))
        return access_chained(self.project, pk)


class RetryChainedTraining(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneChainedTrainingSerializer)
    def post(self, request: Request, pk: int) -> ChainedTraining:
        """Have one that was refused or cancelled wait again."""
        retry_chained(actor=self.actor, training=access_chained(self.project, pk))
        return access_chained(self.project, pk)
