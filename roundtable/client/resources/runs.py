"""Runs. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import OneRun, Run
from roundtable.client.streams import Download
from roundtable.operations import Operation


class Metrics(TypedDict):
    rows: Any
    offset: int
    fence: int
    reset: bool
    more: bool
    finished: bool


class PatchedChangedRunRequest(TypedDict):
    time_limit_minutes: NotRequired[int | None]


class Result(TypedDict):
    result: Any


class ListRunsQuery(TypedDict):
    kind: NotRequired[str]
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["queued", "running", "paused", "done", "failed", "user_error", "cancelled"]]


class GetRunsIdMetricsQuery(TypedDict):
    fence: NotRequired[int]
    offset: NotRequired[int]


class RunsResource(Resource):
    def list(self, **query: Unpack[ListRunsQuery]) -> Pages[Run]:
        """The project's runs."""
        return cast(
            Pages[Run],
            self.perform(
                Operation("list_runs", "GET", "/projects/{slug}/runs", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def get(self, id: int) -> OneRun:
        """A run, with what was asked of it and what it made."""
        return cast(
            OneRun,
            self.perform(
                Operation("get_runs_id", "GET", "/projects/{slug}/runs/{id}", answer="json"), {"id": id}
            ),
        )

    def update(
        self, id: int, *, seen: Mapping[str, object] | None = None, **body: Unpack[PatchedChangedRunRequest]
    ) -> OneRun:
        """Change how long each start of it may take; of one that runs, too."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "patch_runs_id", "PATCH", "/projects/{slug}/runs/{id}", answer="json", compares=True
                ),
                {"id": id},
                seen=seen,
                body=body,
            ),
        )

    def cancel(self, id: int) -> OneRun:
        """Stop it. One that runs is asked to, and its worker ends it."""
        return cast(
            OneRun,
            self.perform(
                Operation("post_runs_id_cancel", "POST", "/projects/{slug}/runs/{id}/cancel", answer="json"),
                {"id": id},
            ),
        )

    def clone(self, id: int, *, idempotency_key: str | None = None) -> OneRun:
        """The same work from the start, in a directory of its own."""
        return cast(
            OneRun,
            self.perform(
                Operation(
                    "post_runs_id_clone",
                    "POST",
                    "/projects/{slug}/runs/{id}/clone",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
            ),
        )

    def end(self, id: int) -> OneRun:
        """Have one that paused end with its best checkpoint from before the pause."""
        return cast(
            OneRun,
            self.perform(
                Operation("post_runs_id_end", "POST", "/projects/{slug}/runs/{id}/end", answer="json"),
                {"id": id},
            ),
        )

    def file(self, id: int, name: str) -> Download:
        """One of its text files (log.txt, metrics.jsonl, ...)."""
        return cast(
            Download,
            self.perform(
                Operation(
                    "get_runs_id_files_name", "GET", "/projects/{slug}/runs/{id}/files/{name}", answer="file"
                ),
                {"id": id, "name": name},
            ),
        )

    def metrics(self, id: int, **query: Unpack[GetRunsIdMetricsQuery]) -> Metrics:
        """Metrics written since the answer before: give its `offset` and `fence`."""
        return cast(
            Metrics,
            self.perform(
                Operation("get_runs_id_metrics", "GET", "/projects/{slug}/runs/{id}/metrics", answer="json"),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def result(self, id: int) -> Result:
        """What a run that is done found (its result.json)."""
        return cast(
            Result,
            self.perform(
                Operation("get_runs_id_result", "GET", "/projects/{slug}/runs/{id}/result", answer="json"),
                {"id": id},
            ),
        )

    def resume(self, id: int) -> OneRun:
        """Queue one that ended badly, or that paused, again: it goes on from its last checkpoint."""
        return cast(
            OneRun,
            self.perform(
                Operation("post_runs_id_resume", "POST", "/projects/{slug}/runs/{id}/resume", answer="json"),
                {"id": id},
            ),
        )
