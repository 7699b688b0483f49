"""The first pass of an import of tasks: every row read and checked, equal ones found, nothing written."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from django.db.models import Prefetch

from annotation.importing.digests import answer_digest, question_digest
from annotation.importing.readers.dialogues import DialogueTurnReader
from annotation.importing.readers.row_extras import RowExtras
from annotation.importing.readers.tasks import TaskReader
from annotation.importing.report import ImportReport
from annotation.importing.rows import RowError, row_chunks
from annotation.importing.sources import Source
from annotation.importing.staging import Staging
from annotation.importing.validation import check_against_database, claim_content, claim_split, start_report
from annotation.models import Batch, Task, TaskResponse, hash_messages
from learning.interface.messages import Answer, answer_key
from workspace.models import Criterion, Project

ROWS_PER_LOOK_UP = 200

StagedRow = dict[str, Any]


def stage_tasks(
    source: Source,
    reader: TaskReader,
    extras: RowExtras,
    staging: Staging,
    project: Project,
    *,
    most_responses: int,
) -> ImportReport:
    """A row with equal answers becomes smaller, and is left out when that leaves one, unless `most_responses` is 1; so
    is a row that equals an earlier one. Both are counted, and so are prompts that come again with other answers.
    """
    report = start_report(source)
    counts = dict.fromkeys(
        (
            "answers equal to another of their row, taken once",
            "rows with fewer than two different answers, left out",
            "rows equal to an earlier row, left out",
            "rows that ask what an earlier row asks, with other answers",
        ),
        0,
    )
    equal, single, repeated, asked_again = counts
    for line, row in source.rows():
        report.rows += 1
        try:
            if isinstance(row, RowError):
                raise row
            with staging.row_savepoint():
                read = reader.read(row, line)
                kept = _different(read["answers"])
                counts[equal] += len(read["answers"]) - len(kept)
                for column in ("answers", "sources"):
                    read[column] = [read[column][place] for place in kept]
                if len(kept) > most_responses:
                    raise RowError(
                        "responses",
                        f"has {len(kept)} answers, and pairs are asked for (--kind pairwise)"
                        if most_responses > 1
                        else f"has {len(kept)} answers, and ratings are of one (--kind rating): give each a row",
                    )
                if len(kept) < min(most_responses, 2):
                    counts[single] += 1
                    continue
                digest = hash_messages(read["messages"])
                if read["prompt_id"] is not None:
                    claim_content("prompt", read["prompt_id"], digest, line, staging)
                if staging.claim_id(f"task {task_digest(digest, read['answers']).hex()}", line) is not None:
                    counts[repeated] += 1
                    continue
                counts[asked_again] += staging.claim_id(f"prompt {digest}", line) is not None
                beside = {name: value for name, value in extras.read(row).items() if name != "tags"}
                claim_split(read["messages"], beside["split"], line, staging)
                staging.add_prompt_row(line, read | beside | {"line": line, "content_hash": digest})
        except RowError as problem:
            report.add_bad(line, problem)
    check_against_database(project, staging, report)
    report.notes += extras.notes()
    report.counts = {what: count for what, count in counts.items() if count}
    return report


def stage_dialogue_turns(
    source: Source, reader: DialogueTurnReader, extras: RowExtras, staging: Staging, project: Project
) -> ImportReport:
    """One row for each dialogue; a prompt that an earlier dialogue gave is taken once."""
    report = start_report(source)
    repeated = 0
    for line, row in source.rows():
        report.rows += 1
        try:
            if isinstance(row, RowError):
                raise row
            with staging.row_savepoint():
                read = reader.read(row, line)
                digest = hash_messages(read["messages"])
                if read["prompt_id"] is not None:
                    claim_content("prompt", read["prompt_id"], digest, line, staging)
                if staging.claim_id(f"prompt {digest}", line) is not None:
                    repeated += 1
                    continue
                beside = extras.read(row)
                claim_split(read["messages"], beside["split"], line, staging)
                staging.add_prompt_row(line, read | beside | {"line": line, "content_hash": digest})
        except RowError as problem:
            report.add_bad(line, problem)
    check_against_database(project, staging, report)
    report.notes += extras.notes()
    if repeated:
        report.counts["dialogues with the prompt of an earlier one, left out"] = repeated
    return report


def _different(answers: Sequence[Answer]) -> list[int]:
    """Places of the answers that no earlier one equals."""
    first: dict[str, int] = {}
    for place, answer in enumerate(answers):
        first.setdefault(answer_key(answer), place)
    return sorted(first.values())


def task_digest(prompt_hash: str, answers: Sequence[Answer]) -> bytes:
    """The same for the same question: one prompt, the same answers in any order, whoever wrote them."""
    return question_digest(prompt_hash, map(answer_digest, answers))


def find_known_rows(project: Project, criterion: Criterion, staging: Staging) -> dict[str, list[int]]:
    """Name of a batch of this criterion -> lines of the staged rows that it asks already."""
    known: dict[str, list[int]] = {}
    for rows in row_chunks(staging.prompt_rows(), ROWS_PER_LOOK_UP):
        lines = {task_digest(row["content_hash"], row["answers"]): row["line"] for row in rows}
        tasks = (
            Task.objects.filter(
                batch__in=Batch.objects.filter(project=project, visible=True, criterion=criterion),
                prompt__project=project,  # named, or no index serves
                prompt__content_hash__in={row["content_hash"] for row in rows},
            )
            .select_related("prompt", "batch")
            .prefetch_related(Prefetch("task_responses", TaskResponse.objects.select_related("response")))
        )
        # In order by themselves: SQLite reads the whole project for a search that asks for an order.
        for task in sorted(tasks, key=attrgetter("pk")):
            answers = [shown.response.answer for shown in task.task_responses.all()]
            line = lines.pop(task_digest(task.prompt.content_hash, answers), None)
            if line is not None:
                known.setdefault(task.batch.name, []).append(line)
    return known


def size_of(staging: Staging) -> tuple[int, int]:
    """(staged rows, answers of the largest)."""
    sizes = [len(row["answers"]) for row in staging.prompt_rows()]
    return len(sizes), max(sizes, default=0)
