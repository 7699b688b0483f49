"""How well annotators agree, as the worker computed it: nothing of it is computed in a request.

A report replaces the one before it. What it was made of is in the judgments.
"""

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models

from annotation.models.tasks import Batch, Task
from runs.models import Run
from workspace.models import AuditEvent, Criterion, Project

# What counts is another thing after these.
CHANGES = ("batch.exclude", "batch.include", "import.take_back")


class QualityReport(models.Model):
    """The judgments of a project, measured at once."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="quality_reports")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # Which judgments were there: what came since is not in it.
    is_complete = models.BooleanField(default=False)  # until all its rows are there nobody reads it
    judgments = models.PositiveIntegerField()
    newest_judgment = models.BigIntegerField(default=0)
    summaries: Any = models.JSONField(
        default=dict, help_text="By the criterion's key: machines, bands, leaderboard."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-id"], name="quality_report_newest")]

    def changed_at(self) -> datetime | None:
        """When, after it was asked for, a batch was excluded or taken in again, or an import taken back."""
        asked_at = self.run.created_at if self.run else self.created_at
        changes = AuditEvent.objects.filter(
            project=self.project_id, action__in=CHANGES, created_at__gt=asked_at
        )
        return changes.order_by("-pk").values_list("created_at", flat=True).first()


class QualityAgreement(models.Model):
    """One kind of annotators on a criterion, or on one of its batches."""

    report = models.ForeignKey(QualityReport, on_delete=models.CASCADE, related_name="agreement")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    annotator_kind = models.CharField(max_length=10)
    figures: Any = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["report", "criterion", "annotator_kind"],
                condition=models.Q(batch__isnull=True),
                name="unique_quality_of_a_criterion",
            ),
            models.UniqueConstraint(
                fields=["report", "batch", "annotator_kind"], name="unique_quality_of_a_batch"
            ),
        ]


class QualityAnnotator(models.Model):
    """One annotator on a criterion. Reviewers and managers read it; annotators do not, their own included."""

    report = models.ForeignKey(QualityReport, on_delete=models.CASCADE, related_name="annotators")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    judgments = models.PositiveIntegerField()
    figures: Any = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["report", "criterion", "annotator"], name="unique_quality_annotator"
            )
        ]
        indexes = [models.Index(fields=["report", "criterion", "-judgments"], name="quality_annotator_most")]


class QualityAnnotatorPair(models.Model):
    """Two annotators on the pairs of responses that both judged; `one` has the smaller key."""

    report = models.ForeignKey(QualityReport, on_delete=models.CASCADE, related_name="annotator_pairs")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    one = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    other = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    pairs = models.PositiveIntegerField()
    same = models.PositiveIntegerField()
    kappa = models.FloatField(null=True, blank=True)
    kappa_error = models.FloatField(null=True, blank=True)
    apart: Any = models.JSONField(default=list, help_text="[[batch, task], ...], the farthest apart first.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["report", "criterion", "one", "other"], name="unique_quality_annotator_pair"
            ),
            models.CheckConstraint(
                condition=models.Q(same__lte=models.F("pairs")), name="quality_pair_same_at_most_pairs"
            ),
            models.CheckConstraint(
                condition=models.Q(one__lt=models.F("other")), name="quality_pair_in_order"
            ),
        ]


class TaskConsensus(models.Model):
    """What the annotators of a task think together, after the graded model."""

    report = models.ForeignKey(QualityReport, on_delete=models.CASCADE, related_name="consensus")
    criterion = models.ForeignKey(Criterion, on_delete=models.PROTECT, related_name="+")
    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="+")
    annotators = models.PositiveSmallIntegerField()
    certainty = models.FloatField(help_text="Of its least certain pair: 0 even, 1 no doubt.")
    pairs: Any = models.JSONField(help_text="[[response, response, preference, low, high], ...]")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["report", "task"], name="unique_task_consensus"),
        ]
        indexes = [models.Index(fields=["report", "criterion", "certainty"], name="consensus_least_certain")]
