"""Policy benchmarks. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Runs
from roundtable.operations import Operation


class BenchmarkBodyRequest(TypedDict):
    processes: NotRequired[int]
    settings: NotRequired[dict[str, Any]]
    file: int


class PolicyBenchmark(TypedDict):
    id: int
    policy: int
    file: int
    run: int
    report: Any
    created_at: str


class ListPoliciesIdBenchmarksQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]


class PolicyBenchmarksResource(Resource):
    def list(self, id: int, **query: Unpack[ListPoliciesIdBenchmarksQuery]) -> Pages[PolicyBenchmark]:
        """How a policy did on tasks."""
        return cast(
            Pages[PolicyBenchmark],
            self.perform(
                Operation(
                    "list_policies_id_benchmarks",
                    "GET",
                    "/projects/{slug}/policies/{id}/benchmarks",
                    answer="page",
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, id: int, *, idempotency_key: str | None = None, **body: Unpack[BenchmarkBodyRequest]
    ) -> Runs:
        """Queue the measurement of a policy on tasks."""
        return cast(
            Runs,
            self.perform(
                Operation(
                    "post_policies_id_benchmarks",
                    "POST",
                    "/projects/{slug}/policies/{id}/benchmarks",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )
