"""Deliveries. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Delivery(TypedDict):
    id: int
    webhook: int
    event: str
    type: str
    state: Literal["waiting", "delivered", "dead", "dropped"]
    attempts: int
    next_attempt_at: str | None
    status: int | None
    reason: str
    seconds: float
    settled_at: str | None
    created_at: str


class ListDeliveriesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["waiting", "delivered", "dead", "dropped"]]
    webhook: NotRequired[int]


class DeliveriesResource(Resource):
    def list(self, **query: Unpack[ListDeliveriesQuery]) -> Pages[Delivery]:
        """What became of each event at each webhook; those of the state “dead” were given up."""
        return cast(
            Pages[Delivery],
            self.perform(
                Operation("list_deliveries", "GET", "/projects/{slug}/deliveries", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> Delivery:
        """A delivery."""
        return cast(
            Delivery,
            self.perform(
                Operation("get_deliveries_id", "GET", "/projects/{slug}/deliveries/{id}", answer="json"),
                {"id": id},
            ),
        )

    def drop(self, id: int) -> Delivery:
        """Drop a dead letter that nobody needs."""
        return cast(
            Delivery,
            self.perform(
                Operation(
                    "post_deliveries_id_drop", "POST", "/projects/{slug}/deliveries/{id}/drop", answer="json"
                ),
                {"id": id},
            ),
        )

    def give_up(self, id: int) -> Delivery:
        """Make a dead letter of what waits, so that the events behind it have their turn."""
        return cast(
            Delivery,
            self.perform(
                Operation(
                    "post_deliveries_id_give_up",
                    "POST",
                    "/projects/{slug}/deliveries/{id}/give-up",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def resend(self, id: int) -> Delivery:
        """Send a dead letter again."""
        return cast(
            Delivery,
            self.perform(
                Operation(
                    "post_deliveries_id_resend",
                    "POST",
                    "/projects/{slug}/deliveries/{id}/resend",
                    answer="json",
                ),
                {"id": id},
            ),
        )

    def try_now(self, id: int) -> Delivery:
        """Do not wait for the time of its next attempt."""
        return cast(
            Delivery,
            self.perform(
                Operation(
                    "post_deliveries_id_try_now",
                    "POST",
                    "/projects/{slug}/deliveries/{id}/try-now",
                    answer="json",
                ),
                {"id": id},
            ),
        )
