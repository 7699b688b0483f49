"""Judgments. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Returned
from roundtable.client.streams import Rows
from roundtable.operations import Operation


class Judgment(TypedDict):
    id: int
    batch: int
    task: int
    criterion: str
    purpose: Literal["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]
    prompt_id: str
    annotator: str
    annotator_kind: Literal["person", "simulated", "ai"]
    tiers: list[list[str]]
    strengths: list[int | None]
    marks: dict[str, dict[str, Any]]
    confidence: int | None
    responses: dict[str, str]
    rationale: str
    flags: list[str]
    seconds: float
    settings_version: int
    guideline_version: int
    surplus: bool
    withdrawn: bool
    supersedes: int | None
    is_current: bool
    created_at: str


class RemarkRequest(TypedDict):
    remark: str


class ListJudgmentsQuery(TypedDict):
    annotator: NotRequired[str]
    annotator_kind: NotRequired[Literal["person", "simulated", "ai"]]
    batch: NotRequired[int]
    created_after: NotRequired[str]
    created_before: NotRequired[str]
    criterion: NotRequired[str]
    current: NotRequired[Literal["true", "false"]]
    flag: NotRequired[str]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    purpose: NotRequired[Literal["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]]
    task: NotRequired[int]


class GetJudgmentsRowsQuery(TypedDict):
    annotator_kind: NotRequired[Literal["person", "simulated", "ai"]]
    batch: NotRequired[str]
    criterion: NotRequired[str]
    split: NotRequired[Literal["train", "validation", "test"]]


class JudgmentsResource(Resource):
    def list(self, **query: Unpack[ListJudgmentsQuery]) -> Pages[Judgment]:
        """What people (and machines) said, the newest first; revised and withdrawn ones, too. Without those of
        known"""
        return cast(
            Pages[Judgment],
            self.perform(
                Operation("list_judgments", "GET", "/projects/{slug}/judgments", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> Judgment:
        """A judgment. It never changes, but that another may take its place (`is_current`)."""
        return cast(
            Judgment,
            self.perform(
                Operation("get_judgments_id", "GET", "/projects/{slug}/judgments/{id}", answer="json"),
                {"id": id},
            ),
        )

    def return_(self, id: int, **body: Unpack[RemarkRequest]) -> Returned:
        """Send a judgment back to its author with a remark. They are not told whose it is."""
        return cast(
            Returned,
            self.perform(
                Operation(
                    "post_judgments_id_return",
                    "POST",
                    "/projects/{slug}/judgments/{id}/return",
                    answer="json",
                ),
                {"id": id},
                body=body,
            ),
        )

    def rows(self, **query: Unpack[GetJudgmentsRowsQuery]) -> Rows:
        """Judgments as they are now, history included, as a stream of records."""
        return cast(
            Rows,
            self.perform(
                Operation("get_judgments_rows", "GET", "/projects/{slug}/judgments/rows", answer="rows"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
