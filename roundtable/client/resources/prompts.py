"""Prompts. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class AddedPrompts(TypedDict):
    prompts: list[Prompt]


class NamedPromptSetRequest(TypedDict):
    name: str
    purpose: Literal["sft", "reward", "policy", "evaluation", "anchor"]


class NewPromptRowRequest(TypedDict):
    messages: list[dict[str, Any]]
    prompt_id: NotRequired[str]
    kind: NotRequired[Literal["plain", "few-shot", "user-based"]]
    tags: NotRequired[list[str]]
    split: NotRequired[Literal["train", "validation", "test"]]


class NewPromptsRequest(TypedDict):
    rows: list[NewPromptRowRequest]
    prompt_set: NotRequired[NamedPromptSetRequest]


class Prompt(TypedDict):
    id: int
    prompt_id: str
    messages: list[dict[str, Any]]
    kind: Literal["plain", "few-shot", "user-based"]
    tags: list[str]
    split: Literal["train", "validation", "test"]
    created_at: str


class ListPromptsQuery(TypedDict):
    kind: NotRequired[Literal["plain", "few-shot", "user-based"]]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    prompt_id: NotRequired[str]
    prompt_set: NotRequired[int]
    split: NotRequired[Literal["train", "validation", "test"]]


class PromptsResource(Resource):
    def list(self, **query: Unpack[ListPromptsQuery]) -> Pages[Prompt]:
        """The project's prompts."""
        return cast(
            Pages[Prompt],
            self.perform(
                Operation("list_prompts", "GET", "/projects/{slug}/prompts", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewPromptsRequest]
    ) -> AddedPrompts:
        """Add prompts, perhaps to a set; in the order of the rows, one that is there already as it is."""
        return cast(
            AddedPrompts,
            self.perform(
                Operation("post_prompts", "POST", "/projects/{slug}/prompts", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Prompt:
        """A prompt."""
        return cast(
            Prompt,
            self.perform(
                Operation("get_prompts_id", "GET", "/projects/{slug}/prompts/{id}", answer="json"), {"id": id}
            ),
        )
