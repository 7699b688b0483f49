"""A policy on its way out: its folder as an archive, its push to the Hub."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from policy_training.access import access_policy
from policy_training.model_card import policy_files
from policy_training.pushing import push_policy
from runs.api.pushes import NewPush
from runs.api.views import RunSerializer
from runs.hub.archives import archive_response
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.operations import operation
from workspace.roles import Capability


class PolicyArchive(ProjectApiView):
    @operation(Capability.MANAGE, sends=("application/zip",))
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Its folder with its card, as a zip archive made while it is sent."""
        found = access_policy(self.project, pk)
        return archive_response(self.actor, found, lambda: policy_files(found))


class PushPolicy(ProjectApiView):
    @operation(Capability.MANAGE, body=NewPush, answers=RunSerializer, creates=True)
    def post(self, request: Request, pk: int, data: dict[str, Any]) -> Run:
        """Queue its push to a repository of the Hugging Face Hub."""
        return push_policy(actor=self.actor, policy=access_policy(self.project, pk), **data)
