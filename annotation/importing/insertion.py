"""The second pass of an import: staged tasks inserted in chunks, into a batch that nobody sees yet."""

import hashlib
import itertools
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

from django.db import connection, transaction
from django.db.models import Model

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.beside import Beside
from annotation.importing.joined_tasks import JoinedTask, insert_joined, new_judgment
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.importing.staging import PackedTask, Staging, unpack_task
from annotation.importing.storing_processes import StoringProcesses, can_store_beside
from annotation.importing.unfinished import keep_alive
from annotation.importing.watching import current_watch
from annotation.judging.bulk import add_judgments
from annotation.models import (
    COUNTED_PURPOSES,
    Assignment,
    Batch,
    Import,
    Judgment,
    Prompt,
    Response,
    Source,
    Task,
)
from annotation.preferences.flags import GROUP_FLAG
from learning.interface.messages import answer_columns, answer_key, answer_text
from workspace.bulk_insert import keys_at_hand, reserve_keys
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

_Responses = list[list[Response]]  # of each task of a chunk
_Keys = dict[type[Model], list[int]]


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


def _insert_prompts(actor: User, batch: Batch, parts: Sequence[_Part]) -> list[Prompt]:
    """The prompts of a chunk of tasks."""
    return add_prompts(
        actor=actor,
        project=batch.project,
        rows=[
            {
                "messages": part.first.prompt,
                "prompt_id": part.first.prompt_id,
                "split": part.first.split,
                "tags": part.first.tags,
            }
            for part in parts
        ],
        from_import=batch.from_import,
    )


def _insert_responses(
    actor: User,
    batch: Batch,
    parts: Sequence[_Part],
    prompts: Sequence[Prompt],
    source_name: str,
) -> _Responses:
    """The responses of a chunk of tasks."""
    firsts = [part.first for part in parts]
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


@transaction.atomic
def _insert_tasks(
    actor: User,
    batch: Batch,
    parts: Sequence[_Part],
    prompts: Sequence[Prompt],
    responses: _Responses,
    annotators: AnnotatorResolver,
) -> None:
    """The chunk's tasks with their judgments."""
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
        new_judgment(
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
                insert_joined(self._actor, self._go_on(), joined, self._annotators)
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
                    prompts = self._insert_prompts(parts)
                    responses = self._insert_responses(parts, prompts)
                    insert_tasks = partial(self._insert_tasks, parts, prompts, responses)
                    if beside is None:
                        insert_tasks()
                    # While the database stores the last of these, and commits.
                    following = ahead.submit(next, prepared, None)
                if beside is not None:
                    beside.call(insert_tasks)
                current_watch().advance(len({part.number for part in parts}))
                parts = following.result()

    def _insert_by_processes(self, chunks: Iterator[list[PackedTask]], staging: Staging) -> None:
        """PostgreSQL: some chunks at a time. The first goes in here, with the batch and everybody who judged."""
        chunk = next(chunks)
        first = _parts(chunk)
        with transaction.atomic():
            prompts = self._insert_prompts(first)
            for who in staging.annotators():
                self._annotators.get_or_create_user(*who)
            self._insert_tasks(first, prompts, self._insert_responses(first, prompts))
        current_watch().advance(len(chunk))

        @transaction.atomic
        def store_prompts(parts: list[_Part]) -> list[Prompt]:
            return self._insert_prompts(parts)

        @transaction.atomic
        def store_responses(parts: list[_Part], prompts: list[Prompt]) -> tuple[_Responses, _Keys]:
            # In turn, while the tasks come in whenever they are ready.
            n_judgments = sum(len(part.judgments) for part in parts)
            numbers = {Task: len(parts), Assignment: n_judgments, Judgment: n_judgments}
            keys = {model: reserve_keys(model, number) for model, number in numbers.items()}
            return self._insert_responses(parts, prompts), keys

        def store_tasks(parts: list[_Part], prompts: list[Prompt], stored: tuple[_Responses, _Keys]) -> None:
            responses, keys = stored
            with keys_at_hand(keys):
                self._insert_tasks(parts, prompts, responses)

        with StoringProcesses(_parts, (store_prompts, store_responses), store_tasks) as processes:
            for chunk in chunks:
                current_watch().advance(processes.store(chunk, len(chunk)))
            current_watch().advance(processes.finish())

    def _insert_prompts(self, parts: Sequence[_Part]) -> list[Prompt]:
        """In a transaction."""
        self._go_on()
        if self.batch is None:
            self.batch = self._create_batch()
        return _insert_prompts(self._actor, self.batch, parts)

    def _insert_responses(self, parts: Sequence[_Part], prompts: Sequence[Prompt]) -> _Responses:
        assert self.batch is not None
        return _insert_responses(self._actor, self.batch, parts, prompts, self._name)

    def _insert_tasks(self, parts: Sequence[_Part], prompts: Sequence[Prompt], responses: _Responses) -> None:
        assert self.batch is not None
        _insert_tasks(self._actor, self.batch, parts, prompts, responses, self._annotators)

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
