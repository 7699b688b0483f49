"""Simulated annotators: noisy gold judges that answer tasks under accounts of kind `simulated`."""

import random
from collections.abc import Sequence

from django.db.models import Prefetch

from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Batch, Task, TaskResponse
from demo.gold_judge import NOISE, judge
from workspace.models import User


def simulate_judgments(
    *, actor: User, batch: Batch, annotators: Sequence[User], seed: int, limit: int, noise: float = NOISE
) -> int:
    """Let simulated annotators answer up to `limit` open tasks of the batch; returns how many
    judgments came in.

    What an annotator says of a task depends on the seed, the annotator and the task alone, so that a
    repeated or interrupted simulation says the same. Reserved tasks are left to whom they are kept for.
    """
    question = batch.project.question_settings.latest_version()
    allow_ties = question is not None and question.allow_ties
    open_tasks = (
        Task.objects.counted()
        .in_batch(batch)
        .filter(open_slots__gt=0, reserved_for__isnull=True)
        .select_related("prompt")
        .prefetch_related(
            Prefetch("task_responses", TaskResponse.objects.select_related("response")), "assignments"
        )
        .order_by("-priority", "pk")
    )
    rows: list[NewJudgment] = []
    for task in open_tasks[:limit]:
        taken = {assignment.annotator_id for assignment in task.assignments.all()}
        free = [annotator for annotator in annotators if annotator.pk not in taken]
        for annotator in free[: task.open_slots]:
            if len(rows) < limit:
                rows.append(_judgment(task, annotator, seed=seed, noise=noise, allow_ties=allow_ties))
    add_judgments(actor=actor, batch=batch, rows=rows)
    return len(rows)


def _judgment(task: Task, annotator: User, *, seed: int, noise: float, allow_ties: bool) -> NewJudgment:
    rng = random.Random(
        f"{seed}:{annotator.username}:{task.prompt.external_id}:{task.purpose}:{task.batch_id}"
    )
    responses = [entry.response for entry in task.task_responses.all()]
    rng.shuffle(responses)
    verdict = judge(
        task.prompt.messages,
        [response.text for response in responses],
        rng,
        noise=noise,
        allow_ties=allow_ties,
    )
    return NewJudgment(
        task=task,
        annotator=annotator,
        tiers=[[responses[index].pk for index in tier] for tier in verdict.tiers],
        strengths=verdict.strengths,
        order_shown=[response.pk for response in responses],
        idempotency_key=f"simulated-{seed}-{task.pk}",
        seconds=0.0,
    )
