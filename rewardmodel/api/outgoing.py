"""A reward model on its way out: its folder as an archive, its push to the Hub."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.request import Request

from rewardmodel.access import access_reward_model
from rewardmodel.model_card import reward_model_files
from rewardmodel.pushing import push_reward_model
from runs.api.pushes import NewPush
from runs.api.views import RunSerializer
from runs.hub.archives import archive_response
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.operations import operation
from workspace.roles import Capability


class RewardModelArchive(ProjectApiView):
    @operation(Capability.MANAGE, sends=("application/zip",))
    def get(self, request: Request, pk: int) -> HttpResponseBase:
        """Its folder with its card, as a zip archive made while it is sent."""
        found = access_reward_model(self.project, pk)
        return archive_response(self.actor, found, lambda: reward_model_files(found))


class PushRewardModel(ProjectApiView):
    @operation(Capability.MANAGE, body=NewPush, answers=RunSerializer, creates=True)
    def post(self, request: Request, pk: int, data: dict[str, Any]) -> Run:
        """Queue its push to a repository of the Hugging Face Hub."""
        return push_reward_model(actor=self.actor, reward_model=access_reward_model(self.project, pk), **data)
