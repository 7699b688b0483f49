"""Members. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Member(TypedDict):
    id: int
    username: str
    kind: str
    role: Literal["annotator", "reviewer", "reader", "manager"]
    paused_at: str | None
    created_at: str


class MemberWork(TypedDict):
    groups: list[str]
    skills: list[str]
    daily_limit: int | None


class PatchedChangedMemberRequest(TypedDict):
    role: NotRequired[Literal["annotator", "reviewer", "reader", "manager"]]
    paused: NotRequired[bool]


class PatchedChangedMemberWorkRequest(TypedDict):
    groups: NotRequired[list[str]]
    skills: NotRequired[list[str]]
    daily_limit: NotRequired[int]


class ListMembersQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class MembersResource(Resource):
    def list(self, **query: Unpack[ListMembersQuery]) -> Pages[Member]:
        """Who works on the project."""
        return cast(
            Pages[Member],
            self.perform(
                Operation("list_members", "GET", "/projects/{slug}/members", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> Member:
        """A member."""
        return cast(
            Member,
            self.perform(
                Operation("get_members_id", "GET", "/projects/{slug}/members/{id}", answer="json"), {"id": id}
            ),
        )

    def update(self, id: int, **body: Unpack[PatchedChangedMemberRequest]) -> Member:
        """Give a member another role, pause them (no tasks for them) or resume them."""
        return cast(
            Member,
            self.perform(
                Operation("patch_members_id", "PATCH", "/projects/{slug}/members/{id}", answer="json"),
                {"id": id},
                body=body,
            ),
        )

    def delete(self, id: int) -> None:
        """Remove a member. What they judged stays."""
        self.perform(
            Operation("delete_members_id", "DELETE", "/projects/{slug}/members/{id}", answer="nothing"),
            {"id": id},
        )

    def work(self, id: int) -> MemberWork:
        """A member's groups, skills and daily limit."""
        return cast(
            MemberWork,
            self.perform(
                Operation("get_members_id_work", "GET", "/projects/{slug}/members/{id}/work", answer="json"),
                {"id": id},
            ),
        )

    def update_work(self, id: int, **body: Unpack[PatchedChangedMemberWorkRequest]) -> MemberWork:
        """Change a member's groups, skills or daily limit, from their next task on."""
        return cast(
            MemberWork,
            self.perform(
                Operation(
                    "patch_members_id_work", "PATCH", "/projects/{slug}/members/{id}/work", answer="json"
                ),
                {"id": id},
                body=body,
            ),
        )
