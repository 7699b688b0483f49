"""Imports of prompts, demonstrations and plain texts: checked whole, stored in chunks, and there to be read once the
last row is in (`importing.chunks`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from annotation.content.actions import (
    NewDemonstration,
    NewText,
    add_demonstrations,
    add_prompts,
    add_texts,
    get_or_create_prompt_set,
)
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.chunks import ChunkedImport, add_members, require_purpose
from annotation.importing.insertion import content_id
from annotation.importing.known_rows import say_known_rows
from annotation.importing.lengths import LengthLimits
from annotation.importing.readers.registry import (
    DEMONSTRATION_READERS,
    PROMPT_READERS,
    TEXT_READERS,
    demonstration_reader,
    prompt_reader,
    row_extras,
    text_reader,
)
from annotation.importing.report import ImportReport
from annotation.importing.rows import row_chunks
from annotation.importing.sources import Source, open_source
from annotation.importing.staging import Staging
from annotation.importing.texts import TxtRows, stage_texts
from annotation.importing.unfinished import begin_import, clear_on_failure, describe_files, finish_import
from annotation.importing.validation import stage_prompts
from annotation.importing.watching import current_watch, end_check
from annotation.models import Demonstration, Import
from learning.interface.messages import answer_columns, answer_key, answer_text
from workspace.actions import record_audit
from workspace.models import Project, User

ROWS_PER_CHUNK = 1000


def import_prompts(
    *,
    actor: User,
    project: Project,
    path: Path | Sequence[Path] | Source,
    format: str = "records",
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "prompts",
    purpose: str = "policy",
    skip_bad: bool = False,
    split_names: Mapping[str, str] | None = None,
    project_splits: bool = False,
    again: bool = False,
) -> ImportReport:
    """The file's prompts, in a prompt set. Prompts that are there already stay as they are, split included.

    A row's own split wins over the project's rule, unless `project_splits`; `split_names`: what else splits are called
    -> train, validation or test.
    """
    extras = row_extras(
        PROMPT_READERS, format, _lists(mapping), split_names=split_names, project_splits=project_splits
    )
    reader = prompt_reader(format, extras.reader_columns)
    with clear_on_failure(actor, project), Staging() as staging:
        source = open_source(path)
        report = stage_prompts(source, reader, extras, staging, project)
        report.raise_if_bad_rows(skip_bad=skip_bad)
        end_check(report)
        files = describe_files(source.files)
        require_purpose(project, prompt_set, purpose)
        chunked = ChunkedImport(
            lambda: begin_import(
                actor=actor, project=project, kind=Import.Kind.PROMPTS, format=format, files=files
            ),
            is_one_chunk=report.good <= ROWS_PER_CHUNK,
        )
        with chunked as stored:
            annotators = AnnotatorResolver(project, actor=actor)
            seen: dict[int, None] = {}
            current_watch().begin("storing rows", report.good)
            for rows in row_chunks(staging.prompt_rows(), ROWS_PER_CHUNK):
                with stored.chunk(len(rows)) as imported:
                    for row in rows:
                        row["author"] = _author(annotators, row["author"])
                    prompts = add_prompts(actor=actor, project=project, rows=rows, from_import=imported)
                seen.update((prompt.pk, None) for prompt in prompts)
            with stored.last() as imported:
                members = get_or_create_prompt_set(
                    actor=actor, project=project, name=prompt_set, purpose=purpose, from_import=imported
                )
                add_members(members, seen, imported)
                report.counts["new prompts"] = imported.prompts.count()
                say_known_rows(
                    report,
                    "prompt",
                    members,
                    distinct=len(seen),
                    new=imported.memberships.count(),
                    again=again,
                )
                finish_import(imported, report)
                record_audit(
                    actor=actor, action="prompts.import", project=project, target=members, file=report.file,
                    rows=report.rows, bad=report.bad, imported=imported.pk,
                )  # fmt: skip
    return report


def import_demonstrations(
    *,
    actor: User,
    project: Project,
    path: Path | Sequence[Path] | Source,
    format: str = "records",
    mapping: Mapping[str, Sequence[str]] | None = None,
    prompt_set: str = "demonstrations",
    skip_bad: bool = False,
    split_names: Mapping[str, str] | None = None,
    project_splits: bool = False,
    again: bool = False,
    lengths: LengthLimits | None = None,
) -> ImportReport:
    """The file's demonstrations; their prompts go in a prompt set of purpose sft. The same text again changes
    nothing. Responses outside `lengths` are left out and counted.
    """
    extras = row_extras(
        DEMONSTRATION_READERS, format, _lists(mapping), split_names=split_names, project_splits=project_splits
    )
    reader = demonstration_reader(format, extras.reader_columns)
    with clear_on_failure(actor, project), Staging() as staging:
        source = open_source(path)
        report = stage_prompts(source, reader, extras, staging, project)
        report.raise_if_bad_rows(skip_bad=skip_bad)
        if lengths is not None:
            lengths.leave_out(staging, report)
        end_check(report)
        files = describe_files(source.files)
        require_purpose(project, prompt_set, "sft")
        chunked = ChunkedImport(
            lambda: begin_import(
                actor=actor, project=project, kind=Import.Kind.DEMONSTRATIONS, format=format, files=files
            ),
            is_one_chunk=report.good <= ROWS_PER_CHUNK,
        )
        with chunked as stored:
            annotators = AnnotatorResolver(project, actor=actor)
            prompt_keys: dict[int, None] = {}
            seen: set[int] = set()
            current_watch().begin("storing rows", report.good)
            for rows in row_chunks(staging.prompt_rows(), ROWS_PER_CHUNK):
                with stored.chunk(len(rows)) as imported:
                    # With --again the demonstrations are new ones: their ids are of this import.
                    of_import = [str(imported.pk)] if again else []
                    prompt_rows = [
                        {name: row.get(name) for name in ("messages", "prompt_id", "split")} for row in rows
                    ]
                    prompts = add_prompts(
                        actor=actor, project=project, rows=prompt_rows, from_import=imported
                    )
                    new = [
                        NewDemonstration(
                            prompt=prompt,
                            text=answer_text(row["response"]),
                            turns=answer_columns(row["response"])[1],
                            author=_author(annotators, row["author"]),
                            demonstration_id=content_id(
                                "d", prompt.external_id, answer_key(row["response"]), *of_import
                            ),
                            from_import=imported,
                            source_id=row.get("source_id"),
                            metadata=row.get("metadata"),
                        )
                        for row, prompt in zip(rows, prompts, strict=True)
                    ]
                    added = add_demonstrations(actor=actor, project=project, rows=new)
                prompt_keys.update((prompt.pk, None) for prompt in prompts)
                seen.update(row.pk for row in added)
            with stored.last() as imported:
                members = get_or_create_prompt_set(
                    actor=actor, project=project, name=prompt_set, purpose="sft", from_import=imported
                )
                add_members(members, prompt_keys, imported)
                n_new = Demonstration._base_manager.filter(from_import=imported).count()
                report.counts["new demonstrations"] = n_new
                say_known_rows(report, "demonstration", members, distinct=len(seen), new=n_new, again=again)
                finish_import(imported, report)
                record_audit(
                    actor=actor, action="demonstrations.import", project=project, target=members, file=report.file,
                    rows=report.rows, bad=report.bad, imported=imported.pk,
                )  # fmt: skip
    return report


def import_texts(
    *,
    actor: User,
    project: Project,
    path: Path | Sequence[Path] | Source,
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
    extras = row_extras(TEXT_READERS, format, _lists(mapping))
    reader = text_reader(format, extras.reader_columns)
    with clear_on_failure(actor, project), Staging() as staging:
        source = open_source(path, other_suffixes=(".txt",))
        report = stage_texts(source, reader, extras, staging, project, txt_rows=txt_rows)
        report.raise_if_bad_rows(skip_bad=skip_bad)
        staged = new = 0
        end_check(report)
        files = describe_files(source.files)
        chunked = ChunkedImport(
            lambda: begin_import(
                actor=actor, project=project, kind=Import.Kind.TEXTS, format=format, files=files
            ),
            is_one_chunk=report.good <= ROWS_PER_CHUNK,
        )
        with chunked as stored:
            current_watch().begin("storing rows", report.good)
            for rows in row_chunks(staging.prompt_rows(), ROWS_PER_CHUNK):
                staged += len(rows)
                with stored.chunk(len(rows)) as imported:
                    new += add_texts(
                        actor=actor,
                        project=project,
                        rows=[
                            NewText(
                                text=row["text"],
                                text_id=row["text_id"],
                                licence=row["licence"] or licence,
                                split=row["split"] or split,
                                from_import=imported,
                                source_id=row.get("source_id"),
                                metadata=row.get("metadata"),
                            )
                            for row in rows
                        ],
                    )
            with stored.last() as imported:
                known = {"already in the project": staged - new} if staged - new else {}
                report.counts = {"new texts": new} | known | report.counts
                finish_import(imported, report)
                record_audit(
                    actor=actor, action="texts.import", project=project, file=report.file, rows=report.rows,
                    bad=report.bad, new=new, imported=imported.pk,
                )  # fmt: skip
    return report


def _lists(mapping: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    return {field: list(columns) for field, columns in (mapping or {}).items()}


def _author(annotators: AnnotatorResolver, name: str | None) -> User | None:
    return None if name is None else annotators.get_or_create_user(name)
