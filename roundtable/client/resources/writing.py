"""Writing. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OwnText
from roundtable.operations import Operation


class ClaimedText(TypedDict):
    text: OwnText | None


class GivenBack(TypedDict):
    reason: str
    created_at: str


class NewWritingWorkRequest(TypedDict):
    name: str
    kind: Literal["answer", "edit", "dialogue", "prompt"]
    instruction: NotRequired[str]
    prompt_set: NotRequired[int | None]
    prompt_kind: NotRequired[Literal["plain", "few-shot", "user-based", ""]]
    items: NotRequired[int | None]
    copies: NotRequired[int]
    min_words: NotRequired[int]
    max_words: NotRequired[int]


class OneText(TypedDict):
    row: Text
    messages: Any
    to_correct: str | None
    versions: list[TextVersion]
    given_back: list[GivenBack]


class OneWritingWork(TypedDict):
    work: WritingWork
    texts: TextCounts
    writers: list[WriterCounts]


class SaidOfTextRequest(TypedDict):
    version: int
    outcome: Literal["accept", "edit", "send_back"]
    remark: NotRequired[str]
    turns: NotRequired[list[str] | None]


class Text(TypedDict):
    id: int
    work: int
    prompt: int | None
    state: Literal["waiting", "writing", "checking", "returned", "accepted"]
    writer: NotRequired[str | None]
    leased_until: str | None
    late: bool
    created_at: str


class TextCounts(TypedDict):
    waiting: int
    writing: int
    checking: int
    returned: int
    accepted: int


class TextReview(TypedDict):
    outcome: Literal["accept", "edit", "send_back"]
    remark: str
    reviewer: str
    created_at: str


class TextVersion(TypedDict):
    number: int
    turns: list[str]
    written_by: str
    created_at: str
    review: TextReview | None
    demonstrations: list[int]
    prompts: list[int]


class WorkToWrite(TypedDict):
    id: int
    name: str
    kind: Literal["answer", "edit", "dialogue", "prompt"]
    instruction: str
    prompt_kind: Literal["plain", "few-shot", "user-based", ""]
    min_words: int
    max_words: int


class WriterCounts(TypedDict):
    name: str
    sent: int
    accepted: int
    returned: int


class WritingWork(TypedDict):
    id: int
    name: str
    kind: Literal["answer", "edit", "dialogue", "prompt"]
    state: Literal["open", "closed"]
    instruction: str
    prompt_kind: Literal["plain", "few-shot", "user-based", ""]
    prompt_set: int | None
    min_words: int
    max_words: int
    created_at: str


class ListWritingQuery(TypedDict):
    kind: NotRequired[Literal["answer", "edit", "dialogue", "prompt"]]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["open", "closed"]]


class ListWritingTextsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["waiting", "writing", "checking", "returned", "accepted"]]
    work: NotRequired[int]


class ListWritingToWriteQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class WritingResource(Resource):
    def list(self, **query: Unpack[ListWritingQuery]) -> Pages[WritingWork]:
        """What writers are or were asked for."""
        return cast(
            Pages[WritingWork],
            self.perform(
                Operation("list_writing", "GET", "/projects/{slug}/writing", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewWritingWorkRequest]
    ) -> OneWritingWork:
        """Ask for texts: writers find the work at once."""
        return cast(
            OneWritingWork,
            self.perform(
                Operation("post_writing", "POST", "/projects/{slug}/writing", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> OneWritingWork:
        """One piece of work: how many of its texts are in which state, and who wrote how many."""
        return cast(
            OneWritingWork,
            self.perform(
                Operation("get_writing_id", "GET", "/projects/{slug}/writing/{id}", answer="json"), {"id": id}
            ),
        )

    def claim(self, id: int) -> ClaimedText:
        """A text of this work to write, the caller's until the lease ends; one that they hold comes first."""
        return cast(
            ClaimedText,
            self.perform(
                Operation(
                    "post_writing_id_claim", "POST", "/projects/{slug}/writing/{id}/claim", answer="json"
                ),
                {"id": id},
            ),
        )

    def close(self, id: int) -> OneWritingWork:
        """Hand nothing new out. What was begun can be sent and checked."""
        return cast(
            OneWritingWork,
            self.perform(
                Operation(
                    "post_writing_id_close", "POST", "/projects/{slug}/writing/{id}/close", answer="json"
                ),
                {"id": id},
            ),
        )

    def open(self, id: int) -> OneWritingWork:
        """Hand its texts out again."""
        return cast(
            OneWritingWork,
            self.perform(
                Operation(
                    "post_writing_id_open", "POST", "/projects/{slug}/writing/{id}/open", answer="json"
                ),
                {"id": id},
            ),
        )

    def texts(self, **query: Unpack[ListWritingTextsQuery]) -> Pages[Text]:
        """The texts that are asked for; `state=checking`: those that wait to be checked."""
        return cast(
            Pages[Text],
            self.perform(
                Operation("list_writing_texts", "GET", "/projects/{slug}/writing/texts", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def text(self, id: int) -> OneText:
        """One text: what it answers, its versions, what was said of each and what it became."""
        return cast(
            OneText,
            self.perform(
                Operation(
                    "get_writing_texts_id", "GET", "/projects/{slug}/writing/texts/{id}", answer="json"
                ),
                {"id": id},
            ),
        )

    def texts_release(self, id: int) -> None:
        """Ask somebody else for the same, from the beginning. Its writer keeps theirs, and may still send it."""
        self.perform(
            Operation(
                "post_writing_texts_id_release",
                "POST",
                "/projects/{slug}/writing/texts/{id}/release",
                answer="nothing",
            ),
            {"id": id},
        )

    def texts_review(self, id: int, **body: Unpack[SaidOfTextRequest]) -> OneText:
        """Accept a text, correct and accept it, or send it back. Nobody checks a text of their own."""
        return cast(
            OneText,
            self.perform(
                Operation(
                    "post_writing_texts_id_review",
                    "POST",
                    "/projects/{slug}/writing/texts/{id}/review",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def to_write(self, **query: Unpack[ListWritingToWriteQuery]) -> Pages[WorkToWrite]:
        """The work that is open to writers."""
        return cast(
            Pages[WorkToWrite],
            self.perform(
                Operation("list_writing_to_write", "GET", "/projects/{slug}/writing/to-write", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
