"""The second pass of an import: staged tasks inserted in chunks, into a batch that nobody sees yet."""

import hashlib
import itertools
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import connection, transaction
from django.db.models import F
from django.utils.dateparse import parse_datetime

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.batches.locks import lock_batches_of
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.beside import Beside
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.importing.staging import PackedTask, Staging, unpack_task
from annotation.importing.storing_processes import StoringProcesses, can_store_beside
from annotation.importing.unfinished import keep_alive
from annotation.importing.watching import current_watch
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import COUNTED_PURPOSES, Batch, Import, Prompt, Response, Source, Task, TaskResponse
from annotation.preferences.flags import GROUP_FLAG
from annotation.preferences.validation import IMPORT_KEY_PREFIX
from annotation.preferences.weak_orders import ranks_to_tiers
from learning.interface.messages import answer_columns, answer_key, answer_text
from workspace.models import MAX_OVERLAP, Criterion, User
from workspace.write_turns import Turns
from workspace.writes_beside import WritesBeside, rare_checkpoints, writes_beside

# A chunk is a transaction, and on SQLite nobody else writes meanwhile: as many tasks as take this long. Few large ones
# write an index's page less often than many small ones.
SECONDS_PER_CHUNK = 0.5
TASKS_PER_CHUNK = 500  # at first
MAX_TASKS_PER_CHUNK = 4000

CHARACTERS_PER_CHUNK = 8_000_000
TASKS_WORTH_A_THREAD = 2000
TASKS_WORTH_PROCESSES = 5000

_Contents = tuple[list[Prompt], list[list[Response]]]  # of a chunk of tasks
JoinedTask = tuple[int, list[ImportedJudgment]]  # a task that is there, its new judgments


def content_id(prefix: str, *parts: str) -> str:
    return f"{prefix}-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _chunks(tasks: Iterator[PackedTask]) -> Iterator[list[PackedTask]]:
    """Some hundred tasks at a time, as many as the caller stores in SECONDS_PER_CHUNK, fewer where texts are long."""
    chunk: list[PackedTask] = []
    size = 0
    most = TASKS_PER_CHUNK
    for task in tasks:
        chunk.append(task)
        size += sum(map(len, task[1]))
        if len(chunk) >= most or size > CHARACTERS_PER_CHUNK:
            begun = time.monotonic()
            yield chunk
            per_second = len(chunk) / (time.monotonic() - begun)
            most = min(2 * most, max(1, round(per_second * SECONDS_PER_CHUNK)), MAX_TASKS_PER_CHUNK)
            chunk, size = [], 0
    if chunk:
        yield chunk


def _in_chunks(joined: Iterator[JoinedTask]) -> Iterator[list[JoinedTask]]:
    while chunk := list(itertools.islice(joined, TASKS_PER_CHUNK)):
        yield chunk


def _parse_timestamp(value: str | None) -> datetime | None:
    return parse_datetime(value) if value else None


def _add_responses(
    actor: User,
    batch: Batch,
    firsts: Sequence[ImportedJudgment],
    prompts: Sequence[Prompt],
    source_name: str,
) -> list[list[Response]]:
    project = batch.project
    sources: dict[tuple[str, str], Source] = {}
    rows = []
    for first, prompt in zip(firsts, prompts, strict=True):
        group = next((flag for flag in first.flags if flag.startswith(GROUP_FLAG)), None)
        for index, response in enumerate(first.responses):
            kind, name = first.sources[index] if first.sources else (Source.Kind.IMPORT, source_name)
            if (kind, name) not in sources:
                sources[kind, name] = get_or_create_source(
                    actor=actor, project=project, kind=kind, name=name[:120]
                )
            response_id = first.response_ids[index] if first.response_ids else None
            if group and not response_id:
                # The pairs of one group share their responses: that is how they are put together again.
                response_id = content_id("r", str(batch.pk), group, prompt.external_id, answer_key(response))
            sampling = first.sampling[index] if first.sampling else None
            rows.append(
                NewResponse(
                    prompt=prompt,
                    source=sources[kind, name],
                    text=answer_text(response),
                    turns=answer_columns(response)[1],
                    response_id=response_id,
                    sampling=sampling,
                    ended=first.ended[index] if first.ended else None,
                    from_import=batch.from_import,
                )
            )
    added = iter(add_responses(actor=actor, project=project, rows=rows))
    return [[next(added) for _ in first.responses] for first in firsts]


def _new_judgment(
    imported: Import | None,
    task: Task,
    responses: Sequence[Response],
    judgment: ImportedJudgment,
    annotators: AnnotatorResolver,
    place: tuple[int | str, ...],
    *,
    is_new_task: bool = False,
) -> NewJudgment:
    """`place` in the import makes its idempotency key."""
    assert imported is not None
    pk_by_answer = {answer_key(response.answer): response.id for response in responses}
    keys = [pk_by_answer[answer_key(response)] for response in judgment.responses]
    return NewJudgment(
        task=task,
        annotator=annotators.get_or_create_user(judgment.annotator, judgment.annotator_kind),
        tiers=[[keys[index] for index in tier] for tier in ranks_to_tiers(judgment.ranks)],
        strengths=judgment.strengths,
        idempotency_key=IMPORT_KEY_PREFIX + "-".join([str(imported.id), *map(str, place)]),
        order_shown=[keys[index] for index in judgment.order_shown or range(len(keys))],
        marks={key: mark for key, mark in zip(keys, judgment.marks or [], strict=False) if mark},
        confidence=judgment.confidence,
        rationale=judgment.rationale,
        flags=judgment.flags,
        seconds=judgment.seconds,
        created_at=_parse_timestamp(judgment.created_at),
        task_responses=[response.id for response in responses] if is_new_task else None,
        from_import=imported,
        source_id=judgment.source_id,
        metadata=judgment.metadata,
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A task to be stored: judgments of a staged one, as many as a task may have; the rest goes into further tasks."""

    number: int
    part: int
    judgments: list[ImportedJudgment]

    @property
    def first(self) -> ImportedJudgment:
        return self.judgments[0]


def _parts(chunk: Sequence[PackedTask]) -> list[_Part]:
    return [
        _Part(number=task.number, part=part, judgments=task.judgments[start : start + MAX_OVERLAP])
        for task in map(unpack_task, chunk)
        for part, start in enumerate(range(0, len(task.judgments), MAX_OVERLAP))
    ]


@transaction.atomic
def _insert_contents(actor: User, batch: Batch, parts: Sequence[_Part], source_name: str) -> _Contents:
    """The prompts and responses of a chunk of tasks."""
    firsts = [part.first for part in parts]
    prompts = add_prompts(
        actor=actor,
        project=batch.project,
        rows=[
            {
                "messages": first.prompt,
                "prompt_id": first.prompt_id,
                "split": first.split,
                "tags": first.tags,
            }
            for first in firsts
        ],
        from_import=batch.from_import,
    )
    return prompts, _add_responses(actor, batch, firsts, prompts, source_name)


@transaction.atomic
def _insert_tasks(
    actor: User,
    batch: Batch,
    parts: Sequence[_Part],
    contents: _Contents,
    annotators: AnnotatorResolver,
) -> None:
    """The chunk's tasks with their judgments."""
    prompts, responses = contents
    tasks = add_tasks(
        actor=actor,
        batch=batch,
        tasks=[
            NewTask(
                prompt=prompt,
                responses=own,
                purpose=part.first.purpose,
                required_judgments=len(part.judgments),
                counted_judgments=len(part.judgments) if part.first.purpose in COUNTED_PURPOSES else 0,
            )
            for part, prompt, own in zip(parts, prompts, responses, strict=True)
        ],
    )
    rows = [
        _new_judgment(
            batch.from_import,
            task,
            own,
            judgment,
            annotators,
            (part.number, part.part, index),
            is_new_task=True,
        )
        for part, task, own in zip(parts, tasks, responses, strict=True)
        for index, judgment in enumerate(part.judgments)
    ]
    add_judgments(actor=actor, batch=batch, rows=rows)


@transaction.atomic
def _insert_joined(
    actor: User, imported: Import, joined: Sequence[JoinedTask], annotators: AnnotatorResolver
) -> None:
    """Judgments of tasks that another import brought in: each makes room for itself."""
    lock_batches_of([pk for pk, _ in joined])
    tasks = {
        task.pk: task
        for task in Task.objects.select_for_update(no_key=True)
        .filter(pk__in=[pk for pk, _ in joined])
        .select_related("batch")
        .order_by("pk")
    }
    responses: dict[int, list[Response]] = defaultdict(list)
    for shown in TaskResponse.objects.filter(task__in=tasks).select_related("response"):
        responses[shown.task_id].append(shown.response)
    rows_of: dict[Batch, list[NewJudgment]] = defaultdict(list)
    for pk, judgments in joined:
        task = tasks[pk]
        task.required_judgments += len(judgments)
        task.open_slots += len(judgments)
        task.save(update_fields=["required_judgments", "open_slots"])
        for index, judgment in enumerate(judgments):
            row = _new_judgment(imported, task, responses[pk], judgment, annotators, (pk, "joined", index))
            rows_of[task.batch].append(row)
    for batch, rows in rows_of.items():
        Batch.objects.filter(pk=batch.pk, quota__isnull=False).update(quota=F("quota") + len(rows))
        add_judgments(actor=actor, batch=batch, rows=rows)


def _beside() -> AbstractContextManager[Beside | None]:
    """PostgreSQL stores a chunk's tasks while the prompts and responses of the next one come in: a transaction each,
    in two connections. SQLite has one writer, and nobody else sees what a caller's transaction has written.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return nullcontext()
    return Beside("tasks of an import")


def _writes(n_tasks: int) -> AbstractContextManager[WritesBeside | None]:
    """SQLite stores a chunk's rows while the next ones are made; for a small file a thread is not worth its while."""
    if connection.vendor != "sqlite" or n_tasks < TASKS_WORTH_A_THREAD:
        return nullcontext()
    return writes_beside()


class JudgmentInsertion:
    """Chunk by chunk: new tasks into an invisible batch, then judgments of known tasks.

    The import and its batch are made in the transaction of the first chunk: what fails there leaves nothing. The
    batch has another name than its responses' source, so that an import that breaks off does not keep the name.
    """

    def __init__(
        self,
        *,
        actor: User,
        criterion: Criterion,
        name: str,
        max_responses: int,
        annotators: AnnotatorResolver,
        begin: Callable[[], Import],
    ) -> None:
        self._actor, self._criterion, self._name = actor, criterion, name
        self._max_responses, self._annotators, self._begin = max_responses, annotators, begin
        self.imported: Import | None = None
        self.batch: Batch | None = None
        self.n_joined = 0  # tasks that were there already

    def insert(self, staging: Staging, n_tasks: int) -> None:
        chunks = _chunks(staging.tasks())
        if n_tasks >= TASKS_WORTH_PROCESSES and can_store_beside():
            self._insert_by_processes(chunks, staging)
        else:
            self._insert_here(chunks, n_tasks)
        turns = Turns()
        for joined in _in_chunks(staging.joined()):
            with turns.writing(), transaction.atomic():
                _insert_joined(self._actor, self._go_on(), joined, self._annotators)
            self.n_joined += len(joined)
            current_watch().advance(0)

    def _insert_here(self, chunks: Iterator[list[PackedTask]], n_tasks: int) -> None:
        turns, prepared = Turns(), map(_parts, chunks)
        with (
            ThreadPoolExecutor(1, "next chunk of an import") as ahead,
            rare_checkpoints(),
            _beside() as beside,
            _writes(n_tasks) as writes,
        ):
            parts = next(prepared, None)
            while parts is not None:
                with turns.writing(), transaction.atomic(), writes.transaction() if writes else nullcontext():
                    contents = self._insert_contents(parts)
                    insert_tasks = partial(self._insert_tasks, parts, contents)
                    if beside is None:
                        insert_tasks()
                    # While the database stores the last of these, and commits.
                    following = ahead.submit(next, prepared, None)
                if beside is not None:
                    beside.call(insert_tasks)
                current_watch().advance(len({part.number for part in parts}))
                parts = following.result()

    def _insert_by_processes(self, chunks: Iterator[list[PackedTask]], staging: Staging) -> None:
        """PostgreSQL: two chunks at a time. The first goes in here, with the batch and everybody who judged."""
        chunk = next(chunks)
        first = _parts(chunk)
        with transaction.atomic():
            contents = self._insert_contents(first)
            for who in staging.annotators():
                self._annotators.get_or_create_user(*who)
            self._insert_tasks(first, contents)
        current_watch().advance(len(chunk))

        def store_contents(parts: list[_Part]) -> _Contents:
            with transaction.atomic():
                return self._insert_contents(parts)

        with StoringProcesses(_parts, store_contents, self._insert_tasks) as processes:
            for chunk in chunks:
                current_watch().advance(processes.store(chunk, len(chunk)))
            current_watch().advance(processes.finish())

    def _insert_contents(self, parts: Sequence[_Part]) -> _Contents:
        """In a transaction."""
        self._go_on()
        if self.batch is None:
            self.batch = self._create_batch()
        return _insert_contents(self._actor, self.batch, parts, self._name)

    def _insert_tasks(self, parts: Sequence[_Part], contents: _Contents) -> None:
        assert self.batch is not None
        _insert_tasks(self._actor, self.batch, parts, contents, self._annotators)

    def _go_on(self) -> Import:
        if self.imported is None:
            self.imported = self._begin()
        else:
            keep_alive(self.imported)
        return self.imported

    def _create_batch(self) -> Batch:
        return create_batch(
            actor=self._actor,
            project=self._criterion.project,
            criterion=self._criterion,
            name=f"{self._name[:90]} (unfinished {uuid.uuid4().hex[:12]})",
            responses_per_task=self._max_responses,
            overlap=1,
            visible=False,
            from_import=self.imported,
        )
