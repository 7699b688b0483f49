"""Own texts. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OwnText, OwnTextRow
from roundtable.operations import Operation


class DraftNumber(TypedDict):
    draft_number: int


class SentText(TypedDict):
    text: str
    version: int
    late: bool


class SentTextRequest(TypedDict):
    turns: list[str]
    seen_version: NotRequired[int]


class WhyGivenBackRequest(TypedDict):
    reason: str


class WrittenDraftRequest(TypedDict):
    turns: list[str]
    draft_number: int


class ListOwnTextsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class OwnTextsResource(Resource):
    def list(self, **query: Unpack[ListOwnTextsQuery]) -> Pages[OwnTextRow]:
        """What the caller wrote or writes."""
        return cast(
            Pages[OwnTextRow],
            self.perform(
                Operation("list_own_texts", "GET", "/projects/{slug}/own-texts", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, public_id: str) -> OwnText:
        """One of the caller's texts, with what was said of it."""
        return cast(
            OwnText,
            self.perform(
                Operation(
                    "get_own_texts_public_id", "GET", "/projects/{slug}/own-texts/{public_id}", answer="json"
                ),
                {"public_id": public_id},
            ),
        )

    def put_draft(self, public_id: str, **body: Unpack[WrittenDraftRequest]) -> DraftNumber:
        """Keep what is typed so far, and renew the lease."""
        return cast(
            DraftNumber,
            self.perform(
                Operation(
                    "put_own_texts_public_id_draft",
                    "PUT",
                    "/projects/{slug}/own-texts/{public_id}/draft",
                    answer="json",
                ),
                {"public_id": public_id},
                body=body,
            ),
        )

    def skip(self, public_id: str, **body: Unpack[WhyGivenBackRequest]) -> None:
        """Give the text to others; the caller is not given it again."""
        self.perform(
            Operation(
                "post_own_texts_public_id_skip",
                "POST",
                "/projects/{slug}/own-texts/{public_id}/skip",
                answer="nothing",
            ),
            {"public_id": public_id},
            body=body,
        )

    def submit(
        self, public_id: str, *, idempotency_key: str | None = None, **body: Unpack[SentTextRequest]
    ) -> SentText:
        """Send it to be checked. Where somebody else was asked for the same meanwhile, it is kept beside
        theirs."""
        return cast(
            SentText,
            self.perform(
                Operation(
                    "post_own_texts_public_id_submit",
                    "POST",
                    "/projects/{slug}/own-texts/{public_id}/submit",
                    answer="json",
                    keyed=True,
                ),
                {"public_id": public_id},
                key=idempotency_key,
                body=body,
            ),
        )
