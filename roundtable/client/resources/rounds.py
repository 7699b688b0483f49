"""Rounds. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import ShareOfSetRequest, StepValuesRequest
from roundtable.operations import Operation


class OneRound(TypedDict):
    number: int
    stage: Literal[
        "sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled"
    ]
    failed_stage: Literal[
        "sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled", ""
    ]
    error: str
    criterion: str
    prompt_set: int
    start_policy: int
    comparison_policy: int | None
    batch: int | None
    dataset: int | None
    reward_model: int | None
    new_policy: int | None
    annotation_deadline: str | None
    started_by: str
    created_at: str
    finished_at: str | None
    plan: Any
    timeline: list[StageEntry]
    runs: list[RoundRun]
    counted_judgments: int


class ReopenedAnnotationRequest(TypedDict):
    quota: NotRequired[int]


class Round(TypedDict):
    number: int
    stage: Literal[
        "sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled"
    ]
    failed_stage: Literal[
        "sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled", ""
    ]
    error: str
    criterion: str
    prompt_set: int
    start_policy: int
    comparison_policy: int | None
    batch: int | None
    dataset: int | None
    reward_model: int | None
    new_policy: int | None
    annotation_deadline: str | None
    started_by: str
    created_at: str
    finished_at: str | None


class RoundRun(TypedDict):
    run: int
    stage: Literal[
        "sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled"
    ]
    purpose: Literal["stage", "head_to_head"]
    step: int
    state: str


class RoundValuesRequest(TypedDict):
    trained_sets: NotRequired[list[ShareOfSetRequest]]
    trained_are: NotRequired[Literal["weights", "numbers"]]
    trained_prompts: NotRequired[int]
    trained_short: NotRequired[Literal["refuse", "top_up"]]
    preset: Literal["instructgpt", "llama2", "tiny"]
    criterion: str
    start_policy: NotRequired[int]
    start_from: NotRequired[Literal["last", "selected", "named_policy"]]
    prompt_set: int
    compared_sets: NotRequired[list[ShareOfSetRequest]]
    compared_are: NotRequired[Literal["weights", "numbers"]]
    compared_short: NotRequired[Literal["refuse", "top_up", "repeat"]]
    sampling_server: NotRequired[str]
    sampling_model: NotRequired[str]
    servers_may_be_away: NotRequired[bool]
    prompts: NotRequired[int]
    responses_per_task: NotRequired[int]
    temperatures: NotRequired[list[float]]
    max_prompt_tokens: NotRequired[int]
    max_response_tokens: NotRequired[int]
    reference: NotRequired[Literal["start_policy", "first_policy"]]
    further_reward_models: NotRequired[list[int]]
    further_weights: NotRequired[list[float]]
    further_batches: NotRequired[list[dict[str, Any] | None]]
    further_criteria: NotRequired[list[str]]
    criterion_weights: NotRequired[list[float]]
    criterion_batches: NotRequired[list[dict[str, Any] | None]]
    reward_functions: NotRequired[list[str]]
    function_weights: NotRequired[list[float]]
    function_time_limits: NotRequired[list[float]]
    reward_weight: NotRequired[float]
    reward_combination: NotRequired[Literal["weighted_sum", "safety_gate", "ensemble"]]
    normalize_models: NotRequired[bool]
    safety_threshold: NotRequired[float]
    risky_tag: NotRequired[str]
    spread_coefficient: NotRequired[float]
    whiten_rewards: NotRequired[bool]
    reference_policy: NotRequired[int]
    ppo_preset: NotRequired[
        Literal[
            "a2c",
            "a2c_repeated",
            "adaptive_kl",
            "instructgpt",
            "llama2",
            "lora",
            "n_plus",
            "ppo_max",
            "ppo_penalty",
            "ppo_vanilla",
            "secrets_advantage_clip",
            "secrets_entropy_bonus",
            "secrets_fixed_reference",
            "secrets_reward_scaling",
            "stiennon",
            "tiny",
        ]
    ]
    policy_options: NotRequired[dict[str, Any]]
    reward_model_preset: NotRequired[
        Literal["instructgpt", "llama2", "n_plus", "secrets", "stiennon", "tiny"]
    ]
    reward_model_criteria: NotRequired[list[str]]
    plan_options: NotRequired[dict[str, Any]]
    steps: NotRequired[list[StepValuesRequest]]
    meet_previous: NotRequired[bool]
    meet_first: NotRequired[bool]
    meet_reference: NotRequired[bool]
    batches: NotRequired[list[int]]
    overlap: NotRequired[int]
    quota: NotRequired[int]
    max_hours: NotRequired[float]


class StageEntry(TypedDict):
    stage: Literal[
        "sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled"
    ]
    reason: str
    created_at: str


class ListRoundsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-number", "number"]]
    stage: NotRequired[
        Literal["sampling", "annotating", "reward_model", "policy", "scoring", "done", "failed", "cancelled"]
    ]


class RoundsResource(Resource):
    def list(self, **query: Unpack[ListRoundsQuery]) -> Pages[Round]:
        """The project's rounds."""
        return cast(
            Pages[Round],
            self.perform(
                Operation("list_rounds", "GET", "/projects/{slug}/rounds", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[RoundValuesRequest]) -> OneRound:
        """Start a round."""
        return cast(
            OneRound,
            self.perform(
                Operation("post_rounds", "POST", "/projects/{slug}/rounds", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, number: int) -> OneRound:
        """A round: its plan, how far it is, what it made."""
        return cast(
            OneRound,
            self.perform(
                Operation("get_rounds_number", "GET", "/projects/{slug}/rounds/{number}", answer="json"),
                {"number": number},
            ),
        )

    def cancel(self, number: int) -> OneRound:
        """End it; what it made stays."""
        return cast(
            OneRound,
            self.perform(
                Operation(
                    "post_rounds_number_cancel",
                    "POST",
                    "/projects/{slug}/rounds/{number}/cancel",
                    answer="json",
                ),
                {"number": number},
            ),
        )

    def start_next(self, number: int, *, idempotency_key: str | None = None) -> OneRound:
        """Start the next round from its new policy, by the same plan."""
        return cast(
            OneRound,
            self.perform(
                Operation(
                    "post_rounds_number_continue",
                    "POST",
                    "/projects/{slug}/rounds/{number}/continue",
                    answer="json",
                    keyed=True,
                ),
                {"number": number},
                key=idempotency_key,
            ),
        )

    def end_annotation(self, number: int) -> OneRound:
        """Go on with the judgments there are."""
        return cast(
            OneRound,
            self.perform(
                Operation(
                    "post_rounds_number_end_annotation",
                    "POST",
                    "/projects/{slug}/rounds/{number}/end-annotation",
                    answer="json",
                ),
                {"number": number},
            ),
        )

    def reopen_annotation(self, number: int, **body: Unpack[ReopenedAnnotationRequest]) -> OneRound:
        """Ask people again, after the reward model's training failed."""
        return cast(
            OneRound,
            self.perform(
                Operation(
                    "post_rounds_number_reopen_annotation",
                    "POST",
                    "/projects/{slug}/rounds/{number}/reopen-annotation",
                    answer="json",
                ),
                {"number": number},
                body=body,
            ),
        )

    def retry(self, number: int) -> OneRound:
        """Go on from the stage that failed."""
        return cast(
            OneRound,
            self.perform(
                Operation(
                    "post_rounds_number_retry",
                    "POST",
                    "/projects/{slug}/rounds/{number}/retry",
                    answer="json",
                ),
                {"number": number},
            ),
        )
