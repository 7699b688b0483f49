"""Guidelines. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Confirmed(TypedDict):
    confirmed: int


class Guideline(TypedDict):
    version: int
    text: str
    created_at: str


class NewGuidelineRequest(TypedDict):
    text: str
    expected_version: NotRequired[int]


class Reader(TypedDict):
    username: str
    confirmed_at: str | None


class ToConfirm(TypedDict):
    version: int
    readers: list[Reader]


class VersionToConfirmRequest(TypedDict):
    version: int


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

    def put_confirm(self, **body: Unpack[VersionToConfirmRequest]) -> Confirmed:
        """The caller has read this version of the guideline: they get tasks again."""
        return cast(
            Confirmed,
            self.perform(
                Operation(
                    "put_guidelines_confirm", "PUT", "/projects/{slug}/guidelines/confirm", answer="json"
                ),
                {},
                body=body,
            ),
        )

    def confirmation(self) -> ToConfirm:
        """Who has confirmed the newest guideline that has to be."""
        return cast(
            ToConfirm,
            self.perform(
                Operation(
                    "get_guidelines_confirmation",
                    "GET",
                    "/projects/{slug}/guidelines/confirmation",
                    answer="json",
                ),
                {},
            ),
        )

    def put_confirmation(self, **body: Unpack[VersionToConfirmRequest]) -> ToConfirm:
        """Ask everybody to confirm the guideline in force before their next task."""
        return cast(
            ToConfirm,
            self.perform(
                Operation(
                    "put_guidelines_confirmation",
                    "PUT",
                    "/projects/{slug}/guidelines/confirmation",
                    answer="json",
                ),
                {},
                body=body,
            ),
        )
