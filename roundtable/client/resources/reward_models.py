"""Reward models. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import (
    NewPushRequest,
    OneRun,
    PatchedModelDescriptionRequest,
    Presets,
    Run,
)
from roundtable.client.streams import Download
from roundtable.operations import Operation


class EvaluateRewardModelBodyRequest(TypedDict):
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    dataset: int
    split: NotRequired[Literal["train", "validation", "test"]]
    consensus: NotRequired[bool]
    ratings: NotRequired[str]


class OneRewardModel(TypedDict):
    id: int
    name: str
    criteria: list[str]
    dataset: int
    run: int
    sha256: str
    licence: str
    notes: str
    created_at: str
    report: Any


class PromptToScoreRequest(TypedDict):
    messages: list[dict[str, Any]]
    responses: list[str | list[dict[str, Any]]]
    ended: NotRequired[list[bool | None]]


class RemoteRewards(TypedDict):
    rewards: list[float]
    scores: list[float]
    truncated: list[bool]


class RewardModel(TypedDict):
    id: int
    name: str
    criteria: list[str]
    dataset: int
    run: int
    sha256: str
    licence: str
    notes: str
    created_at: str


class RewardModelEvaluation(TypedDict):
    id: int
    reward_model: int
    dataset: int
    split: str
    run: int
    report: Any
    created_at: str


class Rewards(TypedDict):
    rewards: list[float]
    normalized: list[float] | None
    truncated: list[bool]
    truncated_prompts: list[bool]
    model: ScoringModel


class ScoringModel(TypedDict):
    id: int
    name: str
    criteria: list[str]
    dataset: int
    sha256: str
    reward_spread: float | None


class Serving(TypedDict):
    reward_model: int
    state: Literal["stopped", "waiting", "starting", "ready", "failed"]
    error: str
    requested_at: str | None
    ready_at: str | None
    last_used_at: str | None
    n_requests: int
    n_rewards: int
    retry_at: str | None
    stop_requested: bool
    worker_alive: bool


class TextsInTemplateRequest(TypedDict):
    query: list[str]
    prompts: list[str]
    labels: NotRequired[list[Any]]


class TextsToScoreRequest(TypedDict):
    messages: NotRequired[list[dict[str, Any]]]
    responses: NotRequired[list[str | list[dict[str, Any]]]]
    ended: NotRequired[list[bool | None]]
    prompts: NotRequired[list[PromptToScoreRequest]]


class TrainBodyRequest(TypedDict):
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    dataset: NotRequired[int]
    criteria: NotRequired[list[str]]
    batches: NotRequired[list[str]]
    annotator_kinds: NotRequired[list[Literal["person", "simulated", "ai"]]]
    consensus: NotRequired[bool]
    consensus_labels: NotRequired[bool]
    annotator_weights: NotRequired[bool]
    ratings: NotRequired[str]
    points_per_grade: NotRequired[float]
    name: str
    preset: NotRequired[Literal["instructgpt", "llama2", "n_plus", "secrets", "stiennon", "tiny"]]
    start_policy: NotRequired[int]
    start_reward_model: NotRequired[int]


class ListRewardModelsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id", "-name", "name"]]


class ListRewardModelsIdEvaluationsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class RewardModelsResource(Resource):
    def list(self, **query: Unpack[ListRewardModelsQuery]) -> Pages[RewardModel]:
        """The project's reward models."""
        return cast(
            Pages[RewardModel],
            self.perform(
                Operation("list_reward_models", "GET", "/projects/{slug}/reward-models", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> OneRewardModel:
        """A reward model and its report: accuracy with intervals, calibration, counts."""
        return cast(
            OneRewardModel,
            self.perform(
                Operation(
                    "get_reward_models_id", "GET", "/projects/{slug}/reward-models/{id}", answer="json"
                ),
                {"id": id},
            ),
        )

    def update(
        self,
        id: int,
        *,
        seen: Mapping[str, object] | None = None,
        **body: Unpack[PatchedModelDescriptionRequest],
    ) -> OneRewardModel:
        """Change what its card says: licence and notes. The model stays."""
        return cast(
            OneRewardModel,
            self.perform(
                Operation(
                    "patch_reward_models_id",
                    "PATCH",
                    "/projects/{slug}/reward-models/{id}",
                    answer="json",
                    compares=True,
                ),
                {"id": id},
                seen=seen,
                body=body,
            ),
        )

    def archive(self, id: int) -> Download:
        """Its folder with its card, as a zip archive made while it is sent."""
        return cast(
            Download,
            self.perform(
                Operation(
                    "get_reward_models_id_archive",
                    "GET",
                    "/projects/{slug}/reward-models/{id}/archive",
                    answer="file",
                ),
                {"id": id},
            ),
        )

    def evaluations(
        self, id: int, **query: Unpack[ListRewardModelsIdEvaluationsQuery]
    ) -> Pages[RewardModelEvaluation]:
        """How a reward model did on judgments of datasets."""
        return cast(
            Pages[RewardModelEvaluation],
            self.perform(
                Operation(
                    "list_reward_models_id_evaluations",
                    "GET",
                    "/projects/{slug}/reward-models/{id}/evaluations",
                    answer="page",
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create_evaluations(
        self, id: int, *, idempotency_key: str | None = None, **body: Unpack[EvaluateRewardModelBodyRequest]
    ) -> OneRun:
        """Queue an evaluation."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_reward_models_id_evaluations",
                    "POST",
                    "/projects/{slug}/reward-models/{id}/evaluations",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )

    def push(self, id: int, *, idempotency_key: str | None = None, **body: Unpack[NewPushRequest]) -> Run:
        """Queue its push to a repository of the Hugging Face Hub."""
        return cast(
            Run,
            self.perform(
                Operation(
                    "post_reward_models_id_push",
                    "POST",
                    "/projects/{slug}/reward-models/{id}/push",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )

    def score(self, id: int, **body: Unpack[TextsToScoreRequest]) -> Rewards:
        """The rewards of responses."""
        return cast(
            Rewards,
            self.perform(
                Operation(
                    "post_reward_models_id_score",
                    "POST",
                    "/projects/{slug}/reward-models/{id}/score",
                    answer="json",
                    reads=True,
                ),
                {"id": id},
                body=body,
            ),
        )

    def score_rendered(self, id: int, **body: Unpack[TextsInTemplateRequest]) -> RemoteRewards:
        """The rewards of texts that are in the chat template already, in the form of OpenRLHF's remote reward
        model."""
        return cast(
            RemoteRewards,
            self.perform(
                Operation(
                    "post_reward_models_id_score_rendered",
                    "POST",
                    "/projects/{slug}/reward-models/{id}/score-rendered",
                    answer="json",
                    reads=True,
                ),
                {"id": id},
                body=body,
            ),
        )

    def serving(self, id: int) -> Serving:
        """Whether the reward model is loaded and answers requests for rewards."""
        return cast(
            Serving,
            self.perform(
                Operation(
                    "get_reward_models_id_serving",
                    "GET",
                    "/projects/{slug}/reward-models/{id}/serving",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def serving_start(self, id: int) -> Serving:
        """Have a worker load the reward model now, before the first request does."""
        return cast(
            Serving,
            self.perform(
                Operation(
                    "post_reward_models_id_serving_start",
                    "POST",
                    "/projects/{slug}/reward-models/{id}/serving/start",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def serving_stop(self, id: int) -> Serving:
        """Unload the reward model. What it was asked before is still answered; the next request loads it
        again."""
        return cast(
            Serving,
            self.perform(
                Operation(
                    "post_reward_models_id_serving_stop",
                    "POST",
                    "/projects/{slug}/reward-models/{id}/serving/stop",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def presets(self) -> Presets:
        """The presets of reward models, every value with its source."""
        return cast(
            Presets,
            self.perform(
                Operation(
                    "get_reward_models_presets",
                    "GET",
                    "/projects/{slug}/reward-models/presets",
                    answer="json",
                ),
                {},
            ),
        )

    def train(self, *, idempotency_key: str | None = None, **body: Unpack[TrainBodyRequest]) -> OneRun:
        """Queue the training of a reward model, on a frozen dataset or on the judgments there are now."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_reward_models_train",
                    "POST",
                    "/projects/{slug}/reward-models/train",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
