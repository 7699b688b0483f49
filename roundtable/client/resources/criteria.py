"""Criteria. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Criterion(TypedDict):
    id: int
    name: str
    question: str
    created_at: str


class NewCriterionRequest(TypedDict):
    name: str
    question: str


class ListCriteriaQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class CriteriaResource(Resource):
    def list(self, **query: Unpack[ListCriteriaQuery]) -> Pages[Criterion]:
        """What is judged."""
        return cast(
            Pages[Criterion],
            self.perform(
                Operation("list_criteria", "GET", "/projects/{slug}/criteria", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewCriterionRequest]) -> Criterion:
        """One more criterion."""
        return cast(
            Criterion,
            self.perform(
                Operation("post_criteria", "POST", "/projects/{slug}/criteria", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
