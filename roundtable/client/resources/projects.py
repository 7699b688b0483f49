"""Projects. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class Me(TypedDict):
    username: str
    pseudonym: str
    may_create_projects: bool
    token: Token | None
    projects: list[MyProject]


class MyProject(TypedDict):
    slug: str
    name: str
    role: Literal["annotator", "reviewer", "reader", "manager"]
    capabilities: list[str]


class NewProjectRequest(TypedDict):
    name: str
    description: NotRequired[str]
    criterion_name: NotRequired[str]
    question: NotRequired[str]
    guideline: NotRequired[str]
    overlap: NotRequired[int]
    lease_minutes: NotRequired[int]
    allow_ties: NotRequired[bool]
    ask_rationale: NotRequired[bool]
    preset: NotRequired[Literal["llama2", "instructgpt", "stiennon", "hh"]]


class PatchedChangedProjectRequest(TypedDict):
    name: NotRequired[str]
    description: NotRequired[str]
    overlap: NotRequired[int]
    lease_minutes: NotRequired[int]
    expected_version: NotRequired[int]
    time_zone: NotRequired[str]
    train_share: NotRequired[float]
    validation_share: NotRequired[float]
    test_per_tag: NotRequired[dict[str, int]]
    near_duplicates_together: NotRequired[bool]


class Project(TypedDict):
    slug: str
    name: str
    description: str
    overlap: int
    lease_minutes: int
    version: int
    time_zone: str
    train_share: float
    validation_share: float
    test_per_tag: dict[str, int]
    near_duplicates_together: bool
    created_at: str


class Token(TypedDict):
    name: str
    prefix: str
    scope: Literal["read", "write", "score"]
    role: Literal["annotator", "reviewer", "reader", "manager"]
    project: str | None
    expires_at: str


class ListProjectsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id", "-name", "name"]]


class ProjectsResource(Resource):
    def me(self) -> Me:
        """Who calls, by which token, and what they may do where."""
        return cast(Me, self.perform(Operation("get_me", "GET", "/me", answer="json"), {}))

    def list(self, **query: Unpack[ListProjectsQuery]) -> Pages[Project]:
        """The projects that the caller is a member of, as far as their token reaches."""
        return cast(
            Pages[Project],
            self.perform(
                Operation("list_projects", "GET", "/projects", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewProjectRequest]) -> Project:
        """A new project; the caller manages it. For operators, and for managers where the installation lets
        them."""
        return cast(
            Project,
            self.perform(
                Operation("post_projects", "POST", "/projects", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, slug: str) -> Project:
        """A project."""
        return cast(
            Project,
            self.perform(
                Operation("get_projects_slug", "GET", "/projects/{slug}", answer="json"), {"slug": slug}
            ),
        )

    def update(
        self,
        slug: str,
        *,
        seen: Mapping[str, object] | None = None,
        **body: Unpack[PatchedChangedProjectRequest],
    ) -> Project:
        """Correct its name, description, overlap or lease, its time zone, or on which side prompts go that
        come from"""
        return cast(
            Project,
            self.perform(
                Operation("patch_projects_slug", "PATCH", "/projects/{slug}", answer="json", compares=True),
                {"slug": slug},
                seen=seen,
                body=body,
            ),
        )
