"""Runs: listed, watched, cancelled, queued again."""

import json
from typing import Any

from django.db.models import QuerySet
from django.http import FileResponse, Http404
from rest_framework import serializers
from rest_framework.request import Request

from runs import actions, run_files
from runs.access import access_run, access_run_file, readable_files
from runs.models import Artifact, Run
from runs.time_limits import MAX_MINUTES
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery, Query
from workspace.api.fields import JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability
from workspace.shown_values import Shown, values_of

MAX_RESULT_BYTES = 20_000_000


class RunSerializer(serializers.ModelSerializer[Run]):
    progress = JsonValue()
    requested_by: Any = serializers.CharField(source="requested_by.username")
    cloned_from: Any = serializers.IntegerField(source="cloned_from_id", allow_null=True)

    class Meta:
        model = Run
        fields = [
            "id", "kind", "kind_label", "title", "state", "attempt", "max_attempts", "progress", "error",
            "cancel_requested", "processes", "threads", "time_limit_minutes", "requested_by", "cloned_from",
            "created_at", "started_at", "finished_at",
        ]  # fmt: skip
        read_only_fields = fields


class ArtifactSerializer(serializers.ModelSerializer[Artifact]):
    class Meta:
        model = Artifact
        fields = ["id", "kind", "sha256", "size_bytes", "created_at"]
        read_only_fields = fields


class OneRunSerializer(RunSerializer):
    config = JsonValue()
    parameters = JsonValue()
    artifacts = ArtifactSerializer(many=True)
    files = serializers.SerializerMethodField(help_text="What /files/ has of it.")

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "config", "parameters", "artifacts", "files"]
        read_only_fields = fields

    def get_files(self, run: Run) -> list[str]:
        return readable_files(run)


class RunQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(Run.State.choices, required=False)
    kind = serializers.CharField(max_length=60, required=False)


class MetricsQuery(Query):
    offset = serializers.IntegerField(
        min_value=0, max_value=2**53, default=0, help_text="Of the answer before."
    )
    fence = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, default=0, help_text="Of the answer before."
    )


class MetricsSerializer(serializers.Serializer[Any]):
    rows = JsonValue(help_text="[{step, name: number or null, ...}]")
    offset = serializers.IntegerField()
    fence = serializers.IntegerField()
    reset = serializers.BooleanField(help_text="The rows begin anew: a new attempt cut them back.")
    more = serializers.BooleanField()
    finished = serializers.BooleanField()


class ResultSerializer(serializers.Serializer[Any]):
    result = JsonValue()


class Runs(ProjectApiView):
    @operation(Capability.REVIEW, lists=RunSerializer, query=RunQuery)
    def get(self, request: Request) -> QuerySet[Run]:
        """The project's runs."""
        return self.project.runs.select_related("requested_by").defer("config", "parameters")


class ChangedRun(Body):
    time_limit_minutes = serializers.IntegerField(
        min_value=1,
        max_value=MAX_MINUTES,
        allow_null=True,
        help_text="Of each start; null: the site's own limit, if it has one.",
    )


def _limits(run: Run) -> dict[str, Any]:
    return values_of(run, actions.LIMITS)


class OneRun(ProjectApiView):
    @operation(Capability.REVIEW, answers=OneRunSerializer, changeable=_limits)
    def get(self, request: Request, pk: int) -> Run:
        """A run, with what was asked of it and what it made."""
        return access_run(self.project, pk)

    @operation(Capability.MANAGE, body=ChangedRun, answers=OneRunSerializer, changeable=_limits)
    def patch(self, request: Request, pk: int, data: dict[str, Any], shown: Shown) -> Run:
        """Change how long each start of it may take; of one that runs, too."""
        run = access_run(self.project, pk)
        if "time_limit_minutes" in data:
            actions.limit_run(actor=self.actor, run=run, minutes=data["time_limit_minutes"], shown=shown)
        return access_run(self.project, pk)


class RunMetrics(ProjectApiView):
    @operation(Capability.REVIEW, answers=MetricsSerializer, query=MetricsQuery)
    def get(self, request: Request, pk: int) -> dict[str, Any]:
        """Metrics written since the answer before: give its `offset` and `fence`."""
        run = access_run(self.project, pk)
        same = self.query["fence"] == run.fence
        found = run_files.read_metrics(run, self.query["offset"] if same else 0)
        return {
            "rows": found.rows,
            "offset": found.offset,
            "fence": run.fence,
            "reset": not same,
            "more": found.more,
            "finished": run.is_finished,
        }


class RunResult(ProjectApiView):
    @operation(Capability.REVIEW, answers=ResultSerializer, immutable=True)
    def get(self, request: Request, pk: int) -> Any:
        """What a run that is done found (its result.json)."""
        with access_run_file(access_run(self.project, pk), "result.json") as file:
            raw = file.read(MAX_RESULT_BYTES + 1)
        try:
            return {"result": json.loads(raw)}
        except ValueError as error:
            raise Http404("The result cannot be read.") from error


class RunFile(ProjectApiView):
    @operation(Capability.REVIEW, sends=("text/plain",))
    def get(self, request: Request, pk: int, name: str) -> FileResponse:
        """One of its text files (log.txt, metrics.jsonl, ...)."""
        file = access_run_file(access_run(self.project, pk), name)
        response = FileResponse(file, as_attachment=True, filename=f"run-{pk}-{name}")
        response["Content-Type"] = "text/plain; charset=utf-8"
        return response


class CancelRun(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneRunSerializer)
    def post(self, request: Request, pk: int) -> Run:
        """Stop it. One that runs is asked to, and its worker ends it."""
        return actions.cancel_run(actor=self.actor, run=access_run(self.project, pk))


class ResumeRun(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneRunSerializer)
    def post(self, request: Request, pk: int) -> Run:
        """Queue one that ended badly, or that paused, again: it goes on from its last checkpoint."""
        run = access_run(self.project, pk)
        act = actions.resume_run if run.state == Run.State.PAUSED else actions.retry_run
        return act(actor=self.actor, run=run)


class EndRun(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneRunSerializer)
    def post(self, request: Request, pk: int) -> Run:
        """Have one that paused end with its best checkpoint from before the pause."""
        return actions.resume_run(actor=self.actor, run=access_run(self.project, pk), end=True)


class CloneRun(ProjectApiView):
    @operation(Capability.MANAGE, answers=OneRunSerializer, creates=True)
    def post(self, request: Request, pk: int) -> Run:
        """The same work from the start, in a directory of its own."""
        return actions.clone_run(actor=self.actor, run=access_run(self.project, pk))
