"""Chained trainings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OneChainedTraining
from roundtable.operations import Operation


class ChainedTraining(TypedDict):
    id: int
    recipe: Literal["sft", "pretrain", "ppo", "policy_gradient", "best_of_n", "dpo"]
    name: str
    title: str
    state: Literal["waiting", "queued", "refused", "cancelled"]
    situation: str
    error: str
    after_run: int | None
    after_training: int | None
    run: int | None
    requested_by: str
    created_at: str


class ListPolicyTrainingsChainedQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["waiting", "queued", "refused", "cancelled"]]


class ChainedTrainingsResource(Resource):
    def list(self, **query: Unpack[ListPolicyTrainingsChainedQuery]) -> Pages[ChainedTraining]:
        """Trainings that wait, or waited, for the policy that they start from."""
        return cast(
            Pages[ChainedTraining],
            self.perform(
                Operation(
                    "list_policy_trainings_chained",
                    "GET",
                    "/projects/{slug}/policy-trainings/chained",
                    answer="page",
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> OneChainedTraining:
        """One of them, with what was asked."""
        return cast(
            OneChainedTraining,
            self.perform(
                Operation(
                    "get_policy_trainings_chained_id",
                    "GET",
                    "/projects/{slug}/policy-trainings/chained/{id}",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def cancel(self, id: int) -> OneChainedTraining:
        """Do not train it; what waits for it stays."""
        return cast(
            OneChainedTraining,
            self.perform(
                Operation(
                    "post_policy_trainings_chained_id_cancel",
                    "POST",
                    "/projects/{slug}/policy-trainings/chained/{id}/cancel",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def retry(self, id: int) -> OneChainedTraining:
        """Have one that was refused or cancelled wait again."""
        return cast(
            OneChainedTraining,
            self.perform(
                Operation(
                    "post_policy_trainings_chained_id_retry",
                    "POST",
                    "/projects/{slug}/policy-trainings/chained/{id}/retry",
                    answer="json",
                ),
                {"id": id},
            ),
        )
