"""Where annotators disagree: what a reviewer decided and why they disagreed; judgments sent back to their authors."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from annotation.models.judgments import Judgment
from annotation.models.tasks import Task
from workspace.models import MAX_OVERLAP, Project


class DisagreementKind(models.TextChoices):
    """Why annotators disagreed, in a reviewer's view."""

    UNDERSPECIFIED = "underspecified", gettext_lazy("The prompt can be read in several ways")
    STYLE = "style", gettext_lazy("A matter of style or taste")
    FACTUAL = "factual", gettext_lazy("A fact: somebody did not check, or could not")
    REFUSAL = "refusal", gettext_lazy("Whether to refuse")
    SAFETY = "safety", gettext_lazy("Safety against helpfulness")
    SLIP = "slip", gettext_lazy("A slip: wrong key, misread")


class Adjudication(models.Model):
    """A reviewer's decision on a task. Decided again it is a new row that supersedes this one."""

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="adjudications")
    # Made of the same responses and kept for the reviewer, whose own judgment may stand on the disputed one already.
    # The decision is the judgment of it.
    decision_task = models.OneToOneField(Task, on_delete=models.PROTECT, related_name="decides")
    kind = models.CharField(max_length=14, choices=DisagreementKind.choices)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # One chain a task, so that one decision counts.
            models.UniqueConstraint(
                fields=["task"], condition=Q(supersedes__isnull=True), name="unique_first_adjudication"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=DisagreementKind.values), name="adjudication_kind_valid"
            ),
        ]


def standing_decisions() -> models.QuerySet[Adjudication]:
    """Of each decided task the last decision, unless its reviewer has withdrawn it."""
    last = Adjudication.objects.filter(superseded_by__isnull=True)
    return last.filter(decision_task__current_judgments__judgment__withdrawn=False)


class ReturnedJudgment(models.Model):
    """A judgment that a reviewer sent back. Its author revises it, which supersedes the judgment, or stands by it."""

    judgment = models.OneToOneField(Judgment, on_delete=models.PROTECT, related_name="returned")
    remark = models.TextField()
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kept_at = models.DateTimeField(null=True, blank=True, help_text="When its annotator stood by it.")
    reason = models.TextField(blank=True, default="", help_text="Why they stood by it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(remark=""), name="returned_judgment_remark_not_empty"),
        ]


class OneMoreRule(models.Model):
    """After each measurement one more annotator is asked where annotators disagree. A project without one: nobody is
    asked but by a manager.
    """

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, primary_key=True, related_name="one_more_rule"
    )
    most = models.PositiveSmallIntegerField(help_text="People a task at most.")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # Of one measurement it asks once.
    applied_report = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(most__gte=2, most__lte=MAX_OVERLAP), name="one_more_rule_2_to_50"
            ),
        ]
