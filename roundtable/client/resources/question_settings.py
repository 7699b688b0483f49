"""Question settings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class NewQuestionSettingsRequest(TypedDict):
    allow_ties: bool
    ask_rationale: bool
    questions: NotRequired[dict[str, str]]
    expected_version: NotRequired[int]


class QuestionSettings(TypedDict):
    version: int
    allow_ties: bool
    ask_rationale: bool
    questions: dict[str, str]
    created_by: str | None
    created_at: str


class ListQuestionSettingsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class QuestionSettingsResource(Resource):
    def list(self, **query: Unpack[ListQuestionSettingsQuery]) -> Pages[QuestionSettings]:
        """How the question is asked: the version in force first, then those before."""
        return cast(
            Pages[QuestionSettings],
            self.perform(
                Operation(
                    "list_question_settings", "GET", "/projects/{slug}/question-settings", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewQuestionSettingsRequest]
    ) -> QuestionSettings:
        """A new version, in force at once; judgments keep the one they were made under."""
        return cast(
            QuestionSettings,
            self.perform(
                Operation(
                    "post_question_settings",
                    "POST",
                    "/projects/{slug}/question-settings",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
