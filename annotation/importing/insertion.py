"""The second pass of an import: staged tasks inserted in chunks, into a batch that nobody sees yet."""

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime

from django.db import transaction
from django.utils.dateparse import parse_datetime

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.importing.staging import StagedTask
from annotation.importing.validation import IMPORT_KEY_PREFIX
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Batch, Prompt, Response, Source
from annotation.preferences.comparisons import GROUP_FLAG
from annotation.preferences.weak_orders import ranks_to_tiers
from learning.interface.messages import answer_columns, answer_key, answer_text
from workspace.models import MAX_OVERLAP, Criterion, User

TASKS_PER_CHUNK = 500

CHARACTERS_PER_CHUNK = 8_000_000


def content_id(prefix: str, *parts: str) -> str:
    return f"{prefix}-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _chunks(tasks: Iterator[StagedTask]) -> Iterator[list[StagedTask]]:
    """Some hundred tasks at a time, fewer where the texts are long."""
    chunk: list[StagedTask] = []
    size = 0
    for task in tasks:
        chunk.append(task)
        size += sum(len(answer_text(response)) for response in task.judgments[0].responses)
        size += len(answer_text(task.judgments[0].prompt))
        if len(chunk) == TASKS_PER_CHUNK or size > CHARACTERS_PER_CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _idempotency_key(batch: Batch, *numbers: int | str | None) -> str:
    return IMPORT_KEY_PREFIX + "-".join(str(part) for part in (batch.pk, *numbers) if part is not None)


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
                )
            )
    added = iter(add_responses(actor=actor, project=project, rows=rows))
    return [[next(added) for _ in first.responses] for first in firsts]


@transaction.atomic
def _insert_chunk(
    actor: User, batch: Batch, staged: Sequence[StagedTask], annotators: AnnotatorResolver, source_name: str
) -> None:
    """One chunk of tasks with their judgments."""
    project = batch.project
    # More judgments than one task may have: a second task with the same responses.
    parts = [
        (task.number, part, task.judgments[start : start + MAX_OVERLAP])
        for task in staged
        for part, start in enumerate(range(0, len(task.judgments), MAX_OVERLAP))
    ]
    firsts = [judgments[0] for _, _, judgments in parts]
    prompts = add_prompts(
        actor=actor,
        project=project,
        rows=[{"messages": first.prompt, "prompt_id": first.prompt_id} for first in firsts],
    )
    responses = _add_responses(actor, batch, firsts, prompts, source_name)
    tasks = add_tasks(
        actor=actor,
        batch=batch,
        tasks=[
            NewTask(prompt=prompt, responses=own, purpose=first.purpose, required_judgments=len(judgments))
            for first, prompt, own, (_, _, judgments) in zip(firsts, prompts, responses, parts, strict=True)
        ],
    )
    rows = []
    for (number, part, judgments), task, own in zip(parts, tasks, responses, strict=True):
        pk_by_answer = {answer_key(response.answer): response.pk for response in own}
        for index, judgment in enumerate(judgments):
            keys = [pk_by_answer[answer_key(response)] for response in judgment.responses]
            rows.append(
                NewJudgment(
                    task=task,
                    annotator=annotators.get_or_create_user(judgment.annotator, judgment.annotator_kind),
                    tiers=[[keys[index] for index in tier] for tier in ranks_to_tiers(judgment.ranks)],
                    strengths=judgment.strengths,
                    idempotency_key=_idempotency_key(batch, number, part, index, judgment.fingerprint),
                    order_shown=[keys[index] for index in judgment.order_shown or range(len(keys))],
                    marks={key: mark for key, mark in zip(keys, judgment.marks or [], strict=False) if mark},
                    rationale=judgment.rationale,
                    flags=judgment.flags,
                    seconds=judgment.seconds,
                    created_at=_parse_timestamp(judgment.created_at),
                )
            )
    add_judgments(actor=actor, batch=batch, rows=rows)


def insert_tasks(
    actor: User,
    criterion: Criterion,
    name: str,
    max_responses: int,
    tasks: Iterator[StagedTask],
    annotators: AnnotatorResolver,
) -> Batch:
    """The invisible batch with every task in it. Its responses come from `name`; it has another one itself, so
    that an import that breaks off does not keep the name.
    """
    chunks = _chunks(tasks)
    with transaction.atomic():
        batch = create_batch(
            actor=actor,
            project=criterion.project,
            criterion=criterion,
            name=f"{name[:90]} (unfinished {uuid.uuid4().hex[:12]})",
            responses_per_task=max_responses,
            overlap=1,
            visible=False,
        )
        _insert_chunk(actor, batch, next(chunks), annotators, name)
    for chunk in chunks:
        _insert_chunk(actor, batch, chunk, annotators, name)
    return batch
