"""What is left for whom, and how much each has judged: sums of rows, so that nobody counts tasks."""

from django.db import models

from annotation.models.tasks import Batch, Task


class TaskCount(models.Model):
    """One change of a count; a count is the sum of its rows. Triggers write it (annotation.models.count_triggers).

    Rows are appended and never updated: fifty people who judge one batch wait for no row of each other. Now and then
    the rows of a count are replaced by their sum (annotation.queue.counts).
    """

    batch = models.ForeignKey(
        Batch, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    annotator_id = models.BigIntegerField(help_text="0: for everybody.")
    # Tasks with an open slot. Of everybody: those reserved for nobody. Of one person: those reserved for them, less
    # those of everybody's that they cannot be given any more.
    available = models.BigIntegerField(default=0)
    # Assignments with a judgment. Of everybody: always 0.
    submitted = models.BigIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["batch", "annotator_id"], name="task_count_by_batch")]


class WorkCount(models.Model):
    """What one person judged here in a quarter of an hour of one batch; triggers write it (work_triggers.py).

    Only their own judgments change a row, so nobody waits for anybody. What came with an import is not in it: nobody
    worked on it here.
    """

    batch = models.ForeignKey(
        Batch, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    annotator_id = models.BigIntegerField()
    # Quarters: of every time zone a day, and an hour, begins with one.
    quarter = models.DateTimeField(db_column="hour", help_text="When it began, in UTC.")
    judgments = models.IntegerField(default=0, help_text="Tasks judged for the first time.")
    # How many more (or, after withdrawals, fewer) judgments of tasks count towards the quota than a quarter before.
    counted = models.IntegerField(default=0, help_text="Of tasks that are for everybody.")
    counted_reserved = models.IntegerField(default=0, help_text="Of tasks that are kept for one person.")
    seconds = models.FloatField(default=0.0, help_text="Active ones; those of changes included.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "annotator_id", "quarter"], name="unique_work_count_per_person_and_hour"
            )
        ]
        indexes = [
            models.Index(fields=["batch", "quarter"], name="work_count_by_batch"),
            models.Index(fields=["annotator_id", "quarter"], name="work_count_by_person"),
        ]


# So many people who skipped a task, or so many leases of it that ended without a judgment, say that it is stuck.
STUCK_SKIPS, STUCK_EXPIRIES = 2, 3


class TaskTrouble(models.Model):
    """How often a task came back without a judgment; no row: never. Triggers write it, under the task's lock."""

    task = models.OneToOneField(
        Task, on_delete=models.CASCADE, related_name="trouble", db_constraint=False, primary_key=True
    )
    skipped = models.IntegerField(default=0, help_text="People who have skipped it.")
    expired = models.IntegerField(default=0, help_text="Leases that ended without a judgment.")

    class Meta:
        indexes = [
            models.Index(
                fields=["task"],
                condition=models.Q(skipped__gte=STUCK_SKIPS) | models.Q(expired__gte=STUCK_EXPIRIES),
                name="task_trouble_stuck",
            )
        ]
