"""Own conversations. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class NewConversationRequest(TypedDict):
    batch: int


class OpenLiveBatch(TypedDict):
    batch: int
    criterion: str
    instruction: str
    openers: list[str]
    conversation: str | None
    had: int


class OpenTurn(TypedDict):
    number: int
    message: str
    assignment: str | None
    answers: list[WrittenAnswer]


class OwnConversation(TypedDict):
    conversation: str
    batch: int
    instruction: str
    turns: list[SaidTurn]
    open_turn: OpenTurn | None
    ended: bool
    may_write: bool
    max_turns: int
    max_message_characters: int


class OwnConversationRow(TypedDict):
    conversation: str
    batch: int
    ended_at: str | None
    created_at: str


class SaidTurn(TypedDict):
    message: str
    answer: str


class SentMessageRequest(TypedDict):
    text: str
    number: int


class ToTalk(TypedDict):
    batches: list[OpenLiveBatch]
    refused: str


class WrittenAnswer(TypedDict):
    label: str
    state: Literal["loading", "writing", "done", "failed"]
    text: str
    message: str


class ListOwnConversationsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class OwnConversationsResource(Resource):
    def list(self, **query: Unpack[ListOwnConversationsQuery]) -> Pages[OwnConversationRow]:
        """The caller's conversations."""
        return cast(
            Pages[OwnConversationRow],
            self.perform(
                Operation(
                    "list_own_conversations", "GET", "/projects/{slug}/own-conversations", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, **body: Unpack[NewConversationRequest]) -> OwnConversation:
        """Begin one; the caller's own of the batch that is not ended comes first."""
        return cast(
            OwnConversation,
            self.perform(
                Operation(
                    "post_own_conversations", "POST", "/projects/{slug}/own-conversations", answer="json"
                ),
                {},
                body=body,
            ),
        )

    def ask_again(self, public_id: str) -> OwnConversation:
        """Have the answers that could not be written asked for once more."""
        return cast(
            OwnConversation,
            self.perform(
                Operation(
                    "post_own_conversations_public_id_ask_again",
                    "POST",
                    "/projects/{slug}/own-conversations/{public_id}/ask-again",
                    answer="json",
                ),
                {"public_id": public_id},
            ),
        )

    def end(self, public_id: str) -> OwnConversation:
        """End it. Answers that wait for their judgment can still be judged."""
        return cast(
            OwnConversation,
            self.perform(
                Operation(
                    "post_own_conversations_public_id_end",
                    "POST",
                    "/projects/{slug}/own-conversations/{public_id}/end",
                    answer="json",
                ),
                {"public_id": public_id},
            ),
        )

    def go_on_with_one(self, public_id: str) -> OwnConversation:
        """Go on with the one answer that is there, where the other could not be written; nothing is judged."""
        return cast(
            OwnConversation,
            self.perform(
                Operation(
                    "post_own_conversations_public_id_go_on_with_one",
                    "POST",
                    "/projects/{slug}/own-conversations/{public_id}/go-on-with-one",
                    answer="json",
                ),
                {"public_id": public_id},
            ),
        )

    def messages(self, public_id: str, **body: Unpack[SentMessageRequest]) -> OwnConversation:
        """The caller's next message. The same again changes nothing."""
        return cast(
            OwnConversation,
            self.perform(
                Operation(
                    "post_own_conversations_public_id_messages",
                    "POST",
                    "/projects/{slug}/own-conversations/{public_id}/messages",
                    answer="json",
                ),
                {"public_id": public_id},
                body=body,
            ),
        )

    def state(self, public_id: str) -> OwnConversation:
        """How it stands. Asking moves it on: ask again while something is written, four times a second at
        most."""
        return cast(
            OwnConversation,
            self.perform(
                Operation(
                    "post_own_conversations_public_id_state",
                    "POST",
                    "/projects/{slug}/own-conversations/{public_id}/state",
                    answer="json",
                ),
                {"public_id": public_id},
            ),
        )

    def to_lead(self) -> ToTalk:
        """The batches in which the caller can lead a conversation."""
        return cast(
            ToTalk,
            self.perform(
                Operation(
                    "get_own_conversations_to_lead",
                    "GET",
                    "/projects/{slug}/own-conversations/to-lead",
                    answer="json",
                ),
                {},
            ),
        )
