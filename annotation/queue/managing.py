"""What a manager does to single tasks: end a lease, change a priority, have one more person asked."""

from django.db.models import F
from django.utils.translation import gettext

from annotation.batches.actions import set_priorities
from annotation.batches.locks import lock_batches_of
from annotation.errors import BatchNotOpen, InvalidTask
from annotation.models import Assignment, Batch, Task
from annotation.queue.actions import lock_task, release_leases
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.errors import StaleVersion
from workspace.models import MAX_OVERLAP, User

MAX_TASK_PRIORITY = 1_000_000


@write_transaction
def release_lease(*, actor: User, assignment: Assignment) -> None:
    """Somebody's hold of a task ends now and others can be given it. Their draft stays, and what they still submit is
    stored: it counts while a slot is open. Raises InvalidTask when they do not hold it any more.
    """
    if not release_leases(Assignment.objects.filter(pk=assignment.pk)):
        raise InvalidTask(gettext("The task is not held any more: it was submitted, skipped or given back."))
    record_audit(
        actor=actor,
        action="task.release_lease",
        project=assignment.task.batch.project,
        target=assignment.task,
        annotator=assignment.annotator_id,
    )


@write_transaction
def change_task_priority(
    *, actor: User, task: Task, priority: int, expected_priority: int | None = None
) -> None:
    """Among the tasks of a batch those of the highest priority are handed out first.

    Raises InvalidTask for a number out of range, StaleVersion when `expected_priority` is given and it is another.
    """
    lock_batches_of([task.pk])
    locked = lock_task(task.pk)
    if not -MAX_TASK_PRIORITY <= priority <= MAX_TASK_PRIORITY:
        limit = f"{MAX_TASK_PRIORITY:,}"
        raise InvalidTask(
            gettext("A priority is a whole number from -%(limit)s to %(limit)s, not %(priority)s.")
            % {"limit": limit, "priority": f"{priority:,}"}
        )
    if expected_priority is not None and expected_priority != locked.priority:
        raise StaleVersion(
            gettext(
                "Somebody set the priority of this task to %(priority)s while you looked at "
                "%(expected_priority)s: yours is not saved."
            )
            % {"priority": locked.priority, "expected_priority": expected_priority},
            current=locked.priority,
        )
    if priority != locked.priority:
        set_priorities(actor=actor, batch=locked.batch, priorities={locked.pk: priority})


@write_transaction
def ask_one_more(*, actor: User, task: Task, expected_required: int | None = None) -> None:
    """One more person judges the task, whether or not it was done; the batch's quota stays as it is.

    Raises BatchNotOpen; InvalidTask for a task that does not count or that as many people judge as can; StaleVersion
    when `expected_required` is given and somebody has changed the number since.
    """
    lock_batches_of([task.pk])
    locked = lock_task(task.pk)
    if locked.batch.state != Batch.State.OPEN:
        raise BatchNotOpen(
            gettext("The batch “%(name)s” is not open: nobody is given its tasks.")
            % {"name": locked.batch.name}
        )
    if not locked.uses_slots:
        raise InvalidTask(
            gettext("How many people judge a task of this kind does not depend on a number of its own.")
        )
    if locked.reserved_for_id is not None:
        raise InvalidTask(gettext("This task is kept for one person: nobody else could be asked."))
    if locked.required_judgments >= MAX_OVERLAP:
        raise InvalidTask(
            gettext("At most %(max_overlap)s people judge a task.") % {"max_overlap": MAX_OVERLAP}
        )
    if expected_required is not None and expected_required != locked.required_judgments:
        raise StaleVersion(
            gettext(
                "Somebody has set how many people judge this task to %(required_judgments)s "
                "meanwhile: look again."
            )
            % {"required_judgments": locked.required_judgments},
            current=locked.required_judgments,
        )
    Task.objects.filter(pk=locked.pk).update(
        required_judgments=F("required_judgments") + 1, open_slots=F("open_slots") + 1, own_required=True
    )
    # A cursor may be past it.
    Batch.objects.filter(pk=locked.batch_id).update(queue_version=F("queue_version") + 1)
    record_audit(
        actor=actor,
        action="task.ask_one_more",
        project=locked.batch.project,
        target=locked,
        required_judgments=locked.required_judgments + 1,
    )
