"""Imports as actions: validate the whole file, then insert in chunks, then show.

A refused import has written nothing. Comparisons go, some hundred tasks to a transaction, into a batch that
nobody sees before its last row is in, and that takes its name only then. The batch is made in the transaction
of its first tasks: what fails there leaves nothing. An import that breaks later, or is killed, leaves an
invisible batch behind, which counts nowhere: judgments can only be added, never taken out. Prompts and
demonstrations have no batch to hide in and go in one transaction.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from django.db import transaction

from annotation.batches.actions import (
    close_batch,
    open_batch,
    publish_batch,
)
from annotation.content.actions import (
    NewDemonstration,
    NewText,
    add_demonstrations,
    add_prompts,
    add_texts,
    get_or_create_prompt_set,
)
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.insertion import content_id, insert_tasks
from annotation.importing.readers.fields import NamedStrengths, parse_named_strength
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.registry import (
    comparison_reader,
    demonstration_reader,
    prompt_reader,
    text_reader,
)
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.rows import RowError
from annotation.importing.staging import Staging, row_chunks
from annotation.importing.texts import TxtRows, stage_texts
from annotation.importing.validation import stage_comparisons, stage_prompts
from annotation.models import Batch, Prompt
from annotation.text import clean_text
from learning.interface.messages import answer_columns, answer_key, answer_text
from workspace.actions import record_audit
from workspace.criteria import find_criterion
from workspace.models import Project, User
from workspace.naming import unique_name

ROWS_PER_CHUNK = 1000
MAX_BATCH_NAME = 110  # leaves room for a number behind it


def import_comparisons(
    *,
    actor: User,
    project: Project,
    path: Path,
    format: str,
    mapping: Mapping[str, Sequence[str]] | None = None,
    named_strengths: Mapping[str, str] | None = None,
    margins: str | None = None,
    criterion: str | None = None,
    batch_name: str | None = None,
    skip_bad: bool = False,
) -> tuple[Batch, ImportReport]:
    """The file's judgments as a closed batch of done tasks.

    `mapping`: field -> its columns; `named_strengths`: name -> "a:2", "b:1", "tie"; `margins`: the rule of
    `readers.margins`. The people of the annotator column become inactive users. Raises ImportRefused (one sentence;
    `.report` has the bad rows).
    """
    for label, strength in (named_strengths or {}).items():
        try:
            parse_named_strength(strength)
        except RowError as problem:
            raise ImportRefused(
                f"--strength {label}={strength}: {problem.reason}.", code="bad_strength"
            ) from problem
    try:
        margin_rule = Margins(margins)
    except RowError as problem:
        raise ImportRefused(f"--margins {problem.reason}.", code="bad_margins") from problem
    judged_criterion = find_criterion(project, criterion)
    if batch_name is not None:
        _check_batch_name(batch_name)
    names = NamedStrengths(named_strengths or {})
    reader = comparison_reader(
        format, _lists(mapping), criterion=judged_criterion.name, named_strengths=names, margins=margin_rule
    )
    with Staging() as staging:
        report = stage_comparisons(path, reader, staging, project)
        _raise_if_bad_rows(report, skip_bad)
        report.notes += [
            f"--strength {name}=...: no row has the preference “{name}”" for name in names.unused
        ]
        if margin_rule.unread:
            report.notes.append(
                f"{margin_rule.unread} of {report.rows} rows have a margin and no strength: margins are not used, and "
                "these preferences have no strength; --margins small, large or A,B,C gives them one"
            )
        annotators = AnnotatorResolver(project, actor=actor)
        staging.set_pseudonyms({who: annotators.resolve_pseudonym(*who) for who in staging.annotators()})
        judgments, tasks, max_responses = staging.group_into_tasks()
        if judgments == 0:
            raise ImportRefused(
                f"{report.file} has no judgment that counts: nothing to import.", code="no_rows"
            )
        name = (batch_name or report.file)[:MAX_BATCH_NAME]
        batch = insert_tasks(
            actor,
            judged_criterion,
            unique_name(project.batches.all(), name),
            max_responses,
            staging.tasks(),
            annotators,
        )
    with transaction.atomic():
        open_batch(actor=actor, batch=batch)
        close_batch(actor=actor, batch=batch)
        batch = publish_batch(actor=actor, batch=batch, name=unique_name(project.batches.all(), name))
        report.counts = {
            "judgments": judgments,
            "tasks": tasks,
            "annotators": len(annotators),
        } | report.counts
        record_audit(
            actor=actor,
            action="comparisons.import",
            project=project,
            target=batch,
            file=report.file,
            rows=report.rows,
            bad=report.bad,
            judgments=judgments,
            tasks=tasks,
        )
    return batch, report


def import_prompts(
    *,
    actor: User,
    project: Project,
    path: Path,
    format: str = "records",
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "prompts",
    purpose: str = "policy",
    skip_bad: bool = False,
) -> ImportReport:
    """The file's prompts, in a prompt set. Prompts that are there already stay as they are, split included."""
    reader = prompt_reader(format, _lists(mapping))
    with Staging() as staging:
        report = stage_prompts(path, reader, staging, project)
        _raise_if_bad_rows(report, skip_bad)
        before = Prompt.objects.filter(project=project).count()
        with transaction.atomic():
            members = get_or_create_prompt_set(actor=actor, project=project, name=prompt_set, purpose=purpose)
            annotators = AnnotatorResolver(project, actor=actor)
            for rows in row_chunks(staging.prompt_rows(), ROWS_PER_CHUNK):
                for row in rows:
                    row["author"] = _author(annotators, row["author"])
                add_prompts(actor=actor, project=project, rows=rows, prompt_set=members)
            report.counts["new prompts"] = Prompt.objects.filter(project=project).count() - before
            record_audit(
                actor=actor, action="prompts.import", project=project, target=members, file=report.file,
                rows=report.rows, bad=report.bad,
            )  # fmt: skip
    return report


def import_demonstrations(
    *,
    actor: User,
    project: Project,
    path: Path,
    format: str = "records",
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "demonstrations",
    skip_bad: bool = False,
) -> ImportReport:
    """The file's demonstrations; their prompts go in a prompt set of purpose sft. The same text again changes
    nothing.
    """
    reader = demonstration_reader(format, _lists(mapping))
    with Staging() as staging:
        report = stage_prompts(path, reader, staging, project)
        _raise_if_bad_rows(report, skip_bad)
        before = project.demonstrations.count()
        with transaction.atomic():
            members = get_or_create_prompt_set(actor=actor, project=project, name=prompt_set, purpose="sft")
            annotators = AnnotatorResolver(project, actor=actor)
            for rows in row_chunks(staging.prompt_rows(), ROWS_PER_CHUNK):
                prompt_rows = [{"messages": row["messages"], "prompt_id": row["prompt_id"]} for row in rows]
                prompts = add_prompts(actor=actor, project=project, rows=prompt_rows, prompt_set=members)
                new = [
                    NewDemonstration(
                        prompt=prompt,
                        text=answer_text(row["response"]),
                        turns=answer_columns(row["response"])[1],
                        author=_author(annotators, row["author"]),
                        demonstration_id=content_id("d", prompt.external_id, answer_key(row["response"])),
                    )
                    for row, prompt in zip(rows, prompts, strict=True)
                ]
                add_demonstrations(actor=actor, project=project, rows=new)
            report.counts["new demonstrations"] = project.demonstrations.count() - before
            record_audit(
                actor=actor, action="demonstrations.import", project=project, target=members, file=report.file,
                rows=report.rows, bad=report.bad,
            )  # fmt: skip
    return report


def import_texts(
    *,
    actor: User,
    project: Project,
    path: Path,
    format: str = "records",
    mapping: Mapping[str, Sequence[str]] | None = None,
    licence: str = "",
    split: str | None = None,
    txt_rows: TxtRows = "document",
    skip_bad: bool = False,
) -> ImportReport:
    """The file's plain texts. `licence` and `split` are for rows that have none; a row without a split gets one by the
    project's rule. A text that is there already, or that the file has twice, is left out and counted.
    """
    reader = text_reader(format, _lists(mapping))
    with Staging() as staging:
        report = stage_texts(path, reader, staging, project, txt_rows=txt_rows)
        _raise_if_bad_rows(report, skip_bad)
        staged = new = 0
        with transaction.atomic():
            for rows in row_chunks(staging.prompt_rows(), ROWS_PER_CHUNK):
                staged += len(rows)
                new += add_texts(
                    actor=actor,
                    project=project,
                    rows=[
                        NewText(
                            text=row["text"],
                            text_id=row["text_id"],
                            licence=row["licence"] or licence,
                            split=row["split"] or split,
                        )
                        for row in rows
                    ],
                )
            record_audit(
                actor=actor, action="texts.import", project=project, file=report.file, rows=report.rows,
                bad=report.bad, new=new,
            )  # fmt: skip
    known = {"already in the project": staged - new} if staged - new else {}
    report.counts = {"new texts": new} | known | report.counts
    return report


def _lists(mapping: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    return {field: list(columns) for field, columns in (mapping or {}).items()}


def _raise_if_bad_rows(report: ImportReport, skip_bad: bool) -> None:
    try:
        report.raise_if_bad_rows(skip_bad=skip_bad)
    except ImportRefused as refused:
        refused.report = report
        raise


def _check_batch_name(name: str) -> None:
    if len(clean_text(name, "The batch's name")) > MAX_BATCH_NAME:
        raise ImportRefused(f"The batch's name has more than {MAX_BATCH_NAME} characters.", code="bad_name")


def _author(annotators: AnnotatorResolver, name: str | None) -> User | None:
    return None if name is None else annotators.get_or_create_user(name)
