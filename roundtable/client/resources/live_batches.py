"""Live batches. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OneBatch
from roundtable.operations import Operation


class BatchFromConversationsRequest(TypedDict):
    name: str
    criterion: NotRequired[str]
    live_batches: NotRequired[list[int]]
    most: NotRequired[int]
    least_turns: NotRequired[int]
    skip_compared: NotRequired[bool]
    overlap: NotRequired[int]
    open: NotRequired[bool]


class Conversation(TypedDict):
    id: int
    annotator: str
    turns: int
    judged: int
    ended_at: str | None
    created_at: str


class LiveBatch(TypedDict):
    id: int
    name: str
    state: Literal["draft", "open", "closed"]
    criterion: str
    quota: int
    sides: list[Side]
    top_p: float
    system_prompt: str
    instruction: str
    openers: Any
    max_turns: int
    max_response_tokens: int
    max_message_characters: int
    created_at: str


class NewLiveBatchRequest(TypedDict):
    name: str
    criterion: NotRequired[str]
    quota: int
    sides: list[NewSideRequest]
    top_p: NotRequired[float]
    system_prompt: NotRequired[str]
    instruction: NotRequired[str]
    openers: NotRequired[list[str]]
    max_turns: NotRequired[int]
    max_response_tokens: NotRequired[int]
    max_message_characters: NotRequired[int]


class NewSideRequest(TypedDict):
    policy: str
    temperature: NotRequired[float]


class OneConversation(TypedDict):
    conversation: Conversation
    turns: list[ReadTurn]


class ReadAnswer(TypedDict):
    label: str
    state: Literal["writing", "done", "failed"]
    text: str
    error: str
    chosen: bool
    policy: str | None
    temperature: float | None
    response_id: str | None


class ReadTurn(TypedDict):
    number: int
    message: str
    outcome: Literal["open", "judged", "skipped", "one_answer"]
    chosen_at_random: bool
    task: int | None
    answers: list[ReadAnswer]


class Side(TypedDict):
    policy: str
    temperature: float


class ListLiveBatchesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["draft", "open", "closed"]]


class ListLiveBatchesIdConversationsQuery(TypedDict):
    annotator: NotRequired[str]
    ended: NotRequired[Literal["true", "false"]]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class LiveBatchesResource(Resource):
    def list(self, **query: Unpack[ListLiveBatchesQuery]) -> Pages[LiveBatch]:
        """The batches of live conversations."""
        return cast(
            Pages[LiveBatch],
            self.perform(
                Operation("list_live_batches", "GET", "/projects/{slug}/live-batches", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewLiveBatchRequest]) -> LiveBatch:
        """Open one: annotators find it at once."""
        return cast(
            LiveBatch,
            self.perform(
                Operation(
                    "post_live_batches", "POST", "/projects/{slug}/live-batches", answer="json", keyed=True
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> LiveBatch:
        """How the conversations of a batch are led."""
        return cast(
            LiveBatch,
            self.perform(
                Operation("get_live_batches_id", "GET", "/projects/{slug}/live-batches/{id}", answer="json"),
                {"id": id},
            ),
        )

    def conversations(
        self, id: int, **query: Unpack[ListLiveBatchesIdConversationsQuery]
    ) -> Pages[Conversation]:
        """The conversations of a batch."""
        return cast(
            Pages[Conversation],
            self.perform(
                Operation(
                    "list_live_batches_id_conversations",
                    "GET",
                    "/projects/{slug}/live-batches/{id}/conversations",
                    answer="page",
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def conversation(self, id: int, conversation_pk: int) -> OneConversation:
        """One conversation, turn by turn, with both answers to each message."""
        return cast(
            OneConversation,
            self.perform(
                Operation(
                    "get_live_batches_id_conversations_conversation_pk",
                    "GET",
                    "/projects/{slug}/live-batches/{id}/conversations/{conversation_pk}",
                    answer="json",
                ),
                {"id": id, "conversation_pk": conversation_pk},
            ),
        )

    def compare(
        self, *, idempotency_key: str | None = None, **body: Unpack[BatchFromConversationsRequest]
    ) -> OneBatch:
        """A batch that compares whole live conversations, of those that are over and begin with the same
        message."""
        return cast(
            OneBatch,
            self.perform(
                Operation(
                    "post_live_batches_compare",
                    "POST",
                    "/projects/{slug}/live-batches/compare",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
