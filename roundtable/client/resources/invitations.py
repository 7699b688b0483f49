"""Invitations. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Invitation(TypedDict):
    id: int
    role: Literal["annotator", "reviewer", "reader", "manager"]
    note: str
    invited_by: str
    expires_at: str
    created_at: str


class NewInvitation(TypedDict):
    id: int
    role: Literal["annotator", "reviewer", "reader", "manager"]
    note: str
    invited_by: str
    expires_at: str
    created_at: str
    link: str | None


class NewInvitationRequest(TypedDict):
    role: Literal["annotator", "reviewer", "reader", "manager"]
    note: NotRequired[str]


class ListInvitationsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class InvitationsResource(Resource):
    def list(self, **query: Unpack[ListInvitationsQuery]) -> Pages[Invitation]:
        """Those that can still be accepted."""
        return cast(
            Pages[Invitation],
            self.perform(
                Operation("list_invitations", "GET", "/projects/{slug}/invitations", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewInvitationRequest]
    ) -> NewInvitation:
        """An invitation. Its link is in this answer and nowhere else."""
        return cast(
            NewInvitation,
            self.perform(
                Operation(
                    "post_invitations", "POST", "/projects/{slug}/invitations", answer="json", keyed=True
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Invitation:
        """An invitation."""
        return cast(
            Invitation,
            self.perform(
                Operation("get_invitations_id", "GET", "/projects/{slug}/invitations/{id}", answer="json"),
                {"id": id},
            ),
        )

    def delete(self, id: int) -> None:
        """Withdraw it: its link does not work any more."""
        self.perform(
            Operation(
                "delete_invitations_id", "DELETE", "/projects/{slug}/invitations/{id}", answer="nothing"
            ),
            {"id": id},
        )
