"""Audit. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class AuditEvent(TypedDict):
    id: int
    created_at: str
    person: str
    action: str
    object_type: str
    object_id: str
    details: Any


class ListAuditQuery(TypedDict):
    action: NotRequired[str]
    created_after: NotRequired[str]
    created_before: NotRequired[str]
    limit: NotRequired[int]
    object_id: NotRequired[str]
    object_type: NotRequired[str]
    order: NotRequired[Literal["-id", "id"]]
    person: NotRequired[str]


class AuditResource(Resource):
    def list(self, **query: Unpack[ListAuditQuery]) -> Pages[AuditEvent]:
        """Who did what to what, the newest first."""
        return cast(
            Pages[AuditEvent],
            self.perform(
                Operation("list_audit", "GET", "/projects/{slug}/audit", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )
