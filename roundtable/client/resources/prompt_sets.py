"""Prompt sets. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class PromptSet(TypedDict):
    id: int
    name: str
    purpose: Literal["sft", "reward", "policy", "evaluation", "anchor"]
    created_at: str


class ListPromptSetsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id", "-name", "name"]]
    purpose: NotRequired[Literal["sft", "reward", "policy", "evaluation", "anchor"]]


class PromptSetsResource(Resource):
    def list(self, **query: Unpack[ListPromptSetsQuery]) -> Pages[PromptSet]:
        """The sets that prompts are in; their members: /prompts?prompt_set="""
        return cast(
            Pages[PromptSet],
            self.perform(
                Operation("list_prompt_sets", "GET", "/projects/{slug}/prompt-sets", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> PromptSet:
        """A set of prompts."""
        return cast(
            PromptSet,
            self.perform(
                Operation("get_prompt_sets_id", "GET", "/projects/{slug}/prompt-sets/{id}", answer="json"),
                {"id": id},
            ),
        )
