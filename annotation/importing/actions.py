"""Imports as actions: validate the whole file, then insert in chunks, then show.

A refused import has written nothing. Comparisons go, some hundred tasks to a transaction, into a batch that
nobody sees before its last row is in, and that takes its name only then. The batch is made in the transaction
of its first tasks: what fails there leaves nothing. An import that breaks later, or is killed, leaves an
invisible batch behind, which counts nowhere: judgments can only be added, never taken out. Prompts and
demonstrations have no batch to hide in and go in one transaction.
"""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_datetime

from annotation.actions import (
    NewDemonstration,
    NewResponse,
    NewTask,
    add_demonstrations,
    add_prompts,
    add_responses,
    add_source,
    add_tasks,
    adopt_judgments,
    close_batch,
    create_batch,
    make_prompt_set,
    open_batch,
    reveal_batch,
)
from annotation.adopting import AdoptedJudgment
from annotation.comparisons import GROUP_FLAG
from annotation.importing.cells import Columns, named_grade
from annotation.importing.judgments import ImportedJudgment
from annotation.importing.people import People
from annotation.importing.report import ImportRefused, ImportReport, RowProblem
from annotation.importing.staging import StagedTask, Staging
from annotation.importing.text_readers import DemonstrationReader, PromptReader
from annotation.importing.validation import IMPORT_KEY, comparison_reader, stage_comparisons, stage_texts
from annotation.models import Batch, Prompt, Response, Source
from annotation.texts import check_text
from annotation.weak_orders import tiers_of_ranks
from workspace.actions import record_audit
from workspace.models import Criterion, Project, User

TASKS_AT_ONCE = 500
ROWS_AT_ONCE = 1000
CHARACTERS_AT_ONCE = 8_000_000
MAX_JUDGMENTS_OF_TASK = 50
MAX_BATCH_NAME = 110  # leaves room for a number behind it


def import_comparisons(
    *,
    actor: User,
    project: Project,
    path: Path,
    format: str,
    mapping: Mapping[str, Sequence[str]] | None = None,
    grades: Mapping[str, str] | None = None,
    criterion: str | None = None,
    batch_name: str | None = None,
    skip_bad: bool = False,
) -> tuple[Batch, ImportReport]:
    """The file's judgments as a closed batch of done tasks.

    `mapping`: field -> its columns; `grades`: name -> "a:2", "b:1", "tie". People of the annotator column
    become inactive users. Raises ImportRefused (one sentence; `.report` has the bad rows).
    """
    for name, meaning in (grades or {}).items():
        try:
            named_grade(meaning)
        except RowProblem as problem:
            raise ImportRefused(f"--grade {name}={meaning}: {problem.reason}.", code="bad_grade") from problem
    judged = _criterion(project, criterion)
    if batch_name is not None:
        _check_batch_name(batch_name)
    reader = comparison_reader(format, _lists(mapping), criterion=judged.name, grades=grades or {})
    with Staging() as staging:
        report = stage_comparisons(path, reader, staging, project)
        _refuse_unless_clean(report, skip_bad)
        people = People(project)
        staging.name_people({who: people.decide(*who) for who in staging.annotators()})
        judgments, tasks, most = staging.counts()
        if judgments == 0:
            raise ImportRefused(
                f"{report.file} has no judgment that counts: nothing to import.", code="no_rows"
            )
        wanted = batch_name or report.file
        batch = _bring_in(actor, judged, _free_name(project, wanted), most, staging.tasks(), people)
    with transaction.atomic():
        open_batch(actor=actor, batch=batch)
        close_batch(actor=actor, batch=batch)
        batch = reveal_batch(actor=actor, batch=batch, name=_free_name(project, wanted))
        report.counts = {"judgments": judgments, "tasks": tasks, "annotators": len(people)} | report.counts
        record_audit(
            actor=actor,
            action="comparisons.import",
            project=project,
            target=batch,
            file=report.file,
            rows=report.rows,
            bad=report.bad,
            **{"judgments": judgments, "tasks": tasks},
        )
    return batch, report


def _bring_in(
    actor: User, criterion: Criterion, name: str, most: int, tasks: Iterator[StagedTask], people: People
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
            k=most,
            overlap=1,
            visible=False,
        )
        _insert(actor, batch, next(chunks), people, name)
    for chunk in chunks:
        _insert(actor, batch, chunk, people, name)
    return batch


def import_prompts(
    *,
    actor: User,
    project: Project,
    path: Path,
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "prompts",
    purpose: str = "policy",
    skip_bad: bool = False,
) -> ImportReport:
    """The file's prompts, in a prompt set. Prompts that are there already stay as they are, split included."""
    reader = PromptReader(Columns(PromptReader.fields, _lists(mapping), format_name="prompts"))
    with Staging() as staging:
        report = stage_texts(path, reader, staging, project)
        _refuse_unless_clean(report, skip_bad)
        before = Prompt.objects.filter(project=project).count()
        with transaction.atomic():
            into = make_prompt_set(actor=actor, project=project, name=prompt_set, purpose=purpose)
            people = People(project)
            for rows in _row_chunks(staging.text_rows()):
                for row in rows:
                    row["author"] = _author(people, row["author"])
                add_prompts(actor=actor, project=project, rows=rows, prompt_set=into)
            report.counts["new prompts"] = Prompt.objects.filter(project=project).count() - before
            record_audit(
                actor=actor, action="prompts.import", project=project, target=into, file=report.file,
                rows=report.rows, bad=report.bad,
            )  # fmt: skip
    return report


def import_demonstrations(
    *,
    actor: User,
    project: Project,
    path: Path,
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "demonstrations",
    skip_bad: bool = False,
) -> ImportReport:
    """The file's demonstrations; their prompts go in a prompt set of purpose sft. The same text again changes
    nothing.
    """
    reader = DemonstrationReader(
        Columns(DemonstrationReader.fields, _lists(mapping), format_name="demonstrations")
    )
    with Staging() as staging:
        report = stage_texts(path, reader, staging, project)
        _refuse_unless_clean(report, skip_bad)
        before = project.demonstrations.count()
        with transaction.atomic():
            into = make_prompt_set(actor=actor, project=project, name=prompt_set, purpose="sft")
            people = People(project)
            for rows in _row_chunks(staging.text_rows()):
                asked = [{"messages": row["messages"], "prompt_id": row["prompt_id"]} for row in rows]
                prompts = add_prompts(actor=actor, project=project, rows=asked, prompt_set=into)
                new = [
                    NewDemonstration(
                        prompt=prompt,
                        text=row["response"],
                        author=_author(people, row["author"]),
                        demonstration_id=_content_id("d", prompt.external_id, row["response"]),
                    )
                    for row, prompt in zip(rows, prompts, strict=True)
                ]
                add_demonstrations(actor=actor, project=project, rows=new)
            report.counts["new demonstrations"] = project.demonstrations.count() - before
            record_audit(
                actor=actor, action="demonstrations.import", project=project, target=into, file=report.file,
                rows=report.rows, bad=report.bad,
            )  # fmt: skip
    return report


def _lists(mapping: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    return {field: list(columns) for field, columns in (mapping or {}).items()}


def _refuse_unless_clean(report: ImportReport, skip_bad: bool) -> None:
    try:
        report.refuse_unless_clean(skip_bad=skip_bad)
    except ImportRefused as refused:
        refused.report = report
        raise


def _criterion(project: Project, name: str | None) -> Criterion:
    known = {criterion.name: criterion for criterion in project.criteria.order_by("pk")}
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name is None or name not in known:
        problem = "has several criteria" if name is None else f"has no criterion {name}"
        raise ImportRefused(
            f"The project {project.slug} {problem}: name one with --criterion ({', '.join(known)}).",
            code="which_criterion",
        )
    return known[name]


def _check_batch_name(name: str) -> None:
    if len(check_text(name, "The batch's name")) > MAX_BATCH_NAME:
        raise ImportRefused(f"The batch's name has more than {MAX_BATCH_NAME} characters.", code="bad_name")


def _free_name(project: Project, wanted: str) -> str:
    wanted = wanted[:MAX_BATCH_NAME]
    name, number = wanted, 1
    while project.batches.filter(name=name).exists():
        number += 1
        name = f"{wanted} ({number})"
    return name


def _content_id(prefix: str, *parts: str) -> str:
    return f"{prefix}-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _author(people: People, name: str | None) -> User | None:
    return None if name is None else people.of(name)


def _row_chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == ROWS_AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _chunks(tasks: Iterator[StagedTask]) -> Iterator[list[StagedTask]]:
    """Some hundred tasks at a time, fewer where the texts are long."""
    chunk: list[StagedTask] = []
    size = 0
    for task in tasks:
        chunk.append(task)
        size += sum(map(len, task.judgments[0].responses)) + sum(
            len(m["content"]) for m in task.judgments[0].prompt
        )
        if len(chunk) == TASKS_AT_ONCE or size > CHARACTERS_AT_ONCE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


@transaction.atomic
def _insert(
    actor: User, batch: Batch, staged: Sequence[StagedTask], people: People, source_name: str
) -> None:
    """One chunk of tasks with their judgments."""
    project = batch.project
    # More people than a task has slots for: a second task with the same responses.
    parts = [
        (task.number, part, task.judgments[start : start + MAX_JUDGMENTS_OF_TASK])
        for task in staged
        for part, start in enumerate(range(0, len(task.judgments), MAX_JUDGMENTS_OF_TASK))
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
            NewTask(prompt=prompt, responses=own, purpose=first.purpose, needed=len(judgments))
            for first, prompt, own, (_, _, judgments) in zip(firsts, prompts, responses, parts, strict=True)
        ],
    )
    rows = []
    for (number, part, judgments), task, own in zip(parts, tasks, responses, strict=True):
        key_of = {response.text: response.pk for response in own}
        for place, judgment in enumerate(judgments):
            keys = [key_of[words] for words in judgment.responses]
            rows.append(
                AdoptedJudgment(
                    task=task,
                    annotator=people.of(judgment.annotator, judgment.annotator_kind),
                    tiers=[[keys[thing] for thing in tier] for tier in tiers_of_ranks(judgment.ranks)],
                    strengths=judgment.strengths,
                    idempotency_key=_key(batch, number, part, place, judgment.fingerprint),
                    order_shown=[keys[thing] for thing in judgment.order_shown or range(len(keys))],
                    marks={key: mark for key, mark in zip(keys, judgment.marks or [], strict=False) if mark},
                    rationale=judgment.rationale,
                    flags=judgment.flags,
                    seconds=judgment.seconds,
                    created_at=_moment(judgment.created_at),
                )
            )
    adopt_judgments(actor=actor, batch=batch, rows=rows)


def _key(batch: Batch, *numbers: int | str | None) -> str:
    return IMPORT_KEY + "-".join(str(part) for part in (batch.pk, *numbers) if part is not None)


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
        for place, words in enumerate(first.responses):
            kind, name = first.sources[place] if first.sources else (Source.Kind.IMPORT, source_name)
            if (kind, name) not in sources:
                sources[kind, name] = add_source(actor=actor, project=project, kind=kind, name=name[:120])
            response_id = first.response_ids[place] if first.response_ids else None
            if group and not response_id:
                # The pairs of one group share their responses: that is how they are put together again.
                response_id = _content_id("r", str(batch.pk), group, prompt.external_id, words)
            sampling = first.sampling[place] if first.sampling else None
            rows.append(
                NewResponse(
                    prompt=prompt,
                    source=sources[kind, name],
                    text=words,
                    response_id=response_id,
                    sampling=sampling,
                )
            )
    made = iter(add_responses(actor=actor, project=project, rows=rows))
    return [[next(made) for _ in first.responses] for first in firsts]


def _moment(value: str | None) -> datetime | None:
    return parse_datetime(value) if value else None
