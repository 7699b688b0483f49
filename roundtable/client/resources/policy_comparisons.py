"""Policy comparisons. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OneRun
from roundtable.operations import Operation


class AlongBodyRequest(TypedDict):
    settings: NotRequired[dict[str, Any]]
    preset: NotRequired[Literal["plain", "secrets"]]
    reward_model: int
    further_reward_models: NotRequired[list[int]]
    prompt_set: int
    prompts: NotRequired[int]
    server: NotRequired[str]
    model: NotRequired[str]
    question: NotRequired[str]
    criteria: NotRequired[list[str]]
    overlap: NotRequired[int]
    run: int
    steps: NotRequired[list[int]]


class CompareBodyRequest(TypedDict):
    settings: NotRequired[dict[str, Any]]
    preset: NotRequired[Literal["plain", "secrets"]]
    reward_model: int
    further_reward_models: NotRequired[list[int]]
    prompt_set: int
    prompts: NotRequired[int]
    server: NotRequired[str]
    model: NotRequired[str]
    question: NotRequired[str]
    criteria: NotRequired[list[str]]
    overlap: NotRequired[int]
    policy: int
    others: NotRequired[list[int]]
    sources: NotRequired[list[int]]
    outside_server: NotRequired[str]
    outside_models: NotRequired[list[str]]
    with_reference: NotRequired[bool]


class OneComparison(TypedDict):
    id: int
    policy: int
    reward_model: int
    further_reward_models: list[int]
    prompt_set: str
    of_run: int | None
    run: int
    batches: list[int]
    report: Any
    created_at: str
    verdicts: list[Verdicts]


class PolicyComparison(TypedDict):
    id: int
    policy: int
    reward_model: int
    further_reward_models: list[int]
    prompt_set: str
    of_run: int | None
    run: int
    batches: list[int]
    report: Any
    created_at: str


class TagShares(TypedDict):
    win: int
    tie: int
    lose: int
    unclear: int
    share: float | None
    low: float | None
    high: float | None
    tag: str


class Verdicts(TypedDict):
    win: int
    tie: int
    lose: int
    unclear: int
    share: float | None
    low: float | None
    high: float | None
    other: str
    by: Literal["reward_model", "judge", "people"]
    criterion: str
    reward_model: int | None
    score: float | None
    equal_answers: int | None
    tags: list[TagShares]


class ListPolicyComparisonsQuery(TypedDict):
    limit: NotRequired[int]
    of_run: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    policy: NotRequired[int]


class PolicyComparisonsResource(Resource):
    def list(self, **query: Unpack[ListPolicyComparisonsQuery]) -> Pages[PolicyComparison]:
        """Policies beside others on the same prompts, and trainings along their checkpoints."""
        return cast(
            Pages[PolicyComparison],
            self.perform(
                Operation(
                    "list_policy_comparisons", "GET", "/projects/{slug}/policy-comparisons", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[CompareBodyRequest]) -> OneRun:
        """Queue the comparison of a policy with others, by reward models, a judge and people."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_policy_comparisons",
                    "POST",
                    "/projects/{slug}/policy-comparisons",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> OneComparison:
        """A comparison with the verdicts of its reward models, its judge and people."""
        return cast(
            OneComparison,
            self.perform(
                Operation(
                    "get_policy_comparisons_id",
                    "GET",
                    "/projects/{slug}/policy-comparisons/{id}",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def along(self, *, idempotency_key: str | None = None, **body: Unpack[AlongBodyRequest]) -> OneRun:
        """Queue the comparison of a training's checkpoints with its start, by reward models, a judge and
        people."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_policy_comparisons_along",
                    "POST",
                    "/projects/{slug}/policy-comparisons/along",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
