"""Quality. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Run
from roundtable.operations import Operation


class Agreement(TypedDict):
    criterion: str
    batch: int | None
    annotator_kind: Literal["person", "simulated", "ai"]
    figures: Any


class AnnotatorQuality(TypedDict):
    annotator: str
    annotator_kind: Literal["person", "simulated", "ai"]
    criterion: str
    judgments: int
    figures: Any


class Leaderboard(TypedDict):
    criterion: str
    sources: list[Source]
    note: str
    left_out: int


class Machine(TypedDict):
    criterion: str
    batch: int | None
    annotator: str
    annotator_kind: Literal["person", "simulated", "ai"]
    pairs: int
    same: Any
    people: float | None
    kappa: Any
    ties: float | None
    people_ties: float | None


class MorePeopleAsked(TypedDict):
    tasks: int


class MorePeopleRequest(TypedDict):
    criterion: NotRequired[str]
    most: int


class NewOneMoreRuleRequest(TypedDict):
    most: int
    expected_most: NotRequired[int]


class OneMoreRule(TypedDict):
    most: int


class Quality(TypedDict):
    id: int
    judgments: int
    newest_judgment: int
    created_at: str
    agreement: list[Agreement]
    machines: list[Machine]


class Source(TypedDict):
    name: str
    score: float
    error: float
    won: int
    tied: int
    lost: int


class TaskQuality(TypedDict):
    task: int
    batch: int
    criterion: str
    annotators: int
    certainty: float


class ListQualityAnnotatorsQuery(TypedDict):
    annotator: NotRequired[str]
    annotator_kind: NotRequired[Literal["person", "simulated", "ai"]]
    criterion: NotRequired[str]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class GetQualityLeaderboardQuery(TypedDict):
    criterion: NotRequired[str]


class ListQualityTasksQuery(TypedDict):
    criterion: NotRequired[str]
    limit: NotRequired[int]
    order: NotRequired[Literal["-certainty", "certainty", "-id", "id"]]
    undecided: NotRequired[Literal["true"]]


class QualityResource(Resource):
    def get(self) -> Quality:
        """How well annotators agree, on each criterion and each of its batches."""
        return cast(
            Quality,
            self.perform(Operation("get_quality", "GET", "/projects/{slug}/quality", answer="json"), {}),
        )

    def annotators(self, **query: Unpack[ListQualityAnnotatorsQuery]) -> Pages[AnnotatorQuality]:
        """Each annotator on each criterion."""
        return cast(
            Pages[AnnotatorQuality],
            self.perform(
                Operation(
                    "list_quality_annotators", "GET", "/projects/{slug}/quality/annotators", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def ask_one_more(self, **body: Unpack[MorePeopleRequest]) -> MorePeopleAsked:
        """Ask one more annotator for each task on which annotators disagree, up to so many people a task."""
        return cast(
            MorePeopleAsked,
            self.perform(
                Operation(
                    "post_quality_ask_one_more",
                    "POST",
                    "/projects/{slug}/quality/ask-one-more",
                    answer="json",
                ),
                {},
                body=body,
            ),
        )

    def leaderboard(self, **query: Unpack[GetQualityLeaderboardQuery]) -> Leaderboard:
        """Whose answers are preferred: Bradley-Terry scores with ties and the side taken out. For managers
        alone."""
        return cast(
            Leaderboard,
            self.perform(
                Operation(
                    "get_quality_leaderboard", "GET", "/projects/{slug}/quality/leaderboard", answer="json"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def measure(self) -> Run:
        """Measure what is there now. Where a run waits already, that one is answered."""
        return cast(
            Run,
            self.perform(
                Operation("post_quality_measure", "POST", "/projects/{slug}/quality/measure", answer="json"),
                {},
            ),
        )

    def one_more_rule(self) -> OneMoreRule:
        """Up to how many people a task are asked after each measurement."""
        return cast(
            OneMoreRule,
            self.perform(
                Operation(
                    "get_quality_one_more_rule",
                    "GET",
                    "/projects/{slug}/quality/one-more-rule",
                    answer="json",
                ),
                {},
            ),
        )

    def put_one_more_rule(self, **body: Unpack[NewOneMoreRuleRequest]) -> OneMoreRule:
        """Ask one more annotator where they disagree, after each measurement."""
        return cast(
            OneMoreRule,
            self.perform(
                Operation(
                    "put_quality_one_more_rule",
                    "PUT",
                    "/projects/{slug}/quality/one-more-rule",
                    answer="json",
                ),
                {},
                body=body,
            ),
        )

    def tasks(self, **query: Unpack[ListQualityTasksQuery]) -> Pages[TaskQuality]:
        """How certain the crowd is of each task, the least certain first where that is the order asked for."""
        return cast(
            Pages[TaskQuality],
            self.perform(
                Operation("list_quality_tasks", "GET", "/projects/{slug}/quality/tasks", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
