"""Ai judgings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OneRun
from roundtable.operations import Operation


class AIJudging(TypedDict):
    id: int
    batch: int
    annotator: str
    run: int
    takes_slots: bool
    judgments: int
    report: Any
    created_at: str


class AIJudgingBodyRequest(TypedDict):
    settings: NotRequired[dict[str, Any]]
    batch: int
    server: str
    model: str
    question: NotRequired[str]
    tasks: NotRequired[int]
    takes_slots: NotRequired[bool]


class ListAiJudgingsQuery(TypedDict):
    batch: NotRequired[int]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class AiJudgingsResource(Resource):
    def list(self, **query: Unpack[ListAiJudgingsQuery]) -> Pages[AIJudging]:
        """The judgings of batches by language models: how steady each was, and what it took."""
        return cast(
            Pages[AIJudging],
            self.perform(
                Operation("list_ai_judgings", "GET", "/projects/{slug}/ai-judgings", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[AIJudgingBodyRequest]) -> OneRun:
        """Queue the judging of a batch by a language model."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_ai_judgings", "POST", "/projects/{slug}/ai-judgings", answer="json", keyed=True
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
