"""Row locks of batches, which come before those of their tasks: see annotation/queue/actions.py."""

from typing import Any

from django.utils.translation import gettext as _

from annotation.errors import BatchNotOpen
from annotation.models import Batch, Task


def comes_in(batch: Batch) -> bool:
    """Whether it is of an import that is not done: nobody is handed its tasks, and several processes may add some."""
    return batch.from_import_id is not None and not batch.visible


def lock_for_tasks(batch: Batch) -> Batch:
    """As it is now, held until the transaction ends unless it comes in. Raises BatchNotOpen for a closed one."""
    if comes_in(batch) and comes_in(stored := Batch.objects.get(pk=batch.pk)):
        return stored
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.state == Batch.State.CLOSED and batch.visible:
        raise BatchNotOpen(_("The batch “%(name)s” is closed.") % {"name": batch.name})
    return batch


def lock_batches_of(tasks: Any) -> None:
    """Holds the rows of the batches that these tasks (keys, or a query of tasks) are in, in the order of keys, until
    the transaction ends. A task never changes its batch.
    """
    batches = Batch.objects.filter(pk__in=Task.objects.filter(pk__in=tasks).values("batch"))
    list(batches.select_for_update(no_key=True).order_by("pk").values_list("pk"))
