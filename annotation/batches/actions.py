"""Actions on what annotators are asked: batches, their tasks, priorities."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.db.models import F, IntegerField, Sum, Value
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from annotation.batches.ai_judges import ai_beside_people
from annotation.batches.locks import comes_in, lock_for_tasks
from annotation.batches.own_work import keep_from_writers
from annotation.batches.progress import batch_progress
from annotation.batches.ratings import require_something_asked
from annotation.batches.warnings import add_warnings, with_warnings_of
from annotation.errors import BatchNotOpen, InvalidBatch, InvalidTask
from annotation.models import COUNTED_PURPOSES, Batch, Import, Prompt, Response, Task, TaskResponse, Training
from annotation.models.bulk import BULK_UPDATE_SIZE
from runs.models import Run
from workspace.actions import record_audit
from workspace.bulk_insert import insert_objects, insert_values, new_object
from workspace.errors import StaleVersion
from workspace.models import MAX_OVERLAP, Criterion, Project, User

_PURPOSES = Task.Purpose.values  # the enumeration makes the list anew each time


@dataclass(frozen=True, kw_only=True)
class NewTask:
    prompt: Prompt
    responses: Sequence[Response] = field(default_factory=tuple)
    purpose: str = Task.Purpose.NORMAL
    reserved_for: User | None = None
    priority: int = 0
    required_judgments: int | None = None  # the batch's overlap; 1 when reserved; 0 where no slots are used
    # Added in the same transaction, with `task_responses` (annotation.judging.bulk).
    counted_judgments: int = 0


def batch_kind_for(responses_per_task: int) -> str:
    if responses_per_task == 1:
        return Batch.Kind.RATING
    return Batch.Kind.PAIRWISE if responses_per_task == 2 else Batch.Kind.RANKING


@transaction.atomic
def create_batch(
    *,
    actor: User,
    project: Project,
    criterion: Criterion,
    name: str,
    responses_per_task: int = 2,
    kind: str | None = None,
    overlap: int | None = None,
    quota: int | None = None,
    priority: int = 0,
    round_number: int | None = None,
    visible: bool = True,
    from_import: Import | None = None,
    run: Run | None = None,
) -> Batch:
    """A batch in draft. Without a quota, opening it sets what its tasks have room for. Raises InvalidBatch."""
    if criterion.project_id != project.pk:
        raise InvalidBatch(_("The criterion belongs to another project."))
    if not 1 <= responses_per_task <= 9 or kind not in (None, batch_kind_for(responses_per_task)):
        raise InvalidBatch(
            _("A batch asks for 1 (rating), 2 (pairwise) or 3 to 9 (ranking) responses a task.")
        )
    overlap = project.overlap if overlap is None else overlap
    if not 1 <= overlap <= MAX_OVERLAP:
        raise InvalidBatch(
            _("The overlap must be between 1 and %(max_overlap)s people.") % {"max_overlap": MAX_OVERLAP},
            fields={"overlap": _("1 to %(max_overlap)s") % {"max_overlap": MAX_OVERLAP}},
        )
    if quota is not None and quota < 1:
        raise InvalidBatch(_("The quota must be at least one judgment."), fields={"quota": _("At least 1")})
    if not name.strip() or len(name) > 120:
        raise InvalidBatch(
            _("A batch needs a name of at most 120 characters."), fields={"name": _("1 to 120 characters")}
        )
    try:
        with transaction.atomic():
            batch = Batch.objects.create(
                project=project,
                criterion=criterion,
                name=name,
                kind=batch_kind_for(responses_per_task),
                responses_per_task=responses_per_task,
                overlap=overlap,
                quota=quota,
                priority=priority,
                round_number=round_number,
                visible=visible,
                from_import=from_import,
                run=run,
            )
    except IntegrityError as error:
        raise InvalidBatch(
            _("There is a batch named “%(name)s” already.") % {"name": name}, fields={"name": _("Taken")}
        ) from error
    record_audit(actor=actor, action="batch.create", project=project, target=batch)
    return batch


def _required_judgments(batch: Batch, task: NewTask) -> int:
    """How many judgments the task will require. Raises InvalidTask for one that does not fit its batch."""
    if task.purpose not in _PURPOSES:
        raise InvalidTask(_("“%(purpose)s” is not a purpose of a task.") % {"purpose": task.purpose})
    if task.prompt.project_id != batch.project_id:
        raise InvalidTask(_("The prompt belongs to another project."))
    count = len(task.responses)
    # A file's finished judgments may be of pairs, rankings and ratings; what is to be judged is of one kind.
    least = 2 if batch.kind == Batch.Kind.RANKING else batch.responses_per_task
    fits = (1 if comes_in(batch) else least) <= count <= batch.responses_per_task
    if not fits:
        raise InvalidTask(
            _(
                "The batch “%(name)s” asks for %(responses_per_task)s responses a task; this one has %(count)s."
            )
            % {"name": batch.name, "responses_per_task": batch.responses_per_task, "count": count}
        )
    if len({response.id for response in task.responses}) != count:
        raise InvalidTask(_("A task shows each response once."))
    prompt_id = task.prompt.id
    if any(response.prompt_id != prompt_id for response in task.responses):
        raise InvalidTask(_("A task's responses must answer its own prompt."))
    if task.purpose in (Task.Purpose.REPEAT, Task.Purpose.ADJUDICATION) and task.reserved_for is None:
        raise InvalidTask(
            _("A task of purpose %(purpose)s needs the person it is for.") % {"purpose": task.purpose}
        )
    if task.purpose not in COUNTED_PURPOSES:
        return 0
    if task.required_judgments is not None:
        if not 1 <= task.required_judgments <= MAX_OVERLAP:
            raise InvalidTask(
                _("A task needs between 1 and %(max_overlap)s people.") % {"max_overlap": MAX_OVERLAP}
            )
        return task.required_judgments
    return 1 if task.reserved_for is not None else batch.overlap


@transaction.atomic
def add_tasks(*, actor: User, batch: Batch, tasks: Sequence[NewTask]) -> list[Task]:
    """Tasks of a batch, in order. Raises BatchNotOpen for a closed batch, InvalidTask."""
    batch = lock_for_tasks(batch)
    created = _insert_tasks(batch, tasks)
    _note_added_tasks(actor, batch, len(created))
    return created


@transaction.atomic
def add_tasks_in_chunks(*, actor: User, batch: Batch, chunks: Iterable[Sequence[NewTask]]) -> int:
    """The same for more than fit in memory; how many there were."""
    batch = lock_for_tasks(batch)
    number = sum(len(_insert_tasks(batch, tasks)) for tasks in chunks)
    _note_added_tasks(actor, batch, number)
    return number


def _note_added_tasks(actor: User, batch: Batch, number: int) -> None:
    if comes_in(batch):
        add_warnings(batch)
    else:
        # A cursor may be past a new task with a high priority.
        Batch.objects.filter(pk=batch.pk).update(
            queue_version=F("queue_version") + 1, content_warnings=batch.content_warnings
        )
    record_audit(actor=actor, action="tasks.add", project=batch.project, target=batch, tasks=number)


def _insert_tasks(batch: Batch, tasks: Sequence[NewTask]) -> list[Task]:
    created = []
    for task in tasks:
        required_judgments = _required_judgments(batch, task)
        created.append(
            new_object(
                Task,
                batch=batch,
                prompt=task.prompt,
                purpose=task.purpose,
                reserved_for=task.reserved_for,
                priority=task.priority,
                required_judgments=required_judgments,
                # Of a file's finished judgments it only says how many there are.
                own_required=True
                if task.required_judgments is not None and required_judgments > task.counted_judgments
                else None,
                open_slots=required_judgments - task.counted_judgments,
                counted_judgments=task.counted_judgments,
            )
        )
    insert_objects(created)
    insert_values(
        TaskResponse,
        ["task_id", "response_id", "position"],
        (
            (row.id, response.id, position)
            for row, task in zip(created, tasks, strict=True)
            for position, response in enumerate(task.responses)
        ),
    )
    keep_from_writers([(row, task.responses) for row, task in zip(created, tasks, strict=True)])
    batch.content_warnings = with_warnings_of(batch, (task.prompt for task in tasks))
    return created


@transaction.atomic
def open_batch(*, actor: User, batch: Batch, max_quota: int | None = None) -> Batch:
    """Hand its tasks out. A batch without a quota gets one now: what its tasks have room for, at most `max_quota`.

    Raises BatchNotOpen for a batch that was closed, InvalidBatch for one without tasks, and for one of ratings while
    the project asks nothing of an answer alone.
    """
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.state == Batch.State.OPEN:
        return batch
    if batch.state == Batch.State.CLOSED:
        raise BatchNotOpen(_("The batch “%(name)s” was closed and stays so.") % {"name": batch.name})
    if not batch.tasks.exists():
        raise InvalidBatch(
            _("The batch “%(name)s” has no tasks to hand out.") % {"name": batch.name},
            code="batch_empty",
        )
    if batch.visible:
        require_something_asked(batch)
    if batch.quota is None:
        capacity = _capacity(batch)
        batch.quota = capacity if max_quota is None else min(max_quota, capacity)
    batch.state = Batch.State.OPEN
    batch.save(update_fields=["state", "quota"])
    record_audit(actor=actor, action="batch.open", project=batch.project, target=batch, quota=batch.quota)
    return batch


def _capacity(batch: Batch) -> int:
    """How many judgments the tasks that are for everybody have room for."""
    tasks = batch.tasks.counted().filter(reserved_for__isnull=True)
    return tasks.aggregate(total=Sum("required_judgments"))["total"] or 0


@transaction.atomic
def close_batch(*, actor: User, batch: Batch) -> Batch:
    """Hand out no more of it. What people have on their screens may still come in.

    Raises InvalidBatch for the batch of a training that is on: who has not passed it yet could neither pass it nor
    begin any work that asks for it.
    """
    # Whoever turns a training on holds its row, and then the batch's.
    training = Training.objects.select_for_update(no_key=True, of=("self",)).filter(batch=batch.pk).first()
    if training is not None and training.is_on:
        raise InvalidBatch(
            _(
                "The batch “%(name)s” has the tasks of the training “%(name2)s”, which is on: who has "
                "not passed it could begin no work that asks for it. Turn the training off first."
            )
            % {"name": batch.name, "name2": training.name},
            code="training_on",
        )
    changed = (
        Batch.objects.filter(pk=batch.pk).exclude(state=Batch.State.CLOSED).update(state=Batch.State.CLOSED)
    )
    batch.refresh_from_db()
    if changed:
        record_audit(actor=actor, action="batch.close", project=batch.project, target=batch)
    return batch


@transaction.atomic
def reopen_batch(*, actor: User, batch: Batch, quota: int | None = None) -> Batch:
    """Hand out a closed batch's tasks again, perhaps up to another quota; what was judged can be changed again too.

    Of an open one only the quota changes. Raises BatchNotOpen for a draft, and InvalidBatch for a quota that is met
    already or that its tasks have no room for.
    """
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.state == Batch.State.DRAFT:
        raise BatchNotOpen(_("The batch “%(name)s” was never open.") % {"name": batch.name})
    fields = ["state"]
    if quota is not None:
        # The tasks of a live batch are made as people talk.
        counted, capacity = batch_progress(batch).counted, quota if batch.is_live else _capacity(batch)
        if not counted < quota <= capacity:
            sentence = (
                _(
                    "The quota must be more than the %(counted)s judgments there are and at most %(capacity)s, what "
                    "its tasks have room for."
                )
                if counted < capacity
                else _("Leave the quota out: all its tasks have their judgments (%(counted)s).")
            ) % {"counted": counted, "capacity": capacity}
            raise InvalidBatch(sentence, fields={"quota": sentence})
        batch.quota, fields = quota, ["state", "quota"]
    batch.state = Batch.State.OPEN
    batch.save(update_fields=fields)
    record_audit(actor=actor, action="batch.reopen", project=batch.project, target=batch, quota=batch.quota)
    return batch


@transaction.atomic
def change_overlap(*, actor: User, batch: Batch, overlap: int, expected_overlap: int | None = None) -> Batch:
    """Have each task that is for everybody judged by so many people. What is judged or held stays: a task that has
    more already keeps them and is done. A quota of all that the tasks had room for stays that; a smaller one stays,
    as far as there is room. Surplus judgments stay surplus.

    Raises BatchNotOpen for a closed batch, InvalidBatch for an unfit number, StaleVersion when `expected_overlap` is
    given and somebody has changed it since.
    """
    batch = Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    if batch.state == Batch.State.CLOSED:
        raise BatchNotOpen(
            _("The batch “%(name)s” is closed: its tasks are judged by %(overlap)s.")
            % {"name": batch.name, "overlap": batch.overlap}
        )
    if batch.is_live:
        raise InvalidBatch(
            _("The turns of “%(name)s” are judged by who leads the conversation.") % {"name": batch.name}
        )
    if expected_overlap is not None and expected_overlap != batch.overlap:
        raise StaleVersion(
            _(
                "Somebody set the people per task of “%(name)s” to %(overlap)s while you looked at "
                "%(expected_overlap)s: yours is not saved."
            )
            % {"name": batch.name, "overlap": batch.overlap, "expected_overlap": expected_overlap},
            current=batch.overlap,
        )
    if not 1 <= overlap <= MAX_OVERLAP:
        sentence = f"The overlap must be between 1 and {MAX_OVERLAP} people."
        raise InvalidBatch(sentence, fields={"overlap": sentence})
    if overlap == batch.overlap:
        return batch
    room = _capacity(batch)
    # Those that an earlier, smaller overlap could not cut follow as well; those with a number of their own keep it.
    tasks = batch.tasks.counted().filter(own_required__isnull=True, reserved_for__isnull=True)
    keys = list(tasks.select_for_update(no_key=True).order_by("pk").values_list("pk", flat=True))
    taken = F("required_judgments") - F("open_slots")  # judgments that count and live leases
    required = Greatest(Value(overlap) + ai_beside_people(batch), taken, output_field=IntegerField())
    for start in range(0, len(keys), BULK_UPDATE_SIZE):
        some = Task.objects.filter(pk__in=keys[start : start + BULK_UPDATE_SIZE])
        some.update(required_judgments=required, open_slots=required - taken)
    before = {"overlap": batch.overlap, "quota": batch.quota}
    now_room = _capacity(batch)
    if batch.quota is not None:
        batch.quota = now_room if batch.quota == room else min(batch.quota, now_room)
    batch.overlap = overlap
    # A cursor may be past a task that has a slot again.
    batch.queue_version += 1
    batch.save(update_fields=["overlap", "quota", "queue_version"])
    record_audit(
        actor=actor,
        action="batch.change_overlap",
        project=batch.project,
        target=batch,
        before=before,
        now={"overlap": overlap, "quota": batch.quota},
        tasks=len(keys),
    )
    return batch


@transaction.atomic
def publish_batch(*, actor: User, batch: Batch, name: str) -> Batch:
    """The last step of an import: the batch and its judgments become visible, under this name.

    Raises InvalidBatch when somebody took the name meanwhile.
    """
    try:
        with transaction.atomic():
            changed = Batch.objects.filter(pk=batch.pk, visible=False).update(visible=True, name=name)
    except IntegrityError as error:
        raise InvalidBatch(
            _("There is a batch named “%(name)s” already.") % {"name": name}, fields={"name": _("Taken")}
        ) from error
    batch.refresh_from_db()
    if changed:
        record_audit(actor=actor, action="batch.publish", project=batch.project, target=batch)
    return batch


@transaction.atomic
def set_priorities(*, actor: User, batch: Batch, priorities: Mapping[int, int]) -> int:
    """New priorities by task key; cursors start again from the top. Returns how many tasks changed."""
    Batch.objects.select_for_update(no_key=True).get(pk=batch.pk)
    of_batch = Task.objects.filter(batch=batch, pk__in=list(priorities))
    tasks = list(of_batch.select_for_update(no_key=True).order_by("pk"))
    if len(tasks) != len(priorities):
        raise InvalidTask(_("Not every task belongs to the batch “%(name)s”.") % {"name": batch.name})
    changed = [task for task in tasks if task.priority != priorities[task.pk]]
    for task in changed:
        task.priority = priorities[task.pk]
    Task.objects.bulk_update(changed, ["priority"], batch_size=BULK_UPDATE_SIZE)
    Batch.objects.filter(pk=batch.pk).update(queue_version=F("queue_version") + 1)
    record_audit(
        actor=actor, action="priorities.set", project=batch.project, target=batch, tasks=len(changed)
    )
    return len(changed)
