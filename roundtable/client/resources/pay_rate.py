"""Pay rate. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class NewPayRateRequest(TypedDict):
    unit: Literal["hour", "judgment", ""]
    amount: NotRequired[str]
    currency: NotRequired[str]


class PayRate(TypedDict):
    unit: Literal["", "hour", "judgment"]
    amount: str
    currency: str


class PayRateResource(Resource):
    def get(self) -> PayRate:
        """What an active hour, or a judgment, of a person costs."""
        return cast(
            PayRate,
            self.perform(Operation("get_pay_rate", "GET", "/projects/{slug}/pay-rate", answer="json"), {}),
        )

    def put(self, **body: Unpack[NewPayRateRequest]) -> PayRate:
        """Say what an active hour, or a judgment, of a person costs; an empty unit takes it away."""
        return cast(
            PayRate,
            self.perform(
                Operation("put_pay_rate", "PUT", "/projects/{slug}/pay-rate", answer="json"), {}, body=body
            ),
        )
