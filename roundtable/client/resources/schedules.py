"""Schedules. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import ShareOfSetRequest, StepValuesRequest
from roundtable.operations import Operation


class Firing(TypedDict):
    id: int
    due_at: str
    missed: int
    state: Literal["waiting", "started", "failed", "dropped"]
    round: NotRequired[int | None]
    error: str
    settled_at: str | None


class NewScheduleRequest(TypedDict):
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
    trigger: Literal["at", "weekly", "after_round", "judgments"]
    at: NotRequired[str]
    weekday: NotRequired[int]
    time_of_day: NotRequired[str]
    judgments: NotRequired[int]
    repeats: NotRequired[bool]
    newest_policy: NotRequired[bool]


class OneSchedule(TypedDict):
    id: int
    trigger: Literal["at", "weekly", "after_round", "judgments"]
    at: str | None
    weekday: int | None
    time_of_day: str | None
    judgments: int | None
    repeats: bool
    criterion: str
    prompt_set: int
    start_policy: int | None
    paused_at: str | None
    ended_at: str | None
    created_at: str
    plan: Any
    firings: list[Firing]


class Schedule(TypedDict):
    id: int
    trigger: Literal["at", "weekly", "after_round", "judgments"]
    at: str | None
    weekday: int | None
    time_of_day: str | None
    judgments: int | None
    repeats: bool
    criterion: str
    prompt_set: int
    start_policy: int | None
    paused_at: str | None
    ended_at: str | None
    created_at: str


class ListSchedulesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    trigger: NotRequired[Literal["at", "weekly", "after_round", "judgments"]]


class SchedulesResource(Resource):
    def drop_firing(self, id: int) -> Firing:
        """Give up a time that waits."""
        return cast(
            Firing,
            self.perform(
                Operation(
                    "post_firings_id_drop", "POST", "/projects/{slug}/firings/{id}/drop", answer="json"
                ),
                {"id": id},
            ),
        )

    def retry_firing(self, id: int) -> Firing:
        """Try a time again whose round could not start."""
        return cast(
            Firing,
            self.perform(
                Operation(
                    "post_firings_id_retry", "POST", "/projects/{slug}/firings/{id}/retry", answer="json"
                ),
                {"id": id},
            ),
        )

    def list(self, **query: Unpack[ListSchedulesQuery]) -> Pages[Schedule]:
        """The project's schedules."""
        return cast(
            Pages[Schedule],
            self.perform(
                Operation("list_schedules", "GET", "/projects/{slug}/schedules", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewScheduleRequest]
    ) -> OneSchedule:
        """A round of these values, later."""
        return cast(
            OneSchedule,
            self.perform(
                Operation("post_schedules", "POST", "/projects/{slug}/schedules", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> OneSchedule:
        """A schedule and its last times."""
        return cast(
            OneSchedule,
            self.perform(
                Operation("get_schedules_id", "GET", "/projects/{slug}/schedules/{id}", answer="json"),
                {"id": id},
            ),
        )

    def delete(self, id: int) -> None:
        """Delete it; rounds that it started stay."""
        self.perform(
            Operation("delete_schedules_id", "DELETE", "/projects/{slug}/schedules/{id}", answer="nothing"),
            {"id": id},
        )

    def pause(self, id: int) -> OneSchedule:
        """Nothing falls due meanwhile."""
        return cast(
            OneSchedule,
            self.perform(
                Operation(
                    "post_schedules_id_pause", "POST", "/projects/{slug}/schedules/{id}/pause", answer="json"
                ),
                {"id": id},
            ),
        )

    def resume(self, id: int) -> OneSchedule:
        """Go on from now."""
        return cast(
            OneSchedule,
            self.perform(
                Operation(
                    "post_schedules_id_resume",
                    "POST",
                    "/projects/{slug}/schedules/{id}/resume",
                    answer="json",
                ),
                {"id": id},
            ),
        )
