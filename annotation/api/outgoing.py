"""Datasets on their way out: as an archive in a format, or to a repository of the Hugging Face Hub."""

from typing import Any

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import access_dataset
from annotation.datasets.shards import CSV, FILE_KINDS
from annotation.exporting.actions import stream_preferences
from annotation.exporting.formats.base import EXPORT_OPTIONS
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.exporting.pushing import push_dataset
from learning.interface.vocabulary import SPLITS
from runs.api.pushes import NewPush
from runs.api.views import RunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Query
from workspace.api.operations import operation
from workspace.roles import Capability

ZIP = "application/zip"


def _export_fields() -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    """How a dataset is written: the formats and options of the registry."""
    fields: dict[str, serializers.Field[Any, Any, Any, Any]] = {
        "format": serializers.ChoiceField(list(EXPORT_FORMATS), default="records"),
        "split": serializers.ChoiceField(SPLITS, required=False),
        "files": serializers.ChoiceField([*FILE_KINDS, CSV], required=False),
    }
    for option in EXPORT_OPTIONS.values():
        read_by = [name for name, known in EXPORT_FORMATS.items() if option.name in known.options]
        told = f"{option.description} ({', '.join(read_by)})"
        fields[option.name] = (
            serializers.ChoiceField(list(option.choices), default=option.default, help_text=told)
            if option.choices
            else serializers.BooleanField(default=False, help_text=told)
        )
    return fields


ArchiveQuery = type("ArchiveQuery", (Query,), _export_fields())
NewDatasetPush = type("NewDatasetPush", (NewPush,), _export_fields())


class DatasetArchive(ProjectApiView):
    @operation(Capability.MANAGE, query=ArchiveQuery, sends=(ZIP,))
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """The folder that an export writes, as a zip archive made while it is sent."""
        dataset = access_dataset(self.project, pk)
        name, content = stream_preferences(actor=self.actor, dataset=dataset, **self.query)
        response = StreamingHttpResponse(content, content_type=ZIP)
        response["Content-Disposition"] = content_disposition_header(True, name)
        return response


class PushDataset(ProjectApiView):
    @operation(Capability.MANAGE, body=NewDatasetPush, answers=RunSerializer, creates=True)
    def post(self, request: Request, pk: int, data: dict[str, Any]) -> Run:
        """Queue the push of an export to a repository of the Hugging Face Hub."""
        return push_dataset(actor=self.actor, dataset=access_dataset(self.project, pk), **data)
