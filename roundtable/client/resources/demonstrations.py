"""Demonstrations. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class AddedDemonstrations(TypedDict):
    demonstrations: list[Demonstration]


class Demonstration(TypedDict):
    id: int
    demonstration_id: str
    prompt_id: str
    response: str
    turns: Any
    created_at: str


class NewDemonstrationRowRequest(TypedDict):
    prompt_id: str
    response: NotRequired[str]
    turns: NotRequired[list[dict[str, Any]]]
    demonstration_id: NotRequired[str]


class NewDemonstrationsRequest(TypedDict):
    rows: list[NewDemonstrationRowRequest]


class ListDemonstrationsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    prompt_id: NotRequired[str]
    split: NotRequired[Literal["train", "validation", "test"]]


class DemonstrationsResource(Resource):
    def list(self, **query: Unpack[ListDemonstrationsQuery]) -> Pages[Demonstration]:
        """What people wrote to be imitated."""
        return cast(
            Pages[Demonstration],
            self.perform(
                Operation("list_demonstrations", "GET", "/projects/{slug}/demonstrations", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewDemonstrationsRequest]
    ) -> AddedDemonstrations:
        """Add demonstrations to prompts that are there; the caller is their author."""
        return cast(
            AddedDemonstrations,
            self.perform(
                Operation(
                    "post_demonstrations",
                    "POST",
                    "/projects/{slug}/demonstrations",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Demonstration:
        """A demonstration."""
        return cast(
            Demonstration,
            self.perform(
                Operation(
                    "get_demonstrations_id", "GET", "/projects/{slug}/demonstrations/{id}", answer="json"
                ),
                {"id": id},
            ),
        )
