"""Questions. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class NewAnswerRequest(TypedDict):
    answer: str
    expected_answer: NotRequired[str]


class Question(TypedDict):
    id: int
    batch: int
    task: int
    author: str
    text: str
    answer: str
    answered_by: str | None
    answered_at: str | None
    created_at: str


class ListQuestionsQuery(TypedDict):
    answered: NotRequired[Literal["true", "false"]]
    batch: NotRequired[int]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    task: NotRequired[int]


class QuestionsResource(Resource):
    def list(self, **query: Unpack[ListQuestionsQuery]) -> Pages[Question]:
        """What annotators asked about tasks, the newest first."""
        return cast(
            Pages[Question],
            self.perform(
                Operation("list_questions", "GET", "/projects/{slug}/questions", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def answer(self, id: int, **body: Unpack[NewAnswerRequest]) -> Question:
        """Answer it; its author is shown the answer."""
        return cast(
            Question,
            self.perform(
                Operation(
                    "post_questions_id_answer",
                    "POST",
                    "/projects/{slug}/questions/{id}/answer",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )
