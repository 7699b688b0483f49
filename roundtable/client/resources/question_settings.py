"""Question settings. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Asked
from roundtable.operations import Operation


class AskedBodyRequest(TypedDict):
    preset: NotRequired[str]
    marks: NotRequired[list[MarkBodyRequest]]
    confidence_points: NotRequired[int]
    rationale_for: NotRequired[
        list[Literal["significantly_better", "better", "slightly_better", "negligibly_better", "tie"]]
    ]
    flags: NotRequired[list[NamedBodyRequest]]
    both_bad: NotRequired[bool]
    both_bad_reasons: NotRequired[list[NamedBodyRequest]]
    guided_first: NotRequired[bool]
    cannot_judge: NotRequired[list[NamedBodyRequest]]


class MarkBodyRequest(TypedDict):
    name: str
    label: str
    kind: Literal["likert", "yes_no", "choice", "text", "span"]
    required: NotRequired[bool]
    points: NotRequired[int]
    low: NotRequired[str]
    high: NotRequired[str]
    choices: NotRequired[list[str]]
    tasks: NotRequired[Literal["every", "one", "several"]]
    criteria: NotRequired[list[str]]


class NamedBodyRequest(TypedDict):
    name: str
    label: str


class NewQuestionSettingsRequest(TypedDict):
    allow_ties: bool
    ask_rationale: bool
    questions: NotRequired[dict[str, str]]
    asked: NotRequired[AskedBodyRequest]
    preset: NotRequired[Literal["llama2", "instructgpt", "stiennon", "hh"]]
    expected_version: NotRequired[int]


class QuestionSettings(TypedDict):
    version: int
    allow_ties: bool
    ask_rationale: bool
    questions: dict[str, str]
    asked: Asked
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
