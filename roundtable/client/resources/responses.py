"""Responses. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class AddedResponses(TypedDict):
    responses: list[Response]


class NewResponseRowRequest(TypedDict):
    prompt_id: str
    text: NotRequired[str]
    turns: NotRequired[list[dict[str, Any]]]
    source: str
    source_kind: NotRequired[Literal["policy", "person", "reference", "import"]]
    response_id: NotRequired[str]
    sampling: NotRequired[dict[str, Any]]
    ended: NotRequired[bool | None]


class NewResponsesRequest(TypedDict):
    rows: list[NewResponseRowRequest]


class Response(TypedDict):
    id: int
    response_id: str
    prompt_id: str
    text: str
    turns: Any
    source: str
    source_kind: Literal["policy", "person", "reference", "import"]
    sampling: Any
    ended: bool | None
    created_at: str


class ListResponsesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    prompt_id: NotRequired[str]
    response_id: NotRequired[str]
    source: NotRequired[str]
    source_kind: NotRequired[Literal["policy", "person", "reference", "import"]]


class ResponsesResource(Resource):
    def list(self, **query: Unpack[ListResponsesQuery]) -> Pages[Response]:
        """The project's responses, with whose they are."""
        return cast(
            Pages[Response],
            self.perform(
                Operation("list_responses", "GET", "/projects/{slug}/responses", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewResponsesRequest]
    ) -> AddedResponses:
        """Add responses to prompts that are there; in the order of the rows."""
        return cast(
            AddedResponses,
            self.perform(
                Operation("post_responses", "POST", "/projects/{slug}/responses", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Response:
        """A response."""
        return cast(
            Response,
            self.perform(
                Operation("get_responses_id", "GET", "/projects/{slug}/responses/{id}", answer="json"),
                {"id": id},
            ),
        )
