"""What the newest measurement found: agreement, annotators, tasks, sources. Nothing is computed here."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import serializers
from rest_framework.request import Request

from annotation.access import shown_tasks
from annotation.adjudication.listing import UNCERTAIN_BELOW, undecided_tasks
from annotation.models import QualityAgreement, QualityAnnotator, QualityReport, TaskConsensus
from annotation.quality.actions import newest_report, queue_measurement
from runs.api.views import RunSerializer
from runs.models import Run
from workspace.api.base import ProjectApiView
from workspace.api.bodies import OrderField, PageQuery, Query
from workspace.api.fields import JsonValue
from workspace.api.operations import operation
from workspace.criteria import find_criterion
from workspace.models import Criterion, User
from workspace.roles import Capability


class AgreementSerializer(serializers.ModelSerializer[QualityAgreement]):
    criterion = serializers.CharField(source="criterion.name")
    batch = serializers.IntegerField(
        source="batch_id", allow_null=True, help_text="null: the whole criterion."
    )
    annotator_kind = serializers.ChoiceField(User.Kind.choices)
    figures = JsonValue(help_text="Coefficients as [value, low, high]: 95 % intervals.")

    class Meta:
        model = QualityAgreement
        fields = ["criterion", "batch", "annotator_kind", "figures"]
        read_only_fields = fields


class MachineSerializer(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    batch = serializers.IntegerField(allow_null=True, help_text="null: the whole criterion.")
    annotator = serializers.CharField(help_text="The machine's pseudonym.")
    annotator_kind = serializers.ChoiceField(User.Kind.choices)
    pairs = serializers.IntegerField(help_text="That people judged, too.")
    same = JsonValue(help_text="As people prefer: [share, low, high].")
    people = serializers.FloatField(allow_null=True, help_text="The same of people among themselves, there.")
    kappa = JsonValue(help_text="Cohen's, of it and people: [value, low, high].")
    ties = serializers.FloatField(allow_null=True, help_text="Its share of ties, there.")
    people_ties = serializers.FloatField(allow_null=True)


class QualitySerializer(serializers.ModelSerializer[QualityReport]):
    agreement = AgreementSerializer(many=True)
    machines = MachineSerializer(many=True)

    class Meta:
        model = QualityReport
        fields = ["id", "judgments", "newest_judgment", "created_at", "agreement", "machines"]
        read_only_fields = fields


class AnnotatorQualitySerializer(serializers.ModelSerializer[QualityAnnotator]):
    annotator: Any = serializers.CharField(source="annotator.pseudonym")
    annotator_kind = serializers.ChoiceField(User.Kind.choices, source="annotator.kind")
    criterion = serializers.CharField(source="criterion.name")
    figures = JsonValue(help_text="Shares as [share, low, high, of how many]; null: not known.")

    class Meta:
        model = QualityAnnotator
        fields = ["annotator", "annotator_kind", "criterion", "judgments", "figures"]
        read_only_fields = fields


class PairConsensusSerializer(serializers.Serializer[Any]):
    better = serializers.CharField(help_text="A label of the task's decision; of an even pair the first.")
    worse = serializers.CharField()
    percent = serializers.IntegerField(help_text="Of annotators of mean ability, a tie half.")
    low = serializers.IntegerField(help_text="The 90 % interval.")
    high = serializers.IntegerField()


class TaskQualitySerializer(serializers.ModelSerializer[TaskConsensus]):
    task = serializers.IntegerField(source="task_id")
    batch = serializers.IntegerField(source="task.batch_id")
    criterion = serializers.CharField(source="criterion.name")

    class Meta:
        model = TaskConsensus
        fields = ["task", "batch", "criterion", "annotators", "certainty"]
        read_only_fields = fields


class OneTaskQualitySerializer(serializers.Serializer[Any]):
    annotators = serializers.IntegerField()
    certainty = serializers.IntegerField(help_text="Percent; of the least certain pair.")
    pairs = PairConsensusSerializer(many=True)


class SourceSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    score = serializers.FloatField(help_text="In logarithms; the mean is 0.")
    error = serializers.FloatField(help_text="Standard error.")
    won = serializers.IntegerField()
    tied = serializers.IntegerField()
    lost = serializers.IntegerField()


class LeaderboardSerializer(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    sources = SourceSerializer(many=True)
    note = serializers.CharField(allow_blank=True, help_text="Why there are none.")
    left_out = serializers.IntegerField(help_text="Sources that were compared least.")


class CriterionQuery(Query):
    criterion = serializers.CharField(max_length=40, required=False, help_text="Left out: the only one.")


class AnnotatorQualityQuery(PageQuery):
    order = OrderField("id")
    criterion = serializers.CharField(source="criterion__name", max_length=40, required=False)
    annotator = serializers.CharField(source="annotator__pseudonym", max_length=64, required=False)
    annotator_kind = serializers.ChoiceField(User.Kind.choices, source="annotator__kind", required=False)


class TaskQualityQuery(PageQuery):
    order = OrderField("certainty", "id")
    criterion = serializers.CharField(max_length=40, required=False, help_text="Left out: the only one.")
    undecided = serializers.ChoiceField(
        ["true"],
        required=False,
        help_text=f"Those that wait for a decision: of two annotators or more, certainty below {UNCERTAIN_BELOW}.",
    )


class _QualityView(ProjectApiView):
    def report(self) -> QualityReport:
        report = newest_report(self.project)
        if report is None:
            raise Http404("Nothing was measured yet.")
        return report

    def criterion(self) -> Criterion:
        return find_criterion(self.project, self.query.pop("criterion", None))


class Quality(_QualityView):
    @operation(Capability.REVIEW, answers=QualitySerializer)
    def get(self, request: Request) -> dict[str, Any]:
        """How well annotators agree, on each criterion and each of its batches."""
        report = self.report()
        rows = report.agreement.select_related("criterion", "batch").order_by("pk")
        return {
            "id": report.pk,
            "judgments": report.judgments,
            "newest_judgment": report.newest_judgment,
            "created_at": report.created_at,
            "agreement": [row for row in rows if row.batch is None or row.batch.visible],
            "machines": self.machines(report),
        }

    def machines(self, report: QualityReport) -> list[dict[str, Any]]:
        """Reports of before have neither kappa nor ties, nor batches."""
        names = {str(criterion.pk): criterion.name for criterion in self.project.criteria.all()}
        batches = set(self.project.batches.filter(visible=True).values_list("pk", flat=True))
        rows = [
            {"kappa": [None, None, None], "ties": None, "people_ties": None, "batch": None}
            | machine
            | {"criterion": names[criterion]}
            for criterion, summary in report.summaries.items()
            for machine in [*summary.get("machines", []), *summary.get("machines_by_batch", [])]
            if criterion in names
        ]
        pseudonyms = dict(
            User.objects.filter(pk__in=[row["annotator"] for row in rows]).values_list("pk", "pseudonym")
        )
        return [
            row | {"annotator": pseudonyms[row["annotator"]], "annotator_kind": row["kind"]}
            for row in rows
            if row["annotator"] in pseudonyms and (row["batch"] is None or row["batch"] in batches)
        ]


class Measure(ProjectApiView):
    @operation(Capability.MANAGE, answers=RunSerializer, status=201)
    def post(self, request: Request) -> Run:
        """Measure what is there now. Where a run waits already, that one is answered."""
        return queue_measurement(actor=self.actor, project=self.project)


class QualityAnnotators(_QualityView):
    @operation(Capability.REVIEW, lists=AnnotatorQualitySerializer, query=AnnotatorQualityQuery)
    def get(self, request: Request) -> QuerySet[QualityAnnotator]:
        """Each annotator on each criterion."""
        return QualityAnnotator.objects.filter(report=self.report()).select_related("annotator", "criterion")


class QualityTasks(_QualityView):
    @operation(Capability.REVIEW, lists=TaskQualitySerializer, query=TaskQualityQuery)
    def get(self, request: Request) -> QuerySet[TaskConsensus]:
        """How certain the crowd is of each task, the least certain first where that is the order asked for."""
        report, criterion = self.report(), self.criterion()
        if self.query.pop("undecided", None):
            found = undecided_tasks(report, criterion)
        else:
            found = report.consensus.filter(criterion=criterion, task__batch__visible=True)
        return shown_tasks(found, self.capabilities, "task__").select_related("task", "criterion")


class Leaderboard(_QualityView):
    @operation(Capability.MANAGE, answers=LeaderboardSerializer, query=CriterionQuery)
    def get(self, request: Request) -> dict[str, Any]:
        """Whose answers are preferred: Bradley-Terry scores with ties and the side taken out. For managers alone."""
        report, criterion = self.report(), self.criterion()
        found = (report.summaries.get(str(criterion.pk)) or {}).get("leaderboard") or {}
        return {
            "criterion": criterion.name,
            "sources": found.get("sources", []),
            "note": found.get("note", ""),
            "left_out": found.get("left_out", 0),
        }
