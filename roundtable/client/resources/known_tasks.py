"""Known tasks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class Made(TypedDict):
    made: int


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
