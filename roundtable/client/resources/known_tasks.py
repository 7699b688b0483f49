"""Known tasks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class KnownOrder(TypedDict):
    tiers: list[list[str]]
    strengths: list[int | None]


class KnownOrderRequest(TypedDict):
    tiers: list[list[str]]
    strengths: list[int | None]


class KnownTask(TypedDict):
    task: int
    purpose: str
    response_ids: list[str]
    version: int
    tiers: list[list[str]]
    strengths: list[int | None]
    also_right: list[KnownOrder]
    tolerance: int | None
    least_pairs: float
    explanation: str


class Made(TypedDict):
    made: int


class NewKnownAnswerRequest(TypedDict):
    tiers: list[list[str]]
    strengths: list[int | None]
    also_right: NotRequired[list[KnownOrderRequest]]
    tolerance: NotRequired[int | None]
    least_pairs: NotRequired[float]
    explanation: NotRequired[str]
    expected_version: NotRequired[int]


class NewKnownTasksRequest(TypedDict):
    judgments: list[int]
    training: NotRequired[int]


class KnownTasksResource(Resource):
    def create(self, **body: Unpack[NewKnownTasksRequest]) -> Made:
        """Copies of what was judged, with these judgments as the known answers: gold, or tasks of a training."""
        return cast(
            Made,
            self.perform(
                Operation("post_known_tasks", "POST", "/projects/{slug}/known-tasks", answer="json"),
                {},
                body=body,
            ),
        )

    def get(self, id: int) -> KnownTask:
        """What is known of a task whose answer is known."""
        return cast(
            KnownTask,
            self.perform(
                Operation("get_known_tasks_id", "GET", "/projects/{slug}/known-tasks/{id}", answer="json"),
                {"id": id},
            ),
        )

    def put(self, id: int, **body: Unpack[NewKnownAnswerRequest]) -> KnownTask:
        """Say what is right of it; what people said is compared with it from now on."""
        return cast(
            KnownTask,
            self.perform(
                Operation("put_known_tasks_id", "PUT", "/projects/{slug}/known-tasks/{id}", answer="json"),
                {"id": id},
                body=body,
            ),
        )
