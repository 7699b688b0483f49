"""Files in: sent in pieces, checked, imported, taken back. As the pages do, and with the same actions."""

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.request import Request

from annotation.access import access_import
from annotation.api.assigning import NewAudience
from annotation.importing.actions import take_back_import
from annotation.importing.bad_rows import bad_rows_response
from annotation.importing.uploads import actions
from annotation.importing.uploads.actions import MAX_PIECE_BYTES
from annotation.importing.uploads.hub import fetch_from_hub
from annotation.importing.uploads.settings import READERS, ImportSettings
from annotation.importing.uploads.starting import settle, start
from annotation.models import Import, Upload
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery, Query
from workspace.api.fields import JsonValue
from workspace.api.operations import operation
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability

_KINDS = [(kind, Import.Kind(kind).label) for kind in READERS]
_FORMATS = sorted({name for readers in READERS.values() for name in readers})


class ImportSerializer(serializers.ModelSerializer[Import]):
    files = JsonValue()
    counts = JsonValue()
    notes = serializers.ListField(child=serializers.CharField())
    actor: Any = serializers.CharField(source="actor.username")
    run: Any = serializers.IntegerField(source="run_id", allow_null=True)

    class Meta:
        model = Import
        fields = [
            "id", "kind", "format", "state", "files", "rows", "bad_rows", "counts", "notes", "actor", "run",
            "used_for", "taken_back_at", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class ImportQuery(PageQuery):
    order = OrderField("id")
    kind = serializers.ChoiceField(Import.Kind.choices, required=False)
    state = serializers.ChoiceField(Import.State.choices, required=False)


class TakenBackSerializer(serializers.Serializer[Any]):
    hidden = serializers.DictField(child=serializers.IntegerField(), help_text="How many of what.")


class Imports(ProjectApiView):
    @operation(Capability.REVIEW, lists=ImportSerializer, query=ImportQuery)
    def get(self, request: Request) -> QuerySet[Import]:
        """What was brought in from files."""
        return self.project.imports.select_related("actor")


class OneImport(ProjectApiView):
    @operation(Capability.REVIEW, answers=ImportSerializer)
    def get(self, request: Request, pk: int) -> Import:
        """An import and its report."""
        return access_import(self.project, pk)


class ImportBadRows(ProjectApiView):
    @operation(Capability.REVIEW, sends=("application/x-ndjson",))
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """The rows that were left out: file, line, column, reason. Nothing where every row was taken."""
        imported = access_import(self.project, pk)
        if not imported.bad_rows_path.is_file():
            return HttpResponse(b"", content_type="application/x-ndjson")
        return bad_rows_response(imported.bad_rows_path, "jsonl", name=f"import {pk}")


class TakeBackImport(ProjectApiView):
    @operation(Capability.MANAGE, answers=TakenBackSerializer)
    def post(self, request: Request, pk: int) -> dict[str, Any]:
        """Hide everything that it brought in, as long as nothing has used it."""
        imported = access_import(self.project, pk)
        return {"hidden": dict(take_back_import(actor=self.actor, imported=imported))}


class UploadSerializer(serializers.ModelSerializer[Upload]):
    id: Any = serializers.UUIDField(source="public_id")
    outcome = JsonValue(help_text="Of the last check or import; empty before it.")
    settings = JsonValue()
    hub = JsonValue(help_text="Of a dataset of the hub, which `run` fetches; else null.")
    run: Any = serializers.IntegerField(source="run_id", allow_null=True)
    imported: Any = serializers.IntegerField(source="imported_id", allow_null=True)
    part_of: Any = serializers.UUIDField(
        source="part_of.public_id", allow_null=True, default=None, help_text="The first file of its import."
    )

    class Meta:
        model = Upload
        fields = [
            "id", "part_of", "name", "size_bytes", "received_bytes", "sha256", "hub", "state", "settings", "outcome",
            "run", "imported", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class UploadQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(Upload.State.choices, required=False)


class NewUpload(Body):
    name = serializers.CharField(max_length=200, help_text="Its ending says in which form the file is.")
    size = serializers.IntegerField(min_value=1, max_value=2**62 - 1, help_text="Bytes.")
    sha256 = serializers.RegexField("^[0-9a-f]{64}$", required=False)
    part_of = serializers.UUIDField(
        required=False,
        help_text="One more file of this upload's import, which is begun for the first of them.",
    )


class PieceQuery(Query):
    offset = serializers.IntegerField(min_value=0, max_value=2**62 - 1)


class UploadSettings(Body):
    """How the file is to be read; each kind takes those of its command (docs/manager-guide.md)."""

    kind = serializers.ChoiceField(_KINDS)
    format = serializers.ChoiceField(_FORMATS)
    check_only = serializers.BooleanField(
        default=False, help_text="Say what would come in, and store nothing."
    )
    mapping = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="{field: columns}",
    )
    skip_bad = serializers.BooleanField(required=False)
    again = serializers.BooleanField(required=False)
    split_names = serializers.DictField(child=serializers.CharField(), required=False)
    project_splits = serializers.BooleanField(required=False)
    criterion = serializers.CharField(max_length=40, required=False)
    batch_name = serializers.CharField(max_length=110, required=False)
    named_strengths = serializers.DictField(child=serializers.CharField(), required=False)
    margins = serializers.CharField(required=False)
    batch_kind = serializers.ChoiceField(["rating", "pairwise", "ranking"], required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    priority = serializers.IntegerField(min_value=-(2**31) + 1, max_value=2**31 - 1, required=False)
    open_at_once = serializers.BooleanField(required=False)
    audience = NewAudience(
        required=False, help_text="Of tasks: who gets them; left out: everybody who judges."
    )
    prompt_set = serializers.CharField(max_length=120, required=False)
    purpose = serializers.CharField(max_length=12, required=False)
    licence = serializers.CharField(max_length=200, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["format"] not in READERS[attrs["kind"]]:
            known = ", ".join(READERS[attrs["kind"]])
            raise ValidationError({"format": [f"{attrs['kind']} come as one of {known}."]})
        return attrs


class UploadView(ProjectApiView):
    def find(self, public_id: UUID) -> Upload:
        """The caller's own; nobody else's, whatever their role."""
        uploads = self.project.uploads.select_related("project", "run", "imported", "owner", "part_of")
        found = uploads.filter(owner=self.actor, public_id=public_id).first()
        if found is None:
            raise Http404("No such upload.")
        return settle(found)


class Uploads(UploadView):
    @operation(Capability.MANAGE, lists=UploadSerializer, query=UploadQuery)
    def get(self, request: Request) -> QuerySet[Upload]:
        """The caller's files on their way in."""
        return self.project.uploads.filter(owner=self.actor).select_related("part_of")

    @operation(Capability.MANAGE, body=NewUpload, answers=UploadSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Upload:
        """Announce a file; then send its pieces."""
        first = data.pop("part_of", None)
        return actions.begin_upload(
            actor=self.actor,
            project=self.project,
            part_of=None if first is None else self.find(first),
            **data,
        )


class HubDataset(Body):
    dataset = serializers.CharField(max_length=200, help_text="owner/name, one that an operator allows.")
    config = serializers.CharField(max_length=200, required=False, help_text="Where it has several.")
    splits = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=20, required=False, help_text="Left out: all."
    )
    revision = serializers.CharField(max_length=200, required=False, help_text="Left out: the newest.")


class FetchedUploads(ProjectApiView):
    @operation(Capability.MANAGE, body=HubDataset, answers=UploadSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> Upload:
        """A public dataset of the Hugging Face hub, fetched by `run`; when the upload is complete it is imported as a
        file is.
        """
        return fetch_from_hub(actor=self.actor, project=self.project, **data)


class OneUpload(UploadView):
    @operation(Capability.MANAGE, answers=UploadSerializer)
    def get(self, request: Request, public_id: UUID) -> Upload:
        """How much of it the server has (`received_bytes`: where the next piece begins), and what became of it."""
        return self.find(public_id)

    @operation(Capability.MANAGE, status=204)
    def delete(self, request: Request, public_id: UUID) -> None:
        """Forget the file."""
        actions.remove_upload(actor=self.actor, upload=self.find(public_id))


class UploadPieces(UploadView):
    max_body_bytes = MAX_PIECE_BYTES

    @operation(Capability.MANAGE, query=PieceQuery, answers=UploadSerializer, takes_file=True)
    def put(self, request: Request, public_id: UUID) -> Upload:
        """The bytes that begin at `offset`."""
        if request.content_type.partition(";")[0].strip() != "application/octet-stream":
            raise UnsupportedMediaType(request.content_type)
        return actions.receive_piece(
            actor=self.actor,
            upload=self.find(public_id),
            offset=self.query["offset"],
            content=request._request.body,
        )


class UploadImport(UploadView):
    @operation(Capability.MANAGE, body=UploadSettings, answers=UploadSerializer)
    def post(self, request: Request, data: dict[str, Any], public_id: UUID) -> Upload:
        """Check or import a file that is whole: a small one at once, a large one as a run."""
        check_only = data.pop("check_only")
        values = ImportSettings(**data).as_json()
        upload = actions.change_settings(actor=self.actor, upload=self.find(public_id), values=values)
        return start(actor=self.actor, upload=upload, check_only=check_only)
