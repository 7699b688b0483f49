"""Imports. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.streams import Rows
from roundtable.operations import Operation


class Import(TypedDict):
    id: int
    kind: Literal["comparisons", "prompts", "demonstrations", "tasks", "texts"]
    format: str
    state: Literal["running", "done", "taken_back"]
    files: Any
    rows: int | None
    bad_rows: int | None
    counts: Any
    notes: list[str]
    actor: str
    run: int | None
    used_for: str
    taken_back_at: str | None
    created_at: str


class TakenBack(TypedDict):
    hidden: dict[str, int]


class ListImportsQuery(TypedDict):
    kind: NotRequired[Literal["comparisons", "prompts", "demonstrations", "tasks", "texts"]]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["running", "done", "taken_back"]]


class ImportsResource(Resource):
    def list(self, **query: Unpack[ListImportsQuery]) -> Pages[Import]:
        """What was brought in from files."""
        return cast(
            Pages[Import],
            self.perform(
                Operation("list_imports", "GET", "/projects/{slug}/imports", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> Import:
        """An import and its report."""
        return cast(
            Import,
            self.perform(
                Operation("get_imports_id", "GET", "/projects/{slug}/imports/{id}", answer="json"), {"id": id}
            ),
        )

    def bad_rows(self, id: int) -> Rows:
        """The rows that were left out: file, line, column, reason. Nothing where every row was taken."""
        return cast(
            Rows,
            self.perform(
                Operation(
                    "get_imports_id_bad_rows", "GET", "/projects/{slug}/imports/{id}/bad-rows", answer="rows"
                ),
                {"id": id},
            ),
        )

    def take_back(self, id: int) -> TakenBack:
        """Hide everything that it brought in, as long as nothing has used it."""
        return cast(
            TakenBack,
            self.perform(
                Operation(
                    "post_imports_id_take_back",
                    "POST",
                    "/projects/{slug}/imports/{id}/take-back",
                    answer="json",
                ),
                {"id": id},
            ),
        )
