"""Selected policy. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from typing import NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Resource
from roundtable.operations import Operation


class PinBodyRequest(TypedDict):
    policy: int
    selection: NotRequired[int]


class SelectedPolicy(TypedDict):
    policy: int
    selection: int | None
    pinned_by: str
    pinned_at: str


class SelectedPolicyResource(Resource):
    def get(self) -> SelectedPolicy:
        """The policy that the project goes on with; 404 where none is pinned."""
        return cast(
            SelectedPolicy,
            self.perform(
                Operation("get_selected_policy", "GET", "/projects/{slug}/selected-policy", answer="json"), {}
            ),
        )

    def create(self, **body: Unpack[PinBodyRequest]) -> SelectedPolicy:
        """Pin a policy, in the place of the one before."""
        return cast(
            SelectedPolicy,
            self.perform(
                Operation("post_selected_policy", "POST", "/projects/{slug}/selected-policy", answer="json"),
                {},
                body=body,
            ),
        )

    def delete(self) -> None:
        """Take the pin away."""
        self.perform(
            Operation(
                "delete_selected_policy", "DELETE", "/projects/{slug}/selected-policy", answer="nothing"
            ),
            {},
        )
