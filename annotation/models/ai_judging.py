"""What a language model that judged a batch's tasks reports: how steady it was, and what it took."""

from typing import Any

from django.conf import settings
from django.db import models

from annotation.models.tasks import Batch
from runs.models import Run


class AIJudging(models.Model):
    """One run of a judge over a batch. Its judgments are those of `annotator`, an account of kind ai."""

    batch = models.ForeignKey(Batch, on_delete=models.PROTECT, related_name="ai_judgings")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="ai_judgings"
    )
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="ai_judging")
    # Whether its judgments are some of those that the tasks ask for, in place of people's; else they stand beside.
    takes_slots = models.BooleanField(default=False)
    judgments = models.PositiveIntegerField()
    report: Any = models.JSONField(default=dict)  # result.json of the run
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.annotator} on {self.batch}"
