"""Work. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class PersonWork(TypedDict):
    annotator: str
    annotator_kind: Literal["person", "simulated", "ai"]
    judgments: int
    hours: float
    last_at: str
    by_period: dict[str, int]


class Work(TypedDict):
    periods: list[str]
    people: list[PersonWork]


class GetWorkQuery(TypedDict):
    by: NotRequired[Literal["day", "week"]]


class WorkResource(Resource):
    def get(self, **query: Unpack[GetWorkQuery]) -> Work:
        """Judgments and active hours of everybody, in all and by the last 14 days or 12 weeks of the project's
        zone."""
        return cast(
            Work,
            self.perform(
                Operation("get_work", "GET", "/projects/{slug}/work", answer="json"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
