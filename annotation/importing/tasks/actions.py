"""Answers from elsewhere as a batch of tasks to be judged. Nobody sees the batch before its last task is in; what
breaks off leaves nothing (`importing.chunks`).
"""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.utils.translation import gettext

from annotation.assigning.actions import set_batch_audience
from annotation.batches.actions import NewTask, add_tasks, create_batch, open_batch, publish_batch
from annotation.content.actions import (
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.importing.chunks import ChunkedImport, add_members, require_purpose
from annotation.importing.insertion import content_id
from annotation.importing.readers.judgments import MAX_RESPONSES
from annotation.importing.readers.registry import (
    DIALOGUE_READERS,
    TASK_READERS,
    dialogue_turn_reader,
    row_extras,
    task_reader,
)
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.rows import row_chunks
from annotation.importing.sources import Source as FileSource
from annotation.importing.sources import open_source
from annotation.importing.staging import Staging
from annotation.importing.tasks.staging import (
    StagedRow,
    find_known_rows,
    size_of,
    stage_dialogue_turns,
    stage_tasks,
)
from annotation.importing.unfinished import begin_import, clear_on_failure, describe_files, finish_import
from annotation.importing.watching import current_watch, end_check
from annotation.models import Batch, Import, Prompt, Response, Source
from annotation.text import clean_text
from learning.interface.messages import answer_columns, answer_key
from workspace.actions import record_audit
from workspace.criteria import find_criterion
from workspace.models import Project, User
from workspace.naming import unique_name

TASKS_PER_CHUNK = 500
PROMPT_COLUMNS = ("messages", "prompt_id", "kind", "tags", "split", "source_id", "metadata")
# What a row may have, by the kind of batch that is asked for.
MOST_RESPONSES: Mapping[str, int] = {
    Batch.Kind.RATING: 1,
    Batch.Kind.PAIRWISE: 2,
    Batch.Kind.RANKING: MAX_RESPONSES,
}
MAX_BATCH_NAME = 110  # leaves room for a number behind it


def import_tasks(
    *,
    actor: User,
    project: Project,
    path: Path | Sequence[Path] | FileSource,
    format: str = "records",
    mapping: Mapping[str, Sequence[str]] | None = None,
    criterion: str | None = None,
    batch_name: str | None = None,
    kind: str | None = None,
    overlap: int | None = None,
    priority: int = 0,
    open_at_once: bool = False,
    audience: Mapping[str, Any] | None = None,
    split_names: Mapping[str, str] | None = None,
    project_splits: bool = False,
    again: bool = False,
    skip_bad: bool = False,
) -> tuple[Batch, ImportReport]:
    """The file's prompts and answers as a batch in draft, or open. Whose answers they are nobody who judges learns.

    `kind`: rating (of rows with one answer; never of itself, it is another question), pairwise or ranking; None:
    pairwise where no row has more than two answers. Tasks that the project has already are left out, unless `again`.
    `audience`: who gets them, as set_batch_audience takes it. Raises ImportRefused (one sentence; `.report` has the bad
    rows), InvalidBatch, InvalidAssigning.
    """
    if kind not in (None, *MOST_RESPONSES):
        raise ImportRefused(
            gettext("“%(kind)s” is no kind of batch for answers: use rating, pairwise or ranking.")
            % {"kind": kind},
            code="bad_kind",
        )
    if batch_name is not None and len(clean_text(batch_name, "The batch's name")) > MAX_BATCH_NAME:
        raise ImportRefused(
            gettext("The batch's name has more than %(max_batch_name)s characters.")
            % {"max_batch_name": MAX_BATCH_NAME},
            code="bad_name",
        )
    judged_criterion = find_criterion(project, criterion)
    columns_of = {field: list(columns) for field, columns in (mapping or {}).items()}
    extras = row_extras(
        TASK_READERS, format, columns_of, split_names=split_names, project_splits=project_splits
    )
    reader = task_reader(format, extras.reader_columns)
    with clear_on_failure(actor, project), Staging() as staging:
        source = open_source(path)
        report = stage_tasks(
            source,
            reader,
            extras,
            staging,
            project,
            most_responses=MAX_RESPONSES if kind is None else MOST_RESPONSES[kind],
        )
        report.raise_if_bad_rows(skip_bad=skip_bad)
        rows, _ = size_of(staging)
        for name, lines in find_known_rows(project, judged_criterion, staging).items():
            note = f"{len(lines)} of {rows} tasks are in the batch “{name}” already"
            if again:
                report.notes.append(f"{note}, and come in again.")
                continue
            report.notes.append(f"{note} and are left out; --again brings them in.")
            for line in lines:
                staging.drop_prompt_row(line)
        tasks, most = size_of(staging)
        if tasks == 0:
            reasons = " ".join(report.notes) or ", ".join(
                f"{count} {what}" for what, count in report.counts.items()
            )
            raise report.refusal(f"{report.file} has no new task: {reasons}", code="no_rows")
        if kind == Batch.Kind.RATING:
            responses_per_task = 1
        else:
            ranking = kind == Batch.Kind.RANKING or most > 2
            responses_per_task = max(3, most) if ranking else 2
        end_check(report)
        files = describe_files(source.files)
        name = (batch_name or report.file)[:MAX_BATCH_NAME]
        chunked = ChunkedImport(
            lambda: begin_import(
                actor=actor, project=project, kind=Import.Kind.TASKS, format=format, files=files
            ),
            is_one_chunk=tasks <= TASKS_PER_CHUNK,
        )
        with chunked as stored:
            sources = _Sources(actor, project, report.file)
            batch: Batch | None = None
            current_watch().begin("storing tasks", tasks)
            for chunk in row_chunks(staging.prompt_rows(), TASKS_PER_CHUNK):
                with stored.chunk(len(chunk)) as imported:
                    if batch is None:
                        batch = create_batch(
                            actor=actor,
                            project=project,
                            criterion=judged_criterion,
                            name=f"{name[:90]} (unfinished {uuid.uuid4().hex[:12]})",
                            responses_per_task=responses_per_task,
                            overlap=overlap,
                            priority=priority,
                            visible=False,
                            from_import=imported,
                        )
                        if audience:
                            set_batch_audience(actor=actor, batch=batch, **audience)
                    _add_chunk(actor, batch, chunk, sources)
            assert batch is not None
            with stored.last() as imported:
                batch = publish_batch(actor=actor, batch=batch, name=unique_name(project.batches.all(), name))
                if open_at_once:
                    batch = open_batch(actor=actor, batch=batch)
                report.counts = {"tasks": tasks, "sources": len(sources)} | report.counts
                finish_import(imported, report)
                record_audit(
                    actor=actor, action="tasks.import", project=project, target=batch, file=report.file,
                    rows=report.rows, bad=report.bad, tasks=tasks, imported=imported.pk,
                )  # fmt: skip
    return batch, report


def import_dialogue_turns(
    *,
    actor: User,
    project: Project,
    path: Path | Sequence[Path] | FileSource,
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "dialogues",
    purpose: str = "reward",
    seed: int = 0,
    split_names: Mapping[str, str] | None = None,
    project_splits: bool = False,
    skip_bad: bool = False,
) -> ImportReport:
    """Of each dialogue one model-written turn, drawn by the seed: what comes before it becomes a prompt of the set, the
    turn one of its answers, to be ranked with alternatives (ChatGPT's rule; `sample_tasks` makes them).

    Dialogues whose prompt is there already, or comes again, are left out and counted. Raises ImportRefused.
    """
    columns_of = {field: list(columns) for field, columns in (mapping or {}).items()}
    extras = row_extras(
        DIALOGUE_READERS, "dialogues", columns_of, split_names=split_names, project_splits=project_splits
    )
    reader = dialogue_turn_reader(extras.reader_columns, seed=seed)
    with clear_on_failure(actor, project), Staging() as staging:
        source = open_source(path)
        report = stage_dialogue_turns(source, reader, extras, staging, project)
        report.raise_if_bad_rows(skip_bad=skip_bad)
        end_check(report)
        require_purpose(project, prompt_set, purpose)
        files = describe_files(source.files)
        chunked = ChunkedImport(
            lambda: begin_import(
                actor=actor, project=project, kind=Import.Kind.TASKS, format="dialogues", files=files
            ),
            is_one_chunk=report.good <= TASKS_PER_CHUNK,
        )
        with chunked as stored:
            in_set = Prompt.objects.filter(prompt_sets__project=project, prompt_sets__name=prompt_set)
            sources = _Sources(actor, project, report.file)
            new: dict[int, None] = {}
            current_watch().begin("storing rows", report.good)
            for rows in row_chunks(staging.prompt_rows(), TASKS_PER_CHUNK):
                hashes = [row["content_hash"] for row in rows]
                with stored.chunk(len(rows)) as imported:
                    known = set(in_set.filter(content_hash__in=hashes).values_list("content_hash", flat=True))
                    fresh = [row for row in rows if row["content_hash"] not in known]
                    answers = add_answers(actor, project, fresh, sources, from_import=imported)
                new.update((prompt.pk, None) for prompt, _ in answers)
            staged, _ = size_of(staging)
            if len(new) < staged:
                report.notes.append(
                    f"{staged - len(new)} of {staged} prompts are in the set “{prompt_set}” already."
                )
            if not new:
                raise report.refusal(
                    f"{report.file} has no new turn: {' '.join(report.notes)}", code="no_rows"
                )
            with stored.last() as imported:
                members = get_or_create_prompt_set(
                    actor=actor, project=project, name=prompt_set, purpose=purpose, from_import=imported
                )
                add_members(members, new, imported)
                report.counts = {"turns": len(new), "sources": len(sources)} | report.counts
                finish_import(imported, report)
                record_audit(
                    actor=actor, action="dialogues.import", project=project, target=members, file=report.file,
                    rows=report.rows, bad=report.bad, seed=seed, imported=imported.pk,
                )  # fmt: skip
    return report


class _Sources:
    """The sources of the file's answers; one named after the file for answers that name none."""

    def __init__(self, actor: User, project: Project, file: str) -> None:
        self._actor, self._project, self._file = actor, project, file[:120]
        self._known: dict[str, Source] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, name: str | None) -> Source:
        name = name or self._file
        if name not in self._known:
            self._known[name] = get_or_create_source(
                actor=self._actor, project=self._project, kind=Source.Kind.IMPORT, name=name
            )
        return self._known[name]


def _add_chunk(actor: User, batch: Batch, rows: Sequence[StagedRow], sources: _Sources) -> None:
    answers = add_answers(actor, batch.project, rows, sources, from_import=batch.from_import)
    tasks = [NewTask(prompt=prompt, responses=responses) for prompt, responses in answers]
    add_tasks(actor=actor, batch=batch, tasks=tasks)


def add_answers(
    actor: User,
    project: Project,
    rows: Sequence[StagedRow],
    sources: _Sources,
    *,
    from_import: Import | None = None,
) -> list[tuple[Prompt, list[Response]]]:
    """The prompt and the responses of each row, stored."""
    prompts = add_prompts(
        actor=actor,
        project=project,
        rows=[{name: row.get(name) for name in PROMPT_COLUMNS} for row in rows],
        from_import=from_import,
    )
    new: list[NewResponse] = []
    for row, prompt in zip(rows, prompts, strict=True):
        for answer, name in zip(row["answers"], row["sources"], strict=True):
            source = sources.get(name)
            text, turns = answer_columns(answer)
            new.append(
                NewResponse(
                    prompt=prompt,
                    source=source,
                    text=text,
                    turns=turns,
                    from_import=from_import,
                    response_id=content_id("t", prompt.external_id, source.name, answer_key(answer)),
                )
            )
    responses = iter(add_responses(actor=actor, project=project, rows=new))
    return [
        (prompt, [next(responses) for _ in row["answers"]]) for row, prompt in zip(rows, prompts, strict=True)
    ]
