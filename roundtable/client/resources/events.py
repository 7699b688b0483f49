"""Events. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class Event(TypedDict):
    id: str
    cursor: str
    type: Literal[
        "judgment.submitted",
        "judgment.revised",
        "judgment.withdrawn",
        "run.queued",
        "run.running",
        "run.paused",
        "run.done",
        "run.failed",
        "run.user_error",
        "run.cancelled",
        "training.refused",
        "round.sampling",
        "round.annotating",
        "round.reward_model",
        "round.policy",
        "round.scoring",
        "round.done",
        "round.failed",
        "round.cancelled",
        "import.done",
        "import.taken_back",
        "dataset.frozen",
        "dataset.discarded",
        "webhook.test",
        "webhook.turned_off",
    ]
    timestamp: str
    data: Any


class Feed(TypedDict):
    results: list[Event]
    next_cursor: str
    more: bool


class GetEventsQuery(TypedDict):
    after: NotRequired[str]
    kinds: NotRequired[str]
    limit: NotRequired[int]


class EventsResource(Resource):
    def get(self, **query: Unpack[GetEventsQuery]) -> Feed:
        """What happened, the oldest first, in an order that never changes."""
        return cast(
            Feed,
            self.perform(
                Operation("get_events", "GET", "/projects/{slug}/events", answer="json"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
