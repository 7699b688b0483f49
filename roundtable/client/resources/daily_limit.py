"""Daily limit. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class DailyLimit(TypedDict):
    daily_limit: int | None


class NewDailyLimitRequest(TypedDict):
    daily_limit: int


class DailyLimitResource(Resource):
    def get(self) -> DailyLimit:
        """How many tasks each person judges a day who has no limit of their own."""
        return cast(
            DailyLimit,
            self.perform(
                Operation("get_daily_limit", "GET", "/projects/{slug}/daily-limit", answer="json"), {}
            ),
        )

    def put(self, **body: Unpack[NewDailyLimitRequest]) -> DailyLimit:
        """Limit how many tasks each person judges a day."""
        return cast(
            DailyLimit,
            self.perform(
                Operation("put_daily_limit", "PUT", "/projects/{slug}/daily-limit", answer="json"),
                {},
                body=body,
            ),
        )
