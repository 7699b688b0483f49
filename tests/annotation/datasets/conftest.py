from pathlib import Path

from annotation.judging.bulk import NewJudgment, add_judgments
from tests.annotation.exporting.conftest import bring, write_rows  # noqa: F401


def folder_of(dataset, settings):
    return Path(settings.DATA_DIR) / dataset.directory


def judge_all(actor, batch, judgments):
    """Store judgments given as (task, annotator, tiers of places, strengths)."""
    rows = []
    for task, annotator, tiers, strengths in judgments:
        keys = list(task.task_responses.order_by("position").values_list("response_id", flat=True))
        rows.append(
            NewJudgment(
                task=task,
                annotator=annotator,
                tiers=[[keys[place] for place in tier] for tier in tiers],
                strengths=strengths,
                idempotency_key=f"judged-{task.pk}-{annotator.pk}",
            )
        )
    return add_judgments(actor=actor, batch=batch, rows=rows)
