"""Which tasks annotators disagree on, from the newest report, and how alike their judgments are."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Exists, OuterRef, QuerySet

from annotation.adjudication.actions import current_decisions
from annotation.models import (
    COUNTED_PURPOSES,
    DisagreementKind,
    Judgment,
    QualityReport,
    Response,
    Task,
    TaskConsensus,
    standing_decisions,
)
from workspace.models import Criterion, Project

# Of the least certain pair of a task: above it the crowd is right in nine of ten.
UNCERTAIN_BELOW = 0.8


def undecided_tasks(report: QualityReport, criterion: Criterion) -> QuerySet[TaskConsensus]:
    """Judged by two or more, not certain and not decided; the least certain first. One whose decision was withdrawn is
    undecided again.
    """
    decided = standing_decisions().filter(task=OuterRef("task"))
    rows = TaskConsensus.objects.filter(
        report=report, criterion=criterion, annotators__gte=2, certainty__lt=UNCERTAIN_BELOW
    )
    rows = rows.filter(task__batch__visible=True, task__purpose__in=COUNTED_PURPOSES)
    return rows.filter(~Exists(decided)).order_by("certainty", "pk")


def answers_to_decide(task: Task) -> list[Response]:
    """In the order of the letters that who decides reads: of the texts, which says nothing of whose they are."""
    rows = (row.response for row in task.task_responses.select_related("response"))
    return sorted(rows, key=lambda response: (response.text, response.pk))


def orders_said(tasks: Sequence[int]) -> dict[int, tuple[int, int]]:
    """(judgments, different orders among them) of each of these tasks; what was said how strongly does not matter."""
    orders: dict[int, list[Any]] = defaultdict(list)
    found = Judgment.objects.counted().filter(task__in=tasks).values_list("task_id", "tiers")
    for task, tiers in found:
        orders[task].append(tuple(tuple(sorted(tier)) for tier in tiers))
    return {task: (len(said), len(set(said))) for task, said in orders.items()}


def count_kinds(project: Project) -> list[tuple[str, str, int]]:
    """(kind, in words, how many decisions), of those that stand."""
    counts = dict(current_decisions(project).order_by().values_list("kind").annotate(number=Count("pk")))
    return [(kind.value, str(kind.label), counts.get(kind.value, 0)) for kind in DisagreementKind]
