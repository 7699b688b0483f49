"""Files of tasks, and how policies do on them, for programs."""

from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request

from policy_training.access import access_policy
from policy_training.benchmarks.actions import add_benchmark_file, benchmark_policies
from policy_training.benchmarks.forms import MAX_SENT_CHARACTERS, BenchmarkForm
from policy_training.models import BenchmarkFile, PolicyBenchmark
from runs.api.option_forms import RunBody, RunsSerializer, asked_by_program
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability


class BenchmarkFileSerializer(serializers.ModelSerializer[BenchmarkFile]):
    summary = JsonValue(help_text="Task -> {kind, items, examples}.")

    class Meta:
        model = BenchmarkFile
        fields = ["id", "name", "sha256", "summary", "created_at"]
        read_only_fields = fields


class BenchmarkFileBody(Body):
    name = serializers.CharField(max_length=120)
    content = serializers.CharField(
        trim_whitespace=False, max_length=MAX_SENT_CHARACTERS, help_text="JSON Lines, a line a row."
    )


class BenchmarkFileQuery(PageQuery):
    order = OrderField("id", "name")


class BenchmarkFiles(ProjectApiView):
    @operation(Capability.REVIEW, lists=BenchmarkFileSerializer, query=BenchmarkFileQuery)
    def get(self, request: Request) -> QuerySet[BenchmarkFile]:
        """The files of tasks that policies are measured by."""
        return BenchmarkFile.objects.filter(project=self.project).defer("content")

    @operation(Capability.MANAGE, body=BenchmarkFileBody, answers=BenchmarkFileSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any]) -> BenchmarkFile:
        """Add a file of tasks."""
        return add_benchmark_file(actor=self.actor, project=self.project, **data)


class PolicyBenchmarkSerializer(serializers.ModelSerializer[PolicyBenchmark]):
    policy: Any = serializers.IntegerField(source="policy_id")
    file: Any = serializers.IntegerField(source="file_id")
    run: Any = serializers.IntegerField(source="produced_by_id")
    report = JsonValue()

    class Meta:
        model = PolicyBenchmark
        fields = ["id", "policy", "file", "run", "report", "created_at"]
        read_only_fields = fields


class BenchmarkQuery(PageQuery):
    order = OrderField("id")


class BenchmarkBody(RunBody):
    file = serializers.IntegerField(help_text="A file of tasks.", **KEY)


class Benchmarks(ProjectApiView):
    @operation(Capability.REVIEW, lists=PolicyBenchmarkSerializer, query=BenchmarkQuery)
    def get(self, request: Request, pk: int) -> QuerySet[PolicyBenchmark]:
        """How a policy did on tasks."""
        return access_policy(self.project, pk).benchmarks.all()

    @operation(Capability.MANAGE, body=BenchmarkBody, answers=RunsSerializer, creates=True)
    def post(self, request: Request, data: dict[str, Any], pk: int) -> dict[str, Any]:
        """Queue the measurement of a policy on tasks."""
        policy = access_policy(self.project, pk)
        asked = asked_by_program(self, BenchmarkForm, data | {"policies": [policy.pk]})
        return {"runs": benchmark_policies(**asked)}
