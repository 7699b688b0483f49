"""Tasks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Decision
from roundtable.operations import Operation


class NewDecisionRequest(TypedDict):
    tiers: list[list[str]]
    strengths: list[int | None]
    kind: Literal["underspecified", "style", "factual", "refusal", "safety", "slip"]
    rationale: NotRequired[str]
    expected: NotRequired[int | None]


class OneMoreRequest(TypedDict):
    expected_required: NotRequired[int]


class OneTaskQuality(TypedDict):
    annotators: int
    certainty: int
    pairs: list[PairConsensus]


class PairConsensus(TypedDict):
    better: str
    worse: str
    percent: int
    low: int
    high: int


class PatchedChangedTaskRequest(TypedDict):
    priority: NotRequired[int]
    expected_priority: NotRequired[int]


class Said(TypedDict):
    id: int
    tiers: list[list[str]]
    strengths: list[int | None]
    rationale: str
    returned: bool


class Task(TypedDict):
    id: int
    batch: int
    prompt_id: str
    response_ids: list[str]
    purpose: Literal["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]
    priority: int
    required_judgments: int
    counted_judgments: int
    open_slots: int
    created_at: str


class TaskToDecide(TypedDict):
    answers: dict[str, str]
    consensus: OneTaskQuality | None
    judgments: list[Said]
    decision: Decision | None


class ListTasksQuery(TypedDict):
    batch: NotRequired[int]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    prompt_id: NotRequired[str]
    purpose: NotRequired[Literal["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]]


class TasksResource(Resource):
    def list(self, **query: Unpack[ListTasksQuery]) -> Pages[Task]:
        """What annotators are asked, with how many judgments each task has; without known answers and repeats
        for who"""
        return cast(
            Pages[Task],
            self.perform(
                Operation("list_tasks", "GET", "/projects/{slug}/tasks", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> Task:
        """A task, with how many judgments it has."""
        return cast(
            Task,
            self.perform(
                Operation("get_tasks_id", "GET", "/projects/{slug}/tasks/{id}", answer="json"), {"id": id}
            ),
        )

    def update(self, id: int, **body: Unpack[PatchedChangedTaskRequest]) -> Task:
        """Change its priority: of a batch's tasks those of the highest are handed out first."""
        return cast(
            Task,
            self.perform(
                Operation("patch_tasks_id", "PATCH", "/projects/{slug}/tasks/{id}", answer="json"),
                {"id": id},
                body=body,
            ),
        )

    def ask_one_more(
        self, id: int, *, idempotency_key: str | None = None, **body: Unpack[OneMoreRequest]
    ) -> Task:
        """Have one more person judge it, done or not; the batch's quota stays."""
        return cast(
            Task,
            self.perform(
                Operation(
                    "post_tasks_id_ask_one_more",
                    "POST",
                    "/projects/{slug}/tasks/{id}/ask-one-more",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )

    def decision(self, id: int) -> TaskToDecide:
        """What annotators said of a task, without their names, and what a reviewer decided."""
        return cast(
            TaskToDecide,
            self.perform(
                Operation(
                    "get_tasks_id_decision", "GET", "/projects/{slug}/tasks/{id}/decision", answer="json"
                ),
                {"id": id},
            ),
        )

    def create_decision(self, id: int, **body: Unpack[NewDecisionRequest]) -> Decision:
        """Decide it: a judgment of its own. What the annotators said stays."""
        return cast(
            Decision,
            self.perform(
                Operation(
                    "post_tasks_id_decision", "POST", "/projects/{slug}/tasks/{id}/decision", answer="json"
                ),
                {"id": id},
                body=body,
            ),
        )
