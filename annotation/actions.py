"""The only door through which annotation's rows change: prompts, responses, batches, tasks and, re-exported
from claiming, judging and adopting, everything an annotator does. One action = one transaction = one audit
row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, Sum

from annotation.adopting import AdoptedJudgment, adopt_judgments
from annotation.claiming import (
    claim_task,
    reconcile,
    save_draft,
    skip_task,
    sweep_expired_leases,
    unskip_task,
)
from annotation.errors import BadAnswer, BatchInvalid, BatchNotOpen, PromptConflict, TaskInvalid
from annotation.judging import revise_judgment, submit_judgment, withdraw_judgment
from annotation.models import (
    SLOT_PURPOSES,
    Batch,
    Demonstration,
    GoldAnswer,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Source,
    Task,
    TaskResponse,
    hash_messages,
    new_external_id,
)
from annotation.ordering import check_order
from annotation.splits import split_of
from annotation.texts import check_messages, check_text
from workspace.actions import record_audit
from workspace.models import Criterion, Project, User

__all__ = [
    "AdoptedJudgment",
    "NewDemonstration",
    "NewResponse",
    "NewTask",
    "add_demonstrations",
    "add_prompts",
    "add_responses",
    "add_source",
    "add_tasks",
    "adopt_judgments",
    "claim_task",
    "close_batch",
    "create_batch",
    "make_prompt_set",
    "open_batch",
    "reconcile",
    "reveal_batch",
    "revise_judgment",
    "save_draft",
    "set_gold_answer",
    "set_priorities",
    "skip_task",
    "submit_judgment",
    "sweep_expired_leases",
    "unskip_task",
    "withdraw_judgment",
]

_CHUNK = 1000


@dataclass(frozen=True, kw_only=True)
class NewResponse:
    prompt: Prompt
    source: Source
    text: str
    response_id: str | None = None
    sampling: Mapping[str, Any] | None = None
    token_ids: Sequence[int] | None = None
    logprobs: Sequence[float] | None = None


@dataclass(frozen=True, kw_only=True)
class NewDemonstration:
    prompt: Prompt
    text: str
    author: User | None = None
    demonstration_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewTask:
    prompt: Prompt
    responses: Sequence[Response] = field(default_factory=tuple)
    purpose: str = Task.Purpose.NORMAL
    reserved_for: User | None = None
    priority: int = 0
    needed: int | None = None  # the batch's overlap; 1 when reserved; 0 where no slots are used


def _check_id(value: Any, what: str) -> str:
    check_text(value, what)
    if len(value) > 200:
        raise BatchInvalid(f"{what} has more than 200 characters.", code="id_too_long")
    return value


def _in_chunks(values: Iterable[Any]) -> Iterable[list[Any]]:
    rows = list(values)
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]


@transaction.atomic
def add_prompts(
    *, actor: User, project: Project, rows: Sequence[Mapping[str, Any]], prompt_set: PromptSet | None = None
) -> list[Prompt]:
    """The prompts of `rows`, in their order; those that are there already are returned as they are.

    A row is {messages, kind?, tags?, prompt_id?, author?}. Without an id a prompt is known by its
    conversation. The split is decided here, once. Raises UnreadableText, and PromptConflict for an id that
    is taken by another conversation.
    """
    checked = []
    for row in rows:
        messages = check_messages(row.get("messages"))
        kind = row.get("kind") or Prompt.Kind.PLAIN
        if kind not in Prompt.Kind.values:
            raise PromptConflict(f"“{kind}” is not a kind of prompt: use plain, few-shot or user-based.")
        tags = [check_text(tag, "A tag") for tag in row.get("tags") or []]
        given = row.get("prompt_id")
        external_id = _check_id(given, "The prompt's id") if given is not None else None
        checked.append((external_id, hash_messages(messages), messages, kind, tags, row.get("author")))
    by_id: dict[str, Prompt] = {}
    by_content: dict[str, Prompt] = {}
    for chunk in _in_chunks(checked):
        ids, contents = [r[0] for r in chunk if r[0]], [r[1] for r in chunk if not r[0]]
        known = Prompt.objects.filter(project=project).filter(
            Q(external_id__in=ids) | Q(content_hash__in=contents)
        )
        for stored in known.order_by("-pk"):
            by_id[stored.external_id] = by_content[stored.content_hash] = stored
    fresh: list[Prompt] = []
    found: list[Prompt] = []
    for external_id, content, messages, kind, tags, author in checked:
        there = by_id.get(external_id) if external_id else by_content.get(content)
        if there is not None and there.content_hash != content:
            raise PromptConflict(f"The prompt id “{external_id}” belongs to another conversation already.")
        prompt = there
        if prompt is None:
            prompt = Prompt(
                project=project,
                external_id=external_id or f"p-{content[:32]}",
                messages=messages,
                kind=kind,
                tags=tags,
                split=split_of(messages, project.split_salt),
                author=author,
                content_hash=content,
            )
            by_id[prompt.external_id] = prompt
            by_content.setdefault(content, prompt)
            fresh.append(prompt)
        found.append(prompt)
    Prompt.objects.bulk_create(fresh, batch_size=_CHUNK)
    if prompt_set is not None:
        PromptSetMember.objects.bulk_create(
            [PromptSetMember(prompt_set=prompt_set, prompt=prompt) for prompt in dict.fromkeys(found)],
            batch_size=_CHUNK,
            ignore_conflicts=True,
        )
    record_audit(actor=actor, action="prompts.add", project=project, rows=len(rows), new=len(fresh))
    return found


@transaction.atomic
def make_prompt_set(*, actor: User, project: Project, name: str, purpose: str) -> PromptSet:
    """The prompt set of this name. Raises PromptConflict when it has another purpose."""
    if purpose not in PromptSet.Purpose.values:
        raise PromptConflict(
            f"“{purpose}” is not a purpose: use one of {', '.join(PromptSet.Purpose.values)}."
        )
    # PostgreSQL would refuse a longer one; SQLite takes any.
    if len(check_text(name, "The prompt set's name")) > 120:
        raise PromptConflict("A prompt set needs a name of at most 120 characters.", code="name_too_long")
    made, new = PromptSet.objects.get_or_create(project=project, name=name, defaults={"purpose": purpose})
    if made.purpose != purpose:
        raise PromptConflict(f"The prompt set “{name}” has the purpose {made.purpose}.")
    if new:
        record_audit(actor=actor, action="prompt_set.create", project=project, target=made)
    return made


@transaction.atomic
def add_source(*, actor: User, project: Project, kind: str, name: str) -> Source:
    """The source of this kind and name."""
    if kind not in Source.Kind.values:
        raise BatchInvalid(f"“{kind}” is not a kind of source: use one of {', '.join(Source.Kind.values)}.")
    made, new = Source.objects.get_or_create(project=project, kind=kind, name=name)
    if new:
        record_audit(actor=actor, action="source.create", project=project, target=made)
    return made


@transaction.atomic
def add_responses(*, actor: User, project: Project, rows: Sequence[NewResponse]) -> list[Response]:
    """The responses of `rows`, in their order; an id that is there already gives the row that is there.

    Raises UnreadableText, and TaskInvalid for a prompt or source of another project or an id whose text
    differs.
    """
    known: dict[str, Response] = {}
    for chunk in _in_chunks(row.response_id for row in rows if row.response_id):
        for stored in Response.objects.filter(project=project, external_id__in=chunk):
            known[stored.external_id] = stored
    fresh: list[Response] = []
    found: list[Response] = []
    for row in rows:
        if row.prompt.project_id != project.pk or row.source.project_id != project.pk:
            raise TaskInvalid("A response's prompt and source must be of its own project.")
        # Empty is an answer too: a policy may end at once, and people see and judge that.
        text = check_text(row.text, "The response", empty=True)
        response = known.get(row.response_id) if row.response_id else None
        if response is not None and (response.text != text or response.prompt_id != row.prompt.pk):
            raise TaskInvalid(f"The response id “{row.response_id}” belongs to another text already.")
        if response is None:
            response = Response(
                project=project,
                external_id=_check_id(row.response_id, "The response's id")
                if row.response_id
                else new_external_id(),
                prompt=row.prompt,
                source=row.source,
                text=text,
                sampling=dict(row.sampling) if row.sampling is not None else None,
                token_ids=list(row.token_ids) if row.token_ids is not None else None,
                logprobs=list(row.logprobs) if row.logprobs is not None else None,
            )
            known[response.external_id] = response
            fresh.append(response)
        found.append(response)
    Response.objects.bulk_create(fresh, batch_size=_CHUNK)
    record_audit(actor=actor, action="responses.add", project=project, rows=len(rows), new=len(fresh))
    return found


@transaction.atomic
def add_demonstrations(
    *, actor: User, project: Project, rows: Sequence[NewDemonstration]
) -> list[Demonstration]:
    """The demonstrations of `rows`, in their order; an id that is there already gives the row that is
    there.
    """
    known: dict[str, Demonstration] = {}
    for chunk in _in_chunks(row.demonstration_id for row in rows if row.demonstration_id):
        for stored in Demonstration.objects.filter(project=project, external_id__in=chunk):
            known[stored.external_id] = stored
    fresh: list[Demonstration] = []
    found: list[Demonstration] = []
    for row in rows:
        if row.prompt.project_id != project.pk:
            raise TaskInvalid("A demonstration's prompt must be of its own project.")
        text = check_text(row.text, "The demonstration")
        demonstration = known.get(row.demonstration_id) if row.demonstration_id else None
        if demonstration is None:
            demonstration = Demonstration(
                project=project,
                external_id=_check_id(row.demonstration_id, "The demonstration's id")
                if row.demonstration_id
                else new_external_id(),
                prompt=row.prompt,
                response_text=text,
                author=row.author,
            )
            known[demonstration.external_id] = demonstration
            fresh.append(demonstration)
        found.append(demonstration)
    Demonstration.objects.bulk_create(fresh, batch_size=_CHUNK)
    record_audit(actor=actor, action="demonstrations.add", project=project, rows=len(rows), new=len(fresh))
    return found


def _kind_of(k: int) -> str:
    if k == 1:
        return Batch.Kind.RATING
    return Batch.Kind.PAIRWISE if k == 2 else Batch.Kind.RANKING


@transaction.atomic
def create_batch(
    *,
    actor: User,
    project: Project,
    criterion: Criterion,
    name: str,
    k: int = 2,
    kind: str | None = None,
    overlap: int | None = None,
    quota: int | None = None,
    priority: int = 0,
    round_number: int | None = None,
    visible: bool = True,
) -> Batch:
    """A batch in draft. Without a quota, opening it sets overlap x the tasks that count. Raises
    BatchInvalid.
    """
    if criterion.project_id != project.pk:
        raise BatchInvalid("The criterion belongs to another project.")
    if not 1 <= k <= 9 or kind not in (None, _kind_of(k)):
        raise BatchInvalid("A batch asks for 1 (rating), 2 (pairwise) or 3 to 9 (ranking) responses a task.")
    overlap = project.overlap if overlap is None else overlap
    if not 1 <= overlap <= 50:
        raise BatchInvalid("The overlap must be between 1 and 50 people.", fields={"overlap": "1 to 50"})
    if quota is not None and quota < 1:
        raise BatchInvalid("The quota must be at least one judgment.", fields={"quota": "At least 1"})
    if not name.strip() or len(name) > 120:
        raise BatchInvalid(
            "A batch needs a name of at most 120 characters.", fields={"name": "1 to 120 characters"}
        )
    try:
        with transaction.atomic():
            batch = Batch.objects.create(
                project=project,
                criterion=criterion,
                name=name,
                kind=_kind_of(k),
                k=k,
                overlap=overlap,
                quota=quota,
                priority=priority,
                round_number=round_number,
                visible=visible,
            )
    except IntegrityError as error:
        raise BatchInvalid(f"There is a batch named “{name}” already.", fields={"name": "Taken"}) from error
    record_audit(actor=actor, action="batch.create", project=project, target=batch)
    return batch


def _check_task(batch: Batch, task: NewTask) -> int:
    """How many slots the task has. Raises TaskInvalid."""
    if task.purpose not in Task.Purpose.values:
        raise TaskInvalid(f"“{task.purpose}” is not a purpose of a task.")
    if task.prompt.project_id != batch.project_id:
        raise TaskInvalid("The prompt belongs to another project.")
    count = len(task.responses)
    fits = 2 <= count <= batch.k if batch.kind == Batch.Kind.RANKING else count == batch.k
    if not fits:
        raise TaskInvalid(
            f"The batch “{batch.name}” asks for {batch.k} responses a task; this one has {count}."
        )
    if len({response.pk for response in task.responses}) != count:
        raise TaskInvalid("A task shows each response once.")
    if any(response.prompt_id != task.prompt.pk for response in task.responses):
        raise TaskInvalid("A task's responses must answer its own prompt.")
    if task.purpose in (Task.Purpose.REPEAT, Task.Purpose.ADJUDICATION) and task.reserved_for is None:
        raise TaskInvalid(f"A task of purpose {task.purpose} needs the person it is for.")
    if task.purpose not in SLOT_PURPOSES:
        return 0
    if task.needed is not None:
        if not 1 <= task.needed <= 50:
            raise TaskInvalid("A task needs between 1 and 50 people.")
        return task.needed
    return 1 if task.reserved_for is not None else batch.overlap


@transaction.atomic
def add_tasks(*, actor: User, batch: Batch, tasks: Sequence[NewTask]) -> list[Task]:
    """Tasks of a batch, in order. Raises BatchNotOpen for a closed batch, TaskInvalid."""
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if batch.state == Batch.State.CLOSED and batch.visible:
        raise BatchNotOpen(f"The batch “{batch.name}” is closed.")
    made = []
    for task in tasks:
        needed = _check_task(batch, task)
        made.append(
            Task(
                batch=batch,
                prompt=task.prompt,
                purpose=task.purpose,
                reserved_for=task.reserved_for,
                priority=task.priority,
                needed=needed,
                open_slots=needed,
            )
        )
    Task.objects.bulk_create(made, batch_size=_CHUNK)
    TaskResponse.objects.bulk_create(
        [
            TaskResponse(task=row, response=response, position=position)
            for row, task in zip(made, tasks, strict=True)
            for position, response in enumerate(task.responses)
        ],
        batch_size=_CHUNK,
    )
    # A cursor may have passed the place of a new task with a high priority.
    Batch.objects.filter(pk=batch.pk).update(cursor_epoch=F("cursor_epoch") + 1)
    record_audit(actor=actor, action="tasks.add", project=batch.project, target=batch, tasks=len(made))
    return made


@transaction.atomic
def open_batch(*, actor: User, batch: Batch) -> Batch:
    """Hand its tasks out. Raises BatchNotOpen for a batch that was closed, BatchInvalid for one without
    tasks.
    """
    batch = Batch.objects.select_for_update().get(pk=batch.pk)
    if batch.state == Batch.State.OPEN:
        return batch
    if batch.state == Batch.State.CLOSED:
        raise BatchNotOpen(f"The batch “{batch.name}” was closed and stays so.")
    if not batch.tasks.exists():
        raise BatchInvalid(f"The batch “{batch.name}” has no tasks to hand out.", code="batch_empty")
    if batch.quota is None:
        counting = batch.tasks.of_slots().filter(reserved_for__isnull=True)
        batch.quota = counting.aggregate(total=Sum("needed"))["total"] or 0
    batch.state = Batch.State.OPEN
    batch.save(update_fields=["state", "quota"])
    record_audit(actor=actor, action="batch.open", project=batch.project, target=batch, quota=batch.quota)
    return batch


@transaction.atomic
def close_batch(*, actor: User, batch: Batch) -> Batch:
    """Hand out no more of it. What people have on their screens may still come in."""
    changed = (
        Batch.objects.filter(pk=batch.pk).exclude(state=Batch.State.CLOSED).update(state=Batch.State.CLOSED)
    )
    batch.refresh_from_db()
    if changed:
        record_audit(actor=actor, action="batch.close", project=batch.project, target=batch)
    return batch


@transaction.atomic
def reveal_batch(*, actor: User, batch: Batch, name: str) -> Batch:
    """The last step of an import: the batch and its judgments become visible, under this name. Raises
    BatchInvalid when somebody took the name meanwhile.
    """
    try:
        with transaction.atomic():
            changed = Batch.objects.filter(pk=batch.pk, visible=False).update(visible=True, name=name)
    except IntegrityError as error:
        raise BatchInvalid(f"There is a batch named “{name}” already.", fields={"name": "Taken"}) from error
    batch.refresh_from_db()
    if changed:
        record_audit(actor=actor, action="batch.reveal", project=batch.project, target=batch)
    return batch


@transaction.atomic
def set_gold_answer(
    *, actor: User, task: Task, tiers: list[list[int]], strengths: list[int], explanation: str = ""
) -> GoldAnswer:
    """The known answer of a gold or training task, in response keys."""
    if task.purpose not in (Task.Purpose.GOLD, Task.Purpose.TRAINING):
        raise BadAnswer("Only gold and training tasks have a known answer.")
    keys = list(task.entries.order_by("position").values_list("response_id", flat=True))
    tiers, strengths = check_order(tiers, strengths, keys, allow_ties=True)
    gold, _ = GoldAnswer.objects.update_or_create(
        task=task,
        defaults={
            "tiers": tiers,
            "strengths": strengths,
            "explanation": check_text(explanation, "The explanation", empty=True),
            "author": actor,
        },
    )
    record_audit(actor=actor, action="gold.set", project=task.batch.project, target=gold)
    return gold


@transaction.atomic
def set_priorities(*, actor: User, batch: Batch, priorities: Mapping[int, int]) -> int:
    """New priorities by task key; cursors start again from the top. Returns how many tasks changed."""
    tasks = list(Task.objects.select_for_update().filter(batch=batch, pk__in=list(priorities)).order_by("pk"))
    if len(tasks) != len(priorities):
        raise TaskInvalid(f"Not every task belongs to the batch “{batch.name}”.")
    changed = [task for task in tasks if task.priority != priorities[task.pk]]
    for task in changed:
        task.priority = priorities[task.pk]
    Task.objects.bulk_update(changed, ["priority"], batch_size=500)
    Batch.objects.filter(pk=batch.pk).update(cursor_epoch=F("cursor_epoch") + 1)
    record_audit(
        actor=actor, action="priorities.set", project=batch.project, target=batch, tasks=len(changed)
    )
    return len(changed)
