"""Datasets. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import Run
from roundtable.client.streams import Download, Rows
from roundtable.operations import Operation


class Dataset(TypedDict):
    id: int
    name: str
    version: int
    criterion: NotRequired[str | None]
    filters: Any
    counts: Any
    licence: str
    description: str
    manifest_sha256: str
    created_by: str
    created_at: str


class DatasetFile(TypedDict):
    name: str
    rows: int
    bytes: int
    sha256: str


class DatasetFiles(TypedDict):
    files: list[DatasetFile]


class NewDatasetPushRequest(TypedDict):
    repository: str
    public: NotRequired[bool]
    token: NotRequired[str]
    dry_run: NotRequired[bool]
    format: NotRequired[
        Literal[
            "records",
            "judgments",
            "trl",
            "openrlhf",
            "nemo",
            "helpsteer3",
            "hh",
            "kto",
            "sft",
            "oasst",
            "ranked",
            "csv",
        ]
    ]
    split: NotRequired[Literal["train", "validation", "test"]]
    files: NotRequired[Literal["parquet", "jsonl", "csv"]]
    ties: NotRequired[Literal["drop", "soft"]]
    plain: NotRequired[bool]
    margin: NotRequired[Literal["small", "large", "none"]]
    columns: NotRequired[Literal["all", "documented"]]
    rows: NotRequired[Literal["pairs", "rankings"]]
    consensus: NotRequired[bool]


class NewDatasetRequest(TypedDict):
    name: NotRequired[str]
    new_version: NotRequired[bool]
    criteria: NotRequired[list[str]]
    batches: NotRequired[list[str]]
    rounds: NotRequired[list[int]]
    purposes: NotRequired[
        list[Literal["normal", "gold", "repeat", "practice", "adjudication", "head_to_head"]]
    ]
    annotator_kinds: NotRequired[list[Literal["person", "simulated", "ai"]]]
    splits: NotRequired[list[Literal["train", "validation", "test"]]]
    decisions: NotRequired[bool]
    consensus: NotRequired[bool]
    annotator_weights: NotRequired[int]
    min_agreement: NotRequired[float]
    min_characters: NotRequired[int]
    max_characters: NotRequired[int]
    since: NotRequired[str]
    until: NotRequired[str]
    licence: NotRequired[str]
    description: NotRequired[str]
    reuse: NotRequired[bool]


class PatchedDatasetDescriptionRequest(TypedDict):
    licence: NotRequired[str]
    description: NotRequired[str]


class ListDatasetsQuery(TypedDict):
    limit: NotRequired[int]
    name: NotRequired[str]
    order: NotRequired[Literal["-id", "id", "-name", "name"]]


class GetDatasetsIdArchiveQuery(TypedDict):
    columns: NotRequired[Literal["all", "documented"]]
    consensus: NotRequired[bool]
    files: NotRequired[Literal["parquet", "jsonl", "csv"]]
    format: NotRequired[
        Literal[
            "records",
            "judgments",
            "trl",
            "openrlhf",
            "nemo",
            "helpsteer3",
            "hh",
            "kto",
            "sft",
            "oasst",
            "ranked",
            "csv",
        ]
    ]
    margin: NotRequired[Literal["small", "large", "none"]]
    plain: NotRequired[bool]
    rows: NotRequired[Literal["pairs", "rankings"]]
    split: NotRequired[Literal["train", "validation", "test"]]
    ties: NotRequired[Literal["drop", "soft"]]


class GetDatasetsIdRowsQuery(TypedDict):
    split: NotRequired[Literal["train", "validation", "test"]]
    view: NotRequired[Literal["judgments", "comparisons"]]


class DatasetsResource(Resource):
    def list(self, **query: Unpack[ListDatasetsQuery]) -> Pages[Dataset]:
        """The project's datasets."""
        return cast(
            Pages[Dataset],
            self.perform(
                Operation("list_datasets", "GET", "/projects/{slug}/datasets", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(
        self, *, idempotency_key: str | None = None, **body: Unpack[NewDatasetRequest]
    ) -> Dataset | Run:
        """Freeze the judgments that are there now."""
        return cast(
            Dataset | Run,
            self.perform(
                Operation("post_datasets", "POST", "/projects/{slug}/datasets", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, id: int) -> Dataset:
        """A dataset: what was asked for and how much it is."""
        return cast(
            Dataset,
            self.perform(
                Operation("get_datasets_id", "GET", "/projects/{slug}/datasets/{id}", answer="json"),
                {"id": id},
            ),
        )

    def update(
        self,
        id: int,
        *,
        seen: Mapping[str, object] | None = None,
        **body: Unpack[PatchedDatasetDescriptionRequest],
    ) -> Dataset:
        """Change what its card says: licence and description. Its rows stay."""
        return cast(
            Dataset,
            self.perform(
                Operation(
                    "patch_datasets_id",
                    "PATCH",
                    "/projects/{slug}/datasets/{id}",
                    answer="json",
                    compares=True,
                ),
                {"id": id},
                seen=seen,
                body=body,
            ),
        )

    def archive(self, id: int, **query: Unpack[GetDatasetsIdArchiveQuery]) -> Download:
        """The folder that an export writes, as a zip archive made while it is sent."""
        return cast(
            Download,
            self.perform(
                Operation(
                    "get_datasets_id_archive", "GET", "/projects/{slug}/datasets/{id}/archive", answer="file"
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def files(self, id: int) -> DatasetFiles:
        """Its Parquet files with their hashes."""
        return cast(
            DatasetFiles,
            self.perform(
                Operation(
                    "get_datasets_id_files", "GET", "/projects/{slug}/datasets/{id}/files", answer="json"
                ),
                {"id": id},
            ),
        )

    def file(self, id: int, name: str) -> Download:
        """One of its files, or manifest.json."""
        return cast(
            Download,
            self.perform(
                Operation(
                    "get_datasets_id_files_name",
                    "GET",
                    "/projects/{slug}/datasets/{id}/files/{name}",
                    answer="file",
                ),
                {"id": id, "name": name},
            ),
        )

    def push(
        self, id: int, *, idempotency_key: str | None = None, **body: Unpack[NewDatasetPushRequest]
    ) -> Run:
        """Queue the push of an export to a repository of the Hugging Face Hub."""
        return cast(
            Run,
            self.perform(
                Operation(
                    "post_datasets_id_push",
                    "POST",
                    "/projects/{slug}/datasets/{id}/push",
                    answer="json",
                    keyed=True,
                ),
                {"id": id},
                key=idempotency_key,
                body=body,
            ),
        )

    def rows(self, id: int, **query: Unpack[GetDatasetsIdRowsQuery]) -> Rows:
        """Its rows as a stream, judgments or the comparisons made of them; checked against the manifest first."""
        return cast(
            Rows,
            self.perform(
                Operation(
                    "get_datasets_id_rows", "GET", "/projects/{slug}/datasets/{id}/rows", answer="rows"
                ),
                {"id": id},
                query=cast(Mapping[str, Any], query),
            ),
        )
