"""Judgments of a file as new judgments, and those of tasks that another import brought in."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.dateparse import parse_datetime

from annotation.batches.locks import lock_batches_of
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Batch, Import, Response, Task, TaskResponse
from annotation.preferences.validation import IMPORT_KEY_PREFIX
from annotation.preferences.weak_orders import ranks_to_tiers
from learning.interface.messages import answer_key
from workspace.models import User

JoinedTask = tuple[int, list[ImportedJudgment]]  # a task that is there, its new judgments


def _parse_timestamp(value: str | None) -> datetime | None:
    return parse_datetime(value) if value else None


def new_judgment(
    imported: Import | None,
    task: Task,
    responses: Sequence[Response],
    judgment: ImportedJudgment,
    annotators: AnnotatorResolver,
    place: tuple[int | str, ...],
    *,
    is_new_task: bool = False,
) -> NewJudgment:
    """`place` in the import makes its idempotency key."""
    assert imported is not None
    pk_by_answer = {answer_key(response.answer): response.id for response in responses}
    keys = [pk_by_answer[answer_key(response)] for response in judgment.responses]
    return NewJudgment(
        task=task,
        annotator=annotators.get_or_create_user(judgment.annotator, judgment.annotator_kind),
        tiers=[[keys[index] for index in tier] for tier in ranks_to_tiers(judgment.ranks)],
        strengths=judgment.strengths,
        idempotency_key=IMPORT_KEY_PREFIX + "-".join([str(imported.id), *map(str, place)]),
        order_shown=[keys[index] for index in judgment.order_shown or range(len(keys))],
        marks={key: mark for key, mark in zip(keys, judgment.marks or [], strict=False) if mark},
        confidence=judgment.confidence,
        rationale=judgment.rationale,
        flags=judgment.flags,
        seconds=judgment.seconds,
        created_at=_parse_timestamp(judgment.created_at),
        task_responses=[response.id for response in responses] if is_new_task else None,
        from_import=imported,
        source_id=judgment.source_id,
        metadata=judgment.metadata,
    )


@transaction.atomic
def insert_joined(
    actor: User, imported: Import, joined: Sequence[JoinedTask], annotators: AnnotatorResolver
) -> None:
    """Judgments of tasks that another import brought in: each makes room for itself."""
    lock_batches_of([pk for pk, _ in joined])
    tasks = {
        task.pk: task
        for task in Task.objects.select_for_update(no_key=True)
        .filter(pk__in=[pk for pk, _ in joined])
        .select_related("batch")
        .order_by("pk")
    }
    responses: dict[int, list[Response]] = defaultdict(list)
    for shown in TaskResponse.objects.filter(task__in=tasks).select_related("response"):
        responses[shown.task_id].append(shown.response)
    rows_of: dict[Batch, list[NewJudgment]] = defaultdict(list)
    for pk, judgments in joined:
        task = tasks[pk]
        task.required_judgments += len(judgments)
        task.open_slots += len(judgments)
        task.save(update_fields=["required_judgments", "open_slots"])
        for index, judgment in enumerate(judgments):
            row = new_judgment(imported, task, responses[pk], judgment, annotators, (pk, "joined", index))
            rows_of[task.batch].append(row)
    for batch, rows in rows_of.items():
        Batch.objects.filter(pk=batch.pk, quota__isnull=False).update(quota=F("quota") + len(rows))
        add_judgments(actor=actor, batch=batch, rows=rows)
