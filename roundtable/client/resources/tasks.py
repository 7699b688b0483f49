"""Tasks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


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


class ListTasksQuery(TypedDict):
    batch: NotRequired[int]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    prompt_id: NotRequired[str]
    purpose: NotRequired[Literal["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]]


class TasksResource(Resource):
    def list(self, **query: Unpack[ListTasksQuery]) -> Pages[Task]:
        """What annotators are asked, with how many judgments each task has."""
        return cast(
            Pages[Task],
            self.perform(
                Operation("list_tasks", "GET", "/projects/{slug}/tasks", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
