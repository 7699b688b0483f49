"""Returned judgments. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Returned
from roundtable.operations import Operation


class OwnReturned(TypedDict):
    id: int
    assignment: str
    remark: str
    created_at: str


class ReasonRequest(TypedDict):
    reason: NotRequired[str]


class ListReturnedJudgmentsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class ListReturnedJudgmentsOwnQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class ReturnedJudgmentsResource(Resource):
    def list(self, **query: Unpack[ListReturnedJudgmentsQuery]) -> Pages[Returned]:
        """What was sent back, and who stood by it (`kept_at`)."""
        return cast(
            Pages[Returned],
            self.perform(
                Operation(
                    "list_returned_judgments", "GET", "/projects/{slug}/returned-judgments", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def keep(self, id: int, **body: Unpack[ReasonRequest]) -> OwnReturned:
        """The caller stands by a judgment of theirs."""
        return cast(
            OwnReturned,
            self.perform(
                Operation(
                    "post_returned_judgments_id_keep",
                    "POST",
                    "/projects/{slug}/returned-judgments/{id}/keep",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def own(self, **query: Unpack[ListReturnedJudgmentsOwnQuery]) -> Pages[OwnReturned]:
        """What the caller was sent back, and has neither changed nor stood by."""
        return cast(
            Pages[OwnReturned],
            self.perform(
                Operation(
                    "list_returned_judgments_own",
                    "GET",
                    "/projects/{slug}/returned-judgments/own",
                    answer="page",
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
