"""Guidelines. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Guideline(TypedDict):
    version: int
    text: str
    created_at: str


class NewGuidelineRequest(TypedDict):
    text: str
    expected_version: NotRequired[int]


class ListGuidelinesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class GuidelinesResource(Resource):
    def list(self, **query: Unpack[ListGuidelinesQuery]) -> Pages[Guideline]:
        """The guideline in force first, then earlier versions (for annotators the one in force alone)."""
        return cast(
            Pages[Guideline],
            self.perform(
                Operation("list_guidelines", "GET", "/projects/{slug}/guidelines", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewGuidelineRequest]) -> Guideline:
        """A new version, in force at once."""
        return cast(
            Guideline,
            self.perform(
                Operation(
                    "post_guidelines", "POST", "/projects/{slug}/guidelines", answer="json", keyed=True
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
