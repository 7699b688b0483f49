"""The known judgments of gold and practice tasks."""

from django.db import transaction

from annotation.errors import InvalidJudgment
from annotation.models import GoldJudgment, Task
from annotation.preferences.validation import validate_tiers
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.models import User


@transaction.atomic
def set_gold_judgment(
    *, actor: User, task: Task, tiers: list[list[int]], strengths: list[int | None], explanation: str = ""
) -> GoldJudgment:
    """The known judgment of a gold or practice task, in response keys."""
    if task.purpose not in (Task.Purpose.GOLD, Task.Purpose.PRACTICE):
        raise InvalidJudgment("Only gold and practice tasks have a known judgment.")
    keys = list(task.task_responses.order_by("position").values_list("response_id", flat=True))
    tiers, strengths = validate_tiers(tiers, strengths, keys, allow_ties=True, allow_missing_strengths=True)
    gold_judgment, _ = GoldJudgment.objects.update_or_create(
        task=task,
        defaults={
            "tiers": tiers,
            "strengths": strengths,
            "explanation": clean_text(explanation, "The explanation", allow_empty=True),
            "author": actor,
        },
    )
    record_audit(actor=actor, action="gold_judgment.set", project=task.batch.project, target=gold_judgment)
    return gold_judgment
