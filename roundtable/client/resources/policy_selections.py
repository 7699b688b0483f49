"""Policy selections. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class PolicySelection(TypedDict):
    id: int
    policy: int
    rule: Literal["best_reward", "reward_within_kl", "one_standard_error", "best_win_rate", "last"]
    max_kl: float | None
    judged_by: Literal["reward_model", "judge", ""]
    reason: str
    settled: str
    report: Any
    chosen_by: str
    created_at: str


class SelectBodyRequest(TypedDict):
    rule: Literal["best_reward", "reward_within_kl", "one_standard_error", "best_win_rate", "last"]
    policies: NotRequired[list[int]]
    evaluations: NotRequired[list[int]]
    comparisons: NotRequired[list[int]]
    max_kl: NotRequired[float]
    judged_by: NotRequired[Literal["reward_model", "judge"]]
    pin: NotRequired[bool]


class ListPolicySelectionsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    policy: NotRequired[int]


class PolicySelectionsResource(Resource):
    def list(self, **query: Unpack[ListPolicySelectionsQuery]) -> Pages[PolicySelection]:
        """Which policies were chosen, by which rule and why."""
        return cast(
            Pages[PolicySelection],
            self.perform(
                Operation(
                    "list_policy_selections", "GET", "/projects/{slug}/policy-selections", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[SelectBodyRequest]
    ) -> PolicySelection:
        """Choose one of several policies that were measured alike, by a rule."""
        return cast(
            PolicySelection,
            self.perform(
                Operation(
                    "post_policy_selections",
                    "POST",
                    "/projects/{slug}/policy-selections",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
