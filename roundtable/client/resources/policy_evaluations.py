"""Policy evaluations. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OneRun
from roundtable.operations import Operation


class EvaluatePolicyBodyRequest(TypedDict):
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    preset: NotRequired[Literal["plain", "secrets"]]
    reward_model: int
    further_reward_models: NotRequired[list[int]]
    further_weights: NotRequired[list[float]]
    further_batches: NotRequired[list[dict[str, Any] | None]]
    further_criteria: NotRequired[list[str]]
    criterion_weights: NotRequired[list[float]]
    criterion_batches: NotRequired[list[dict[str, Any] | None]]
    reward_functions: NotRequired[list[str]]
    function_weights: NotRequired[list[float]]
    function_time_limits: NotRequired[list[float]]
    reference: NotRequired[int]
    prompt_set: int
    prompts: NotRequired[int]


class PolicyEvaluation(TypedDict):
    id: int
    policy: int
    reward_model: int
    reference: int | None
    prompt_set: str
    run: int
    report: Any
    created_at: str


class ListPoliciesIdEvaluationsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class PolicyEvaluationsResource(Resource):
    def list(self, id: int, **query: Unpack[ListPoliciesIdEvaluationsQuery]) -> Pages[PolicyEvaluation]:
        """How a policy did by reward models."""
        return cast(
            Pages[PolicyEvaluation],
            self.perform(
                Operation(
                    "list_policies_id_evaluations",
                    "GET",
                    "/projects/{slug}/policies/{id}/evaluations",
                    answer="page",
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, id: int, *, idempotency_key: str | None = None, **body: Unpack[EvaluatePolicyBodyRequest]
    ) -> OneRun:
        """Queue an evaluation."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_policies_id_evaluations",
                    "POST",
                    "/projects/{slug}/policies/{id}/evaluations",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )
