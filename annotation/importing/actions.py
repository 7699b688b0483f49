"""Imports as actions: validate the whole file, then insert in chunks, then show.

A refused import has written nothing. Comparisons go, some hundred tasks to a transaction, into a batch that
nobody sees before its last row is in; an import that was killed leaves an invisible batch behind, which
counts nowhere. Prompts and demonstrations have no batch to hide in and go in one transaction.
"""

import hashlib
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
from annotation.importing.report import ImportRefused, ImportReport, RowProblem
from annotation.importing.staging import StagedTask, Staging
from annotation.importing.text_readers import DemonstrationReader, PromptReader
from annotation.importing.validation import comparison_reader, stage_comparisons, stage_texts
from annotation.models import Batch, Prompt, Response, Source
from annotation.weak_orders import tiers_of_ranks
from workspace.actions import record_audit
from workspace.models import Criterion, Project, User

TASKS_AT_ONCE = 500
ROWS_AT_ONCE = 1000
CHARACTERS_AT_ONCE = 8_000_000
MAX_JUDGMENTS_OF_TASK = 50


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
    reader = comparison_reader(format, _lists(mapping), criterion=judged.name, grades=grades or {})
    with Staging() as staging:
        report = stage_comparisons(path, reader, staging, project)
        _refuse_unless_clean(report, skip_bad)
        judgments, tasks, most = staging.counts()
        if judgments == 0:
            raise ImportRefused(
                f"{report.file} has no judgment that counts: nothing to import.", code="no_rows"
            )
        people = _annotators(project, staging)
        batch = create_batch(
            actor=actor,
            project=project,
            criterion=judged,
            name=_free_name(project, batch_name or path.name),
            k=most,
            overlap=1,
            visible=False,
        )
        for chunk in _chunks(staging.tasks()):
            _insert(actor, batch, chunk, people)
    with transaction.atomic():
        open_batch(actor=actor, batch=batch)
        close_batch(actor=actor, batch=batch)
        batch.refresh_from_db()
        reveal_batch(actor=actor, batch=batch)
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
    batch.refresh_from_db()
    return batch, report


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
            authors = _Authors(project)
            for rows in _row_chunks(staging.text_rows()):
                for row in rows:
                    row["author"] = authors.of(row["author"])
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
            authors = _Authors(project)
            for rows in _row_chunks(staging.text_rows()):
                asked = [{"messages": row["messages"], "prompt_id": row["prompt_id"]} for row in rows]
                prompts = add_prompts(actor=actor, project=project, rows=asked, prompt_set=into)
                new = [
                    NewDemonstration(
                        prompt=prompt,
                        text=row["response"],
                        author=authors.of(row["author"]),
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


def _free_name(project: Project, wanted: str) -> str:
    name, number = wanted[:110], 1
    while project.batches.filter(name=name).exists():
        number += 1
        name = f"{wanted[:110]} ({number})"
    return name


def _content_id(prefix: str, *parts: str) -> str:
    return f"{prefix}-" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@transaction.atomic
def _annotators(project: Project, staging: Staging) -> dict[tuple[str | None, str], User]:
    return {(name, kind): stand_in(project, name, kind) for name, kind in staging.annotators()}


def stand_in(project: Project, name: str | None, kind: str = "person") -> User:
    """The user behind a pseudonym of a file: somebody known to the project by it, else a new inactive user.

    Elsewhere the same name is somebody else's: then the project's name is added to the pseudonym. Rows that
    name nobody share one user of the project.
    """
    pseudonym = name or f"import-{project.slug}"[:64]
    for candidate in (pseudonym, _scoped(pseudonym, project)):
        known = User.objects.filter(pseudonym=candidate).first()
        if known is None:
            user = User(
                username=f"imported-{hashlib.sha256(candidate.encode()).hexdigest()[:24]}",
                pseudonym=candidate,
                kind=kind,
                is_active=False,
            )
            user.set_unusable_password()
            user.save()
            return user
        if known.kind == kind and _takes_part(known, project):
            return known
    raise ImportRefused(
        f"The pseudonym {pseudonym} belongs to somebody of another kind in this project: rename it in the file.",
        code="pseudonym_taken",
    )


def _scoped(pseudonym: str, project: Project) -> str:
    """Within 64 characters and unlike any other project's."""
    tail = "@" + hashlib.sha256(project.slug.encode()).hexdigest()[:8]
    return pseudonym[: 64 - len(tail)] + tail


def _takes_part(user: User, project: Project) -> bool:
    return (
        user.memberships.filter(project=project).exists()
        or user.assignments.filter(task__batch__project=project).exists()
        or project.prompts.filter(author=user).exists()
        or project.demonstrations.filter(author=user).exists()
    )


class _Authors:
    """Authors of a file, looked up once each."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._known: dict[str, User] = {}

    def of(self, name: str | None) -> User | None:
        if name is None:
            return None
        if name not in self._known:
            self._known[name] = stand_in(self._project, name)
        return self._known[name]


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
    actor: User, batch: Batch, staged: Sequence[StagedTask], people: Mapping[tuple[str | None, str], User]
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
    responses = _add_responses(actor, batch, firsts, prompts)
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
                    annotator=people[judgment.annotator, judgment.annotator_kind],
                    tiers=[[keys[thing] for thing in tier] for tier in tiers_of_ranks(judgment.ranks)],
                    strengths=judgment.strengths,
                    idempotency_key=f"import-{batch.pk}-{number}-{part}-{place}",
                    order_shown=keys,
                    marks={key: mark for key, mark in zip(keys, judgment.marks or [], strict=False) if mark},
                    rationale=judgment.rationale,
                    flags=judgment.flags,
                    seconds=judgment.seconds,
                    created_at=_moment(judgment.created_at),
                )
            )
    adopt_judgments(actor=actor, batch=batch, rows=rows)


def _add_responses(
    actor: User, batch: Batch, firsts: Sequence[ImportedJudgment], prompts: Sequence[Prompt]
) -> list[list[Response]]:
    project = batch.project
    sources: dict[tuple[str, str], Source] = {}
    rows = []
    for first, prompt in zip(firsts, prompts, strict=True):
        group = next((flag for flag in first.flags if flag.startswith(GROUP_FLAG)), None)
        for place, words in enumerate(first.responses):
            kind, name = first.sources[place] if first.sources else (Source.Kind.IMPORT, batch.name)
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
