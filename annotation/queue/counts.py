"""The sums of TaskCount: compared with the rows they stand for, put right, and kept short."""

from dataclasses import dataclass

from django.db import connection

from annotation.models import TaskCount
from workspace.database import write_transaction
from workspace.models import Project, User

# Each count by its definition, and what is stored taken away: rows of zeros where all is well.
_DIFFERENCES = """
SELECT counts.batch_id, counts.annotator_id, SUM(counts.available), SUM(counts.submitted) FROM (
    SELECT t.batch_id, COALESCE(t.reserved_for_id, 0) AS annotator_id, COUNT(*) AS available, 0 AS submitted
    FROM annotation_task t WHERE t.open_slots > 0 AND (t.reserved_for_id IS NULL OR NOT EXISTS (
        SELECT 1 FROM annotation_assignment a WHERE a.task_id = t.id AND a.annotator_id = t.reserved_for_id
        AND a.state NOT IN ('expired', 'taken_back')))
    GROUP BY t.batch_id, COALESCE(t.reserved_for_id, 0)
    UNION ALL
    SELECT t.batch_id, a.annotator_id, -COUNT(*), 0
    FROM annotation_assignment a JOIN annotation_task t ON t.id = a.task_id
    WHERE t.open_slots > 0 AND t.reserved_for_id IS NULL AND a.state NOT IN ('expired', 'taken_back')
    GROUP BY t.batch_id, a.annotator_id
    UNION ALL
    SELECT t.batch_id, a.annotator_id, 0, COUNT(*)
    FROM annotation_assignment a JOIN annotation_task t ON t.id = a.task_id
    WHERE a.state = 'submitted' GROUP BY t.batch_id, a.annotator_id
    UNION ALL
    SELECT k.batch_id, k.annotator_id, -SUM(k.available), -SUM(k.submitted)
    FROM annotation_taskcount k GROUP BY k.batch_id, k.annotator_id
) counts JOIN annotation_batch b ON b.id = counts.batch_id
WHERE %s IS NULL OR b.project_id = %s
GROUP BY counts.batch_id, counts.annotator_id
HAVING SUM(counts.available) <> 0 OR SUM(counts.submitted) <> 0
ORDER BY counts.batch_id, counts.annotator_id
"""

_LONG_COUNTS = """SELECT k.batch_id, k.annotator_id
    FROM annotation_batch b JOIN annotation_taskcount k ON k.batch_id = b.id
    WHERE b.project_id = %s AND k.annotator_id IN (0, %s) GROUP BY k.batch_id, k.annotator_id HAVING COUNT(*) > 20"""

_TAKE_ROWS = """DELETE FROM annotation_taskcount WHERE id IN (
    SELECT id FROM annotation_taskcount WHERE batch_id = %s AND annotator_id = %s {lock})
    RETURNING available, submitted"""


@dataclass(frozen=True)
class CountDifference:
    """What a count would have to be raised by."""

    batch_id: int
    annotator_id: int
    available: int
    submitted: int

    def __str__(self) -> str:
        whose = f"annotator {self.annotator_id}" if self.annotator_id else "everybody"
        figures = [
            f"{name} is {-number:+} off"
            for name, number in (("available", self.available), ("submitted", self.submitted))
            if number
        ]
        return f"batch {self.batch_id}, counts of {whose}: {', '.join(figures)}"


def find_count_differences(project: Project | None = None) -> list[CountDifference]:
    """By one statement, so of one moment; empty when all is well. Its cost is a walk over tasks and assignments."""
    pk = project.pk if project else None
    with connection.cursor() as cursor:
        cursor.execute(_DIFFERENCES, [pk, pk])
        return [CountDifference(*map(int, row)) for row in cursor.fetchall()]


@write_transaction
def repair_counts(project: Project | None = None) -> int:
    """Adds what is missing; how many counts were wrong. People may go on judging: what they change has its own rows."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Keeps off a second repair, which would add the same again, and nobody else.
            cursor.execute("LOCK TABLE annotation_taskcount IN SHARE UPDATE EXCLUSIVE MODE")
    differences = find_count_differences(project)
    TaskCount.objects.bulk_create(
        [
            TaskCount(
                batch_id=difference.batch_id,
                annotator_id=difference.annotator_id,
                available=difference.available,
                submitted=difference.submitted,
            )
            for difference in differences
        ]
    )
    return len(differences)


def shorten_counts(project: Project, actor: User) -> None:
    """The counts that the actor's standing is read from, each of many rows, become sums."""
    with connection.cursor() as cursor:
        cursor.execute(_LONG_COUNTS, [project.pk, actor.pk])
        long_counts = cursor.fetchall()
    for batch_id, annotator_id in long_counts:
        _shorten(batch_id, annotator_id)


@write_transaction
def _shorten(batch_id: int, annotator_id: int) -> None:
    """Who reads meanwhile sees the rows or their sum; rows that another one takes stay."""
    lock = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(_TAKE_ROWS.format(lock=lock), [batch_id, annotator_id])
        rows: list[tuple[int, int]] = cursor.fetchall()
    if rows:
        available, submitted = (sum(column) for column in zip(*rows, strict=True))
        TaskCount.objects.create(
            batch_id=batch_id, annotator_id=annotator_id, available=available, submitted=submitted
        )
