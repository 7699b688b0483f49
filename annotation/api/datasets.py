"""Datasets: frozen, listed, downloaded, read as a stream. Their rows say whose the answers are: for managers alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import FileResponse, Http404
from django.http.response import HttpResponseBase
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from annotation.access import access_dataset
from annotation.batches.exclusion import find_batches
from annotation.datasets.actions import describe_dataset
from annotation.datasets.conditions import Conditions
from annotation.datasets.descriptions import DESCRIBED
from annotation.datasets.files import MANIFEST, dataset_comparisons, dataset_judgments, dataset_manifest
from annotation.datasets.freezing import freeze_or_queue
from annotation.datasets.quality_labels import files_beside
from annotation.models import COUNTED_PURPOSES, PreferenceDataset, Prompt, Task
from annotation.record_columns import judgment_rows
from learning.interface.plain_files import open_plain
from learning.interface.record_schemas import COMPARISONS, JUDGMENTS
from runs.api.views import RunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery, Query
from workspace.api.fields import KEY, NATURAL, JsonValue
from workspace.api.operations import Queued, is_known, operation
from workspace.api.streams import CONTENT_TYPES, stream_rows
from workspace.criteria import find_criterion
from workspace.models import User
from workspace.roles import Capability
from workspace.shown_values import Shown, values_of

_SPLITS = Prompt.Split.choices


class DatasetSerializer(serializers.ModelSerializer[PreferenceDataset]):
    criterion: Any = serializers.CharField(source="criterion.name", allow_null=True, default=None)
    filters = JsonValue()
    counts = JsonValue()
    created_by: Any = serializers.CharField(source="created_by.username")

    class Meta:
        model = PreferenceDataset
        fields = [
            "id", "name", "version", "criterion", "filters", "counts", "licence", "description", "manifest_sha256",
            "created_by", "created_at",
        ]  # fmt: skip
        read_only_fields = fields


class DatasetQuery(PageQuery):
    order = OrderField("id", "name")
    name = serializers.CharField(max_length=120, required=False)


class NewDataset(Body):
    """Which judgments; what is left out does not narrow."""

    name = serializers.CharField(max_length=120, required=False)
    new_version = serializers.BooleanField(default=False, help_text="A taken name gets its next version.")
    criteria = serializers.ListField(child=serializers.CharField(max_length=40), max_length=100, default=list)
    batches = serializers.ListField(
        child=serializers.CharField(max_length=120), max_length=1000, required=False, help_text="Their names."
    )
    rounds = serializers.ListField(child=serializers.IntegerField(**NATURAL), max_length=1000, default=list)
    purposes = serializers.ListField(
        child=serializers.ChoiceField(Task.Purpose.choices), min_length=1, default=list(COUNTED_PURPOSES)
    )
    annotator_kinds = serializers.ListField(
        child=serializers.ChoiceField(User.Kind.choices), min_length=1, default=[User.Kind.PERSON.value]
    )
    splits = serializers.ListField(child=serializers.ChoiceField(_SPLITS), default=list)
    decisions = serializers.BooleanField(
        default=False, help_text="What reviewers decided, in place of the judgments of those tasks."
    )
    consensus = serializers.BooleanField(
        default=False,
        help_text="The consensus of the newest measurement of quality beside them: labels of merged comparisons.",
    )
    annotator_weights = serializers.IntegerField(
        required=False,
        help_text="The number of the newest quality report (`quality`): how much each annotator counts after it.",
        **KEY,
    )
    min_agreement = serializers.FloatField(min_value=0, max_value=1, required=False)
    min_characters = serializers.IntegerField(required=False, **NATURAL)
    max_characters = serializers.IntegerField(required=False, **NATURAL)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    licence = serializers.CharField(max_length=100, default="", allow_blank=True)
    description = serializers.CharField(max_length=100_000, default="", allow_blank=True)
    reuse = serializers.BooleanField(default=False, help_text="An earlier one of the same content will do.")


class DatasetDescription(Body):
    licence = serializers.CharField(max_length=100, required=False, allow_blank=True)
    description = serializers.CharField(max_length=100_000, required=False, allow_blank=True)


class DatasetFileSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()


class DatasetFilesSerializer(serializers.Serializer[Any]):
    files = DatasetFileSerializer(many=True)


END: dict[str, Any] = {
    "default": False,
    "help_text": 'A last line of NDJSON, {"end": number of rows}: without it the stream was cut.',
}


class RowsQuery(Query):
    view = serializers.ChoiceField(["judgments", "comparisons"], default="judgments")
    format = serializers.ChoiceField(sorted(CONTENT_TYPES), default="ndjson")
    split = serializers.ChoiceField(_SPLITS, required=False)
    end = serializers.BooleanField(**END)


class JudgmentRowsQuery(Query):
    format = serializers.ChoiceField(sorted(CONTENT_TYPES), default="ndjson")
    split = serializers.ChoiceField(_SPLITS, required=False)
    criterion = serializers.CharField(max_length=40, required=False)
    batch = serializers.CharField(max_length=120, required=False, help_text="Its name.")
    annotator_kind = serializers.ChoiceField(User.Kind.choices, required=False)
    end = serializers.BooleanField(**END)


class Datasets(ProjectApiView):
    @operation(Capability.REVIEW, lists=DatasetSerializer, query=DatasetQuery)
    def get(self, request: Request) -> QuerySet[PreferenceDataset]:
        """The project's datasets."""
        return self.project.preference_datasets.select_related("criterion", "created_by").defer("statistics")

    @operation(
        Capability.MANAGE,
        body=NewDataset,
        answers=DatasetSerializer,
        queues=RunSerializer,
        creates=True,
        is_long=True,
    )
    def post(self, request: Request, data: dict[str, Any]) -> PreferenceDataset | Queued:
        """Freeze the judgments that are there now.

        Of more than 50,000 a worker does it: then the answer is 202 and the run. When the run is done, `dataset` of its
        result (`runs/ID/result`) is the dataset's number.
        """
        asked = {
            name: data.pop(name, None)
            for name in ("min_agreement", "min_characters", "max_characters", "since", "until")
        }
        criteria = [find_criterion(self.project, name) for name in data.pop("criteria")]
        batches = find_batches(self.project, data.pop("batches", None))
        made = freeze_or_queue(
            actor=self.actor,
            project=self.project,
            criteria=criteria,
            batches=batches,
            conditions=Conditions(**asked),
            **data,
        )
        return Queued(made) if isinstance(made, Run) else made


def _changeable(dataset: PreferenceDataset) -> dict[str, Any]:
    return values_of(dataset, DESCRIBED)


class OneDataset(ProjectApiView):
    @operation(Capability.REVIEW, answers=DatasetSerializer, changeable=_changeable)
    def get(self, request: Request, pk: int) -> PreferenceDataset:
        """A dataset: what was asked for and how much it is."""
        return access_dataset(self.project, pk)

    @operation(Capability.MANAGE, body=DatasetDescription, answers=DatasetSerializer, changeable=_changeable)
    def patch(self, request: Request, pk: int, data: dict[str, Any], shown: Shown) -> PreferenceDataset:
        """Change what its card says: licence and description. Its rows stay."""
        dataset = access_dataset(self.project, pk)
        return describe_dataset(actor=self.actor, dataset=dataset, **data, shown=shown)


class DatasetFiles(ProjectApiView):
    @operation(Capability.MANAGE, answers=DatasetFilesSerializer, immutable=True)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """Its Parquet files with their hashes."""
        manifest = dataset_manifest(access_dataset(self.project, pk))
        return {"files": [*manifest["files"], *files_beside(manifest)]}


class DatasetFile(ProjectApiView):
    @operation(Capability.MANAGE, sends=("application/octet-stream",), immutable=True)
    def get(self, request: Request, pk: int, name: str) -> HttpResponseBase:
        """One of its files, or manifest.json."""
        dataset = access_dataset(self.project, pk)
        manifest = dataset_manifest(dataset)
        hashes = {file["name"]: file["sha256"] for file in [*manifest["files"], *files_beside(manifest)]}
        hashes[MANIFEST] = dataset.manifest_sha256
        if name not in hashes:
            raise Http404("The dataset has no such file.")
        headers = {"ETag": f'"{hashes[name]}"', "Cache-Control": "private, no-cache"}
        if is_known(request, headers["ETag"]):
            return Response(status=304, headers=headers)
        try:
            file = open_plain(Path(settings.DATA_DIR) / dataset.directory / name)
        except OSError as error:
            raise Http404("The file is missing.") from error
        return FileResponse(
            file, as_attachment=True, filename=name, content_type="application/octet-stream", headers=headers
        )


class DatasetRows(ProjectApiView):
    @operation(Capability.MANAGE, query=RowsQuery, sends=tuple(CONTENT_TYPES.values()))
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Its rows as a stream, judgments or the comparisons made of them; checked against the manifest first."""
        dataset = access_dataset(self.project, pk)
        splits = [self.query["split"]] if "split" in self.query else None
        rows: Iterator[Any]
        if self.query["view"] == "comparisons":
            rows, schema = dataset_comparisons(dataset, splits=splits), COMPARISONS
        else:
            rows, schema = dataset_judgments(dataset, splits=splits), JUDGMENTS
        name = f"dataset-{pk}-{self.query['view']}"
        return stream_rows(rows, schema, self.query["format"], name, end=self.query["end"])


class JudgmentRows(ProjectApiView):
    @operation(Capability.MANAGE, query=JudgmentRowsQuery, sends=tuple(CONTENT_TYPES.values()))
    def get(self, request: Request) -> HttpResponseBase:
        """Judgments as they are now, history included, as a stream of records."""
        query = self.query
        criterion = find_criterion(self.project, query["criterion"]) if "criterion" in query else None
        names = [query["batch"]] if "batch" in query else None
        rows = judgment_rows(
            self.project,
            criterion=criterion,
            batches=find_batches(self.project, names),
            annotator_kinds=[query["annotator_kind"]] if "annotator_kind" in query else None,
            splits=[query["split"]] if "split" in query else None,
        )
        name = f"{self.project.slug}-judgments"
        return stream_rows(rows, JUDGMENTS, query["format"], name, end=query["end"])
