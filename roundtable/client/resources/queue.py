"""Queue. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Lease(TypedDict):
    id: int
    batch: int
    task: int
    annotator: str
    created_at: str
    leased_until: str


class StuckTask(TypedDict):
    id: int
    batch: int
    prompt_id: str
    priority: int
    counted_judgments: int
    required_judgments: int
    skipped: int
    expired: int


class ListQueueLeasesQuery(TypedDict):
    annotator: NotRequired[str]
    batch: NotRequired[int]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    task: NotRequired[int]


class ListQueueStuckTasksQuery(TypedDict):
    batch: NotRequired[int]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class QueueResource(Resource):
    def leases(self, **query: Unpack[ListQueueLeasesQuery]) -> Pages[Lease]:
        """Who holds which task until when; ended leases that were not given back yet among them. For who
        judges and"""
        return cast(
            Pages[Lease],
            self.perform(
                Operation("list_queue_leases", "GET", "/projects/{slug}/queue/leases", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def leases_release(self, id: int) -> None:
        """Give a task that somebody holds to others. Their draft stays, and what they still submit is kept."""
        self.perform(
            Operation(
                "post_queue_leases_id_release",
                "POST",
                "/projects/{slug}/queue/leases/{id}/release",
                answer="nothing",
            ),
            {"id": id},
        )

    def stuck_tasks(self, **query: Unpack[ListQueueStuckTasksQuery]) -> Pages[StuckTask]:
        """Tasks with room that came back without a judgment again and again."""
        return cast(
            Pages[StuckTask],
            self.perform(
                Operation(
                    "list_queue_stuck_tasks", "GET", "/projects/{slug}/queue/stuck-tasks", answer="page"
                ),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
