"""How far a batch is: counted judgments against its quota."""

from dataclasses import dataclass

from django.db.models import Count, F, Q, QuerySet

from annotation.models import Assignment, Batch, Judgment, Task


@dataclass(frozen=True)
class BatchProgress:
    """Counts of one batch.

    Reserved tasks hold nobody up: they are left out of `counted` and `tasks`, unless the batch has no others.
    """

    counted: int
    quota: int
    surplus: int
    skipped: int
    leased: int
    tasks: int
    tasks_done: int

    @property
    def fraction(self) -> float:
        """0 to 1."""
        return min(1.0, self.counted / self.quota) if self.quota else 0.0

    @property
    def percent(self) -> int:
        # Rounded down: 100 % is said only when it is so.
        return int(self.fraction * 100)

    @property
    def label(self) -> str:
        """Leases of people at work are honoured, so that a batch may end with more than it asked for."""
        if self.counted > self.quota > 0:
            return f"quota of {self.quota} met ({self.counted})"
        return f"{self.counted} of {self.quota}"

    @property
    def quota_met(self) -> bool:
        return self.quota > 0 and self.counted >= self.quota


def batch_progress(batch: Batch, assignments: QuerySet[Assignment] | None = None) -> BatchProgress:
    """`assignments`: those of the project that its reader may know of, where these are not all."""
    if assignments is None:
        assignments = Assignment.objects.all()
    tasks = _tasks_that_count(batch)
    totals = tasks.aggregate(
        tasks=Count("pk"), tasks_done=Count("pk", filter=Q(counted_judgments__gte=F("required_judgments")))
    )
    judgments = (
        Judgment.objects.current()
        .filter(task__in=tasks)
        .aggregate(
            counted=Count("pk", filter=Q(surplus=False)),
            surplus=Count("pk", filter=Q(surplus=True)),
        )
    )
    states = dict(
        assignments.filter(task__batch=batch).values_list("state").annotate(n=Count("pk")).order_by()
    )
    return BatchProgress(
        counted=judgments["counted"],
        quota=batch.quota or sum(tasks.values_list("required_judgments", flat=True)),
        surplus=judgments["surplus"],
        skipped=states.get(Assignment.State.SKIPPED, 0),
        leased=states.get(Assignment.State.LEASED, 0),
        tasks=totals["tasks"],
        tasks_done=totals["tasks_done"],
    )


def _tasks_that_count(batch: Batch) -> QuerySet[Task]:
    tasks = batch.tasks.counted()
    for_all = tasks.filter(reserved_for__isnull=True)
    return for_all if for_all.exists() else tasks
