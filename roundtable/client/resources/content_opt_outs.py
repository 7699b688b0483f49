"""Content opt outs. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class NewOptOutsRequest(TypedDict):
    names: list[str]


class OptOuts(TypedDict):
    names: list[str]
    known: list[str]


class ContentOptOutsResource(Resource):
    def get(self) -> OptOuts:
        """Content warnings: those that batches have, and those whose tasks the caller is not offered."""
        return cast(
            OptOuts,
            self.perform(
                Operation("get_content_opt_outs", "GET", "/projects/{slug}/content-opt-outs", answer="json"),
                {},
            ),
        )

    def put(self, **body: Unpack[NewOptOutsRequest]) -> OptOuts:
        """Do not offer the caller tasks with these warnings; all others again."""
        return cast(
            OptOuts,
            self.perform(
                Operation("put_content_opt_outs", "PUT", "/projects/{slug}/content-opt-outs", answer="json"),
                {},
                body=body,
            ),
        )
