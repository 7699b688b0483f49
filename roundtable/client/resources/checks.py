"""Checks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class Checks(TypedDict):
    gold_share: float
    repeat_share: float
    repeat_after: int


class PatchedChangedChecksRequest(TypedDict):
    gold_share: NotRequired[float]
    repeat_share: NotRequired[float]
    repeat_after: NotRequired[int]


class ChecksResource(Resource):
    def get(self) -> Checks:
        """How many of a person's tasks have a known answer, and how many come a second time."""
        return cast(
            Checks, self.perform(Operation("get_checks", "GET", "/projects/{slug}/checks", answer="json"), {})
        )

    def update(
        self, *, seen: Mapping[str, object] | None = None, **body: Unpack[PatchedChangedChecksRequest]
    ) -> Checks:
        """Change them, from each person's next task on."""
        return cast(
            Checks,
            self.perform(
                Operation("patch_checks", "PATCH", "/projects/{slug}/checks", answer="json", compares=True),
                {},
                seen=seen,
                body=body,
            ),
        )
