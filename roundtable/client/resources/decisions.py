"""Decisions. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Decision
from roundtable.operations import Operation


class ListDecisionsQuery(TypedDict):
    batch: NotRequired[int]
    kind: NotRequired[Literal["underspecified", "style", "factual", "refusal", "safety", "slip"]]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class DecisionsResource(Resource):
    def list(self, **query: Unpack[ListDecisionsQuery]) -> Pages[Decision]:
        """The decisions that stand, and why annotators disagreed."""
        return cast(
            Pages[Decision],
            self.perform(
                Operation("list_decisions", "GET", "/projects/{slug}/decisions", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
