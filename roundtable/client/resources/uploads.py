"""Uploads. Written by roundtable.generation from the API's schema: do not edit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict, Unpack, cast

from roundtable.client.resource import Pages, Resource
from roundtable.client.resources.shared import NewAudienceRequest
from roundtable.operations import Operation


class HubDatasetRequest(TypedDict):
    dataset: str
    config: NotRequired[str]
    splits: NotRequired[list[str]]
    revision: NotRequired[str]


class NewUploadRequest(TypedDict):
    name: str
    size: int
    sha256: NotRequired[str]
    part_of: NotRequired[str]


class Upload(TypedDict):
    id: str
    part_of: NotRequired[str | None]
    name: str
    size_bytes: int
    received_bytes: int
    sha256: str
    hub: Any
    state: Literal["receiving", "complete", "at_work", "imported"]
    settings: Any
    outcome: Any
    run: int | None
    imported: int | None
    created_at: str


class UploadSettingsRequest(TypedDict):
    kind: Literal["comparisons", "tasks", "demonstrations", "prompts", "texts"]
    format: Literal["dialogues", "helpsteer3", "hh", "oasst", "ranked", "ratings", "records", "trl"]
    check_only: NotRequired[bool]
    mapping: NotRequired[dict[str, list[str]]]
    skip_bad: NotRequired[bool]
    again: NotRequired[bool]
    split_names: NotRequired[dict[str, str]]
    project_splits: NotRequired[bool]
    criterion: NotRequired[str]
    batch_name: NotRequired[str]
    named_strengths: NotRequired[dict[str, str]]
    margins: NotRequired[str]
    batch_kind: NotRequired[Literal["rating", "pairwise", "ranking"]]
    overlap: NotRequired[int]
    priority: NotRequired[int]
    open_at_once: NotRequired[bool]
    audience: NotRequired[NewAudienceRequest]
    prompt_set: NotRequired[str]
    purpose: NotRequired[str]
    licence: NotRequired[str]


class ListUploadsQuery(TypedDict):
    limit: NotRequired[int]
    order: NotRequired[Literal["-id", "id"]]
    state: NotRequired[Literal["receiving", "complete", "at_work", "imported"]]


class PutUploadsPublicIdPiecesQuery(TypedDict):
    offset: int


class UploadsResource(Resource):
    def list(self, **query: Unpack[ListUploadsQuery]) -> Pages[Upload]:
        """The caller's files on their way in."""
        return cast(
            Pages[Upload],
            self.perform(
                Operation("list_uploads", "GET", "/projects/{slug}/uploads", answer="page"),
                {},
                query=cast(Mapping[str, Any], query),
            ),
        )

    def create(self, *, idempotency_key: str | None = None, **body: Unpack[NewUploadRequest]) -> Upload:
        """Announce a file; then send its pieces."""
        return cast(
            Upload,
            self.perform(
                Operation("post_uploads", "POST", "/projects/{slug}/uploads", answer="json", keyed=True),
                {},
                key=idempotency_key,
                body=body,
            ),
        )

    def get(self, public_id: str) -> Upload:
        """How much of it the server has (`received_bytes`: where the next piece begins), and what became of
        it."""
        return cast(
            Upload,
            self.perform(
                Operation(
                    "get_uploads_public_id", "GET", "/projects/{slug}/uploads/{public_id}", answer="json"
                ),
                {"public_id": public_id},
            ),
        )

    def delete(self, public_id: str) -> None:
        """Forget the file."""
        self.perform(
            Operation(
                "delete_uploads_public_id", "DELETE", "/projects/{slug}/uploads/{public_id}", answer="nothing"
            ),
            {"public_id": public_id},
        )

    def start_import(self, public_id: str, **body: Unpack[UploadSettingsRequest]) -> Upload:
        """Check or import a file that is whole: a small one at once, a large one as a run."""
        return cast(
            Upload,
            self.perform(
                Operation(
                    "post_uploads_public_id_import",
                    "POST",
                    "/projects/{slug}/uploads/{public_id}/import",
                    answer="json",
                ),
                {"public_id": public_id},
                body=body,
            ),
        )

    def send_piece(
        self, public_id: str, content: bytes, **query: Unpack[PutUploadsPublicIdPiecesQuery]
    ) -> Upload:
        """The bytes that begin at `offset`."""
        return cast(
            Upload,
            self.perform(
                Operation(
                    "put_uploads_public_id_pieces",
                    "PUT",
                    "/projects/{slug}/uploads/{public_id}/pieces",
                    answer="json",
                ),
                {"public_id": public_id},
                content=content,
                query=cast(Mapping[str, Any], query),
            ),
        )

    def from_hub(self, *, idempotency_key: str | None = None, **body: Unpack[HubDatasetRequest]) -> Upload:
        """A public dataset of the Hugging Face hub, fetched by `run`; when the upload is complete it is
        imported as a"""
        return cast(
            Upload,
            self.perform(
                Operation(
                    "post_uploads_from_hub",
                    "POST",
                    "/projects/{slug}/uploads/from-hub",
                    answer="json",
                    keyed=True,
                ),
                {},
                key=idempotency_key,
                body=body,
            ),
        )
