"""Reward models as a service: rewards of texts, and the state of what gives them."""

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request

from annotation.api.content import MessagesField
from annotation.text import clean_answer, clean_messages
from learning.interface.messages import Answer
from rewardmodel.access import access_reward_model
from rewardmodel.models import RewardModel, Serving
from rewardmodel.serving.actions import start_serving, stop_serving
from rewardmodel.serving.asking import ask_for_rewards, workers_serve
from rewardmodel.serving.errors import ScorerUnavailable
from rewardmodel.serving.presentation import serving_of
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.fields import rows_of
from workspace.api.operations import operation
from workspace.roles import Capability

MAX_RESPONSES = 256  # of one request


class ServiceUnavailable(APIException):
    status_code = 503

    def __init__(self, error: ScorerUnavailable) -> None:
        super().__init__(error.message, error.code)
        self.wait = error.retry_after


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "object", "additionalProperties": {}}},
        ]
    }
)
class AnswerField(serializers.Field):
    """A response: its text, or its turns where it calls tools."""

    def to_internal_value(self, data: Any) -> Answer:
        if not isinstance(data, str) and not (
            isinstance(data, list) and all(isinstance(t, dict) for t in data)
        ):
            raise ValidationError("A response is a text, or a list of messages.")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class AnswersField(serializers.ListField):
    def __init__(self, **options: Any) -> None:
        super().__init__(child=AnswerField(), min_length=1, max_length=MAX_RESPONSES, **options)


class EndedField(serializers.ListField):
    def __init__(self) -> None:
        super().__init__(
            child=serializers.BooleanField(allow_null=True),
            required=False,
            max_length=MAX_RESPONSES,
            help_text="Of each response: false where its sampler cut it off, so that it is read without an end token.",
        )


class PromptToScore(Body):
    messages = MessagesField()
    responses = AnswersField()
    ended = EndedField()


class TextsToScore(Body):
    """`messages` and `responses` of one prompt, or several of them in `prompts`."""

    messages = MessagesField(required=False)
    responses = AnswersField(required=False)
    ended = EndedField()
    prompts = rows_of(PromptToScore, required=False, min_length=1, max_length=MAX_RESPONSES)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        one, several = {"messages", "responses"} & set(attrs), "prompts" in attrs
        if several == bool(one) or (one and len(one) < 2) or (several and "ended" in attrs):
            raise ValidationError("Give either messages and responses, or prompts with these in each.")
        prompts = attrs.get("prompts") or [attrs]
        if sum(len(prompt["responses"]) for prompt in prompts) > MAX_RESPONSES:
            raise ValidationError(f"There are more than {MAX_RESPONSES} responses: send them in parts.")
        return {"conversations": [_conversation(number, prompt) for number, prompt in enumerate(prompts)]}


def _conversation(number: int, prompt: dict[str, Any]) -> dict[str, Any]:
    responses, ended = prompt["responses"], prompt.get("ended")
    if ended is not None and len(ended) != len(responses):
        raise ValidationError(
            f"prompts.{number}: ended has {len(ended)} values for {len(responses)} responses."
        )
    return {
        "messages": clean_messages(prompt["messages"], f"Prompt {number}"),
        "responses": [
            clean_answer(answer, f"Prompt {number}, response {index}")
            for index, answer in enumerate(responses)
        ],
        "ended": ended or [None] * len(responses),
    }


class TextsInTemplate(Body):
    """As trainers send them that have applied the chat template themselves."""

    query = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False),
        min_length=1,
        max_length=MAX_RESPONSES,
        help_text="Prompt and response together.",
    )
    prompts = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False),
        min_length=1,
        max_length=MAX_RESPONSES,
        help_text="With what each query begins.",
    )
    labels = serializers.ListField(
        child=serializers.JSONField(allow_null=True), required=False, help_text="Not used."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs["query"]) != len(attrs["prompts"]):
            raise ValidationError("Give as many prompts as queries.")
        return {"queries": attrs["query"], "prompts": attrs["prompts"]}


class ScoringModelSerializer(serializers.ModelSerializer[RewardModel]):
    criteria = serializers.SerializerMethodField()
    dataset: Any = serializers.IntegerField(source="dataset_id")
    sha256 = serializers.CharField(source="artifact.sha256")
    reward_spread = serializers.SerializerMethodField(
        help_text="Standard deviation of its rewards on held-out comparisons; null where there were none."
    )

    class Meta:
        model = RewardModel
        fields = ["id", "name", "criteria", "dataset", "sha256", "reward_spread"]
        read_only_fields = fields

    def get_criteria(self, model: RewardModel) -> list[str]:
        return [criterion.name for criterion in model.criteria.all()]

    def get_reward_spread(self, model: RewardModel) -> float | None:
        return reward_spread(model)


class RewardsSerializer(serializers.Serializer[Any]):
    rewards = serializers.ListField(
        child=serializers.FloatField(),
        help_text="Of each response in the order asked; demonstrations have mean 0.",
    )
    normalized = serializers.ListField(
        child=serializers.FloatField(),
        allow_null=True,
        help_text="Rewards divided by the model's reward_spread; null where that is.",
    )
    truncated = serializers.ListField(
        child=serializers.BooleanField(),
        help_text="Of each response: longer than the model reads, and cut there.",
    )
    truncated_prompts = serializers.ListField(
        child=serializers.BooleanField(), help_text="Of each prompt: its earliest turns were left out."
    )
    model = ScoringModelSerializer()


class RemoteRewardsSerializer(serializers.Serializer[Any]):
    rewards = serializers.ListField(child=serializers.FloatField())
    scores = serializers.ListField(child=serializers.FloatField(), help_text="The same.")
    truncated = serializers.ListField(child=serializers.BooleanField())


class ServingSerializer(serializers.ModelSerializer[Serving]):
    reward_model: Any = serializers.IntegerField(source="reward_model_id")
    state = serializers.ChoiceField(Serving.State.choices)
    requested_at = serializers.DateTimeField(allow_null=True, help_text="null: it never was.")
    worker_alive = serializers.SerializerMethodField(
        help_text="Whether a worker is there that serves models."
    )

    class Meta:
        model = Serving
        fields = [
            "reward_model", "state", "error", "requested_at", "ready_at", "last_used_at", "n_requests", "n_rewards",
            "retry_at", "stop_requested", "worker_alive",
        ]  # fmt: skip
        read_only_fields = fields

    def get_worker_alive(self, serving: Serving) -> bool:
        return workers_serve()


def reward_spread(model: RewardModel) -> float | None:
    found = model.report.get("reward_spread")
    return float(found) if isinstance(found, int | float) and 0 < found < float("inf") else None


def _answered(ask: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
    try:
        return ask(**arguments)
    except ScorerUnavailable as error:
        raise ServiceUnavailable(error) from error


class ScoreTexts(ProjectApiView):
    @operation(Capability.SCORE, body=TextsToScore, answers=RewardsSerializer, changes=False)
    def post(self, request: Request, pk: int, data: dict[str, Any]) -> dict[str, Any]:
        """The rewards of responses.

        The model is loaded by a worker when it is not; 503 with Retry-After says that it takes a moment. Nothing is
        stored, and a token that only reads may call it. Texts are read as in training: a prompt that is too long loses
        its earliest turns, a response its end, and the answer says so.
        """
        model = access_reward_model(self.project, pk)
        found = _answered(ask_for_rewards, actor=self.actor, reward_model=model, texts=data)
        spread = reward_spread(model)
        normalized = [reward / spread for reward in found["rewards"]] if spread else None
        return found | {"normalized": normalized, "model": model}


class ScoreTextsInTemplate(ProjectApiView):
    @operation(Capability.SCORE, body=TextsInTemplate, answers=RemoteRewardsSerializer, changes=False)
    def post(self, request: Request, pk: int, data: dict[str, Any]) -> dict[str, Any]:
        """The rewards of texts that are in the chat template already, in the form of OpenRLHF's remote reward model.

        The template is not applied again: texts in another template than this model's are refused. A response is what
        follows its prompt in the query.
        """
        model = access_reward_model(self.project, pk)
        found = _answered(ask_for_rewards, actor=self.actor, reward_model=model, texts=data)
        return {"rewards": found["rewards"], "scores": found["rewards"], "truncated": found["truncated"]}


class OneServing(ProjectApiView):
    @operation(Capability.REVIEW, answers=ServingSerializer)
    def get(self, request: Request, pk: int) -> Serving:
        """Whether the reward model is loaded and answers requests for rewards."""
        return serving_of(access_reward_model(self.project, pk))


class StartServing(ProjectApiView):
    @operation(Capability.MANAGE, answers=ServingSerializer)
    def post(self, request: Request, pk: int) -> Serving:
        """Have a worker load the reward model now, before the first request does."""
        return start_serving(actor=self.actor, reward_model=access_reward_model(self.project, pk))


class StopServing(ProjectApiView):
    @operation(Capability.MANAGE, answers=ServingSerializer)
    def post(self, request: Request, pk: int) -> Serving:
        """Unload the reward model. What it was asked before is still answered; the next request loads it again."""
        return stop_serving(actor=self.actor, reward_model=access_reward_model(self.project, pk))
