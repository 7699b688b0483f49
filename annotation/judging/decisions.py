"""The judgment of a reviewer who decides a task on which annotators disagree."""

import uuid
from typing import Any

from annotation.judging.actions import append_judgment
from annotation.judging.content import JudgmentContent
from annotation.models import Assignment, Judgment, Task
from annotation.preferences.validation import clean_rationale, validate_tiers
from annotation.queue.search import current_versions
from workspace.database import database_now
from workspace.models import User


def store_decision(
    *,
    reviewer: User,
    task: Task,
    order_shown: list[int],
    tiers: list[list[int]],
    strengths: list[int | None],
    rationale: str,
    metadata: dict[str, Any],
) -> Judgment:
    """The judgment of a task that is kept for this reviewer (insert_decision_task), in response keys. Part of the
    caller's transaction, who writes the audit row. Raises InvalidJudgment.
    """
    tiers, strengths = validate_tiers(
        tiers, strengths, order_shown, allow_ties=True, allow_missing_strengths=True
    )
    versions, now = current_versions(task.batch.project), database_now()
    assignment = Assignment.objects.create(
        task=task,
        annotator=reviewer,
        state=Assignment.State.SUBMITTED,
        submitted_at=now,
        leased_until=now,
        shuffle_seed=0,
        order_shown=order_shown,
        **versions,
    )
    content = JudgmentContent(
        tiers=tiers,
        strengths=strengths,
        marks={},
        confidence=None,
        rationale=clean_rationale(rationale),
        flags=[],
        seconds=0.0,
        settings_version=versions["settings_version"],
        guideline_version=versions["guideline_version"],
    )
    return append_judgment(
        assignment, content, idempotency_key=f"decision-{uuid.uuid4().hex}", metadata=metadata
    )
