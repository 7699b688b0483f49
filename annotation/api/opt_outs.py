"""What the caller does not want to see."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from annotation.preferences.content_warnings import MAX_WARNINGS
from annotation.queue.opt_outs import known_warnings, own_opt_outs, set_opt_outs
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body
from workspace.api.operations import operation
from workspace.roles import Capability


class OptOutsSerializer(serializers.Serializer[Any]):
    names = serializers.ListField(child=serializers.CharField(), help_text="Not offered to the caller.")
    known = serializers.ListField(child=serializers.CharField(), help_text="What batches warn of.")


class NewOptOuts(Body):
    names = serializers.ListField(child=serializers.CharField(max_length=30), max_length=MAX_WARNINGS)


class OptOuts(ProjectApiView):
    @operation(Capability.ANNOTATE, answers=OptOutsSerializer)
    def get(self, request: Request) -> dict[str, Any]:
        """Content warnings: those that batches have, and those whose tasks the caller is not offered."""
        return self._now()

    @operation(Capability.ANNOTATE, body=NewOptOuts, answers=OptOutsSerializer)
    def put(self, request: Request, data: dict[str, Any]) -> dict[str, Any]:
        """Do not offer the caller tasks with these warnings; all others again."""
        set_opt_outs(actor=self.actor, project=self.project, names=data["names"])
        return self._now()

    def _now(self) -> dict[str, Any]:
        return {"names": own_opt_outs(self.actor, self.project), "known": known_warnings(self.project)}
