"""Benchmark files. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.operations import Operation


class BenchmarkFile(TypedDict):
    id: int
    name: str
    sha256: str
    summary: Any
    created_at: str


class BenchmarkFileBodyRequest(TypedDict):
    name: str
    content: str


class ListBenchmarkFilesQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id", "-name", "name"]]


class BenchmarkFilesResource(Resource):
    def list(self, **query: Unpack[ListBenchmarkFilesQuery]) -> Pages[BenchmarkFile]:
        """The files of tasks that policies are measured by."""
        return cast(
            Pages[BenchmarkFile],
            self.perform(
                Operation("list_benchmark_files", "GET", "/projects/{slug}/benchmark-files", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[BenchmarkFileBodyRequest]
    ) -> BenchmarkFile:
        """Add a file of tasks."""
        return cast(
            BenchmarkFile,
            self.perform(
                Operation(
                    "post_benchmark_files",
                    "POST",
                    "/projects/{slug}/benchmark-files",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
