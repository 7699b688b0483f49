"""A model on its way out: its folder as an archive, its push to the Hub."""

from typing import Any, cast

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from runs.api.pushes import NewPush
from runs.api.views import RunSerializer
from runs.hub.archives import archive_response
from runs.hub.outgoing import OutgoingModels
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.operations import operation
from workspace.roles import Capability


class ModelArchive(ProjectApiView):
    """`as_view(models=...)`"""

    models: OutgoingModels = cast(OutgoingModels, None)  # as_view takes what is an attribute

    @operation(Capability.MANAGE, sends=("application/zip",))
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Its folder with its card, as a zip archive made while it is sent."""
        found = self.models.access(self.project, pk)
        return archive_response(self.actor, found, lambda: self.models.files(found))


class PushModel(ProjectApiView):
    """`as_view(models=...)`"""

    models: OutgoingModels = cast(OutgoingModels, None)  # as_view takes what is an attribute

    @operation(Capability.MANAGE, body=NewPush, answers=RunSerializer, creates=True)
    def post(self, request: Request, pk: int, data: dict[str, Any]) -> Run:
        """Queue its push to a repository of the Hugging Face Hub."""
        return self.models.push(actor=self.actor, model=self.models.access(self.project, pk), **data)
