"""Row locks of batches, which come before those of their tasks: see annotation/queue/actions.py."""

from typing import Any

from annotation.models import Batch, Task


def lock_batches_of(tasks: Any) -> None:
    """Holds the rows of the batches that these tasks (keys, or a query of tasks) are in, in the order of keys, until
    the transaction ends. A task never changes its batch.
    """
    batches = Batch.objects.filter(pk__in=Task.objects.filter(pk__in=tasks).values("batch"))
    list(batches.select_for_update(no_key=True).order_by("pk").values_list("pk"))
