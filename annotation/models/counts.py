"""What is left for whom, and how much each has judged: sums of rows, so that nobody counts tasks."""

from django.db import models

from annotation.models.tasks import Batch


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
