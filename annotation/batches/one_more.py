"""One more judgment for single tasks, beyond the overlap of their batches."""

from collections.abc import Collection

from django.db.models import F, Sum

from annotation.models import Batch, Task

FULL = {"open_slots": 0, "counted_judgments": F("required_judgments")}  # nobody is asked, nobody is at it


def open_one_more(tasks: Collection[int], *, most: int) -> int:
    """Ask one more person for each of these tasks that has all its judgments, in open batches, while fewer than `most`
    are required; how many tasks that were. A quota of all that a batch's tasks had room for stays that.

    Part of the caller's transaction, who writes the audit row.
    """
    able = Task.objects.counted().filter(
        pk__in=tasks, reserved_for__isnull=True, required_judgments__lt=most, **FULL
    )
    asked = 0
    # Batches, then tasks, each in the order of their keys, as everywhere.
    batches = Batch.objects.filter(pk__in=able.values("batch"), state=Batch.State.OPEN, visible=True)
    for batch in batches.select_for_update(no_key=True).order_by("pk"):
        keys = list(
            able.filter(batch=batch)
            .select_for_update(no_key=True)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        if not keys:
            continue
        room = _room(batch)
        # Their number is their own from now on: a change of the batch's overlap does not take it back.
        Task.objects.filter(pk__in=keys).update(
            required_judgments=F("required_judgments") + 1, open_slots=1, own_required=True
        )
        if batch.quota == room:
            batch.quota = _room(batch)
        batch.queue_version += 1  # a cursor may be past a task that has a slot again
        batch.save(update_fields=["quota", "queue_version"])
        asked += len(keys)
    return asked


def _room(batch: Batch) -> int:
    tasks = batch.tasks.counted().filter(reserved_for__isnull=True)
    return tasks.aggregate(total=Sum("required_judgments"))["total"] or 0
