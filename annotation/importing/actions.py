"""Imports as actions: validate all rows, then insert in chunks, then show. A path is a file or a folder, or several.

A refused import has written nothing. Comparisons go, some hundred tasks to a transaction, into a batch that nobody sees
before its last row is in, and that takes its name only then. An import that fails clears what it left; what one that
was killed left is cleared by the next (`unfinished`). Rows that the project has already are left out and said, unless
`again`. Prompts, demonstrations and texts: `contents.actions`; tasks: `tasks.actions`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from django.db import transaction
from django.utils.translation import gettext

from annotation.batches.actions import (
    close_batch,
    open_batch,
    publish_batch,
)
from annotation.importing.annotators import AnnotatorResolver
from annotation.importing.insertion import JudgmentInsertion
from annotation.importing.known_rows import match_known_rows, say_known_judgments
from annotation.importing.readers.fields import NamedStrengths, parse_named_strength
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.registry import (
    COMPARISON_READERS,
    comparison_reader,
    row_extras,
)
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.rows import RowError
from annotation.importing.sources import Source, open_source
from annotation.importing.staging import Staging
from annotation.importing.take_back import withdraw_rows
from annotation.importing.unfinished import (
    begin_import,
    clear_on_failure,
    clear_unfinished_imports,
    describe_files,
    finish_import,
)
from annotation.importing.validation import stage_comparisons
from annotation.importing.watching import current_watch, end_check
from annotation.models import Batch, Import, Task
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.criteria import find_criterion
from workspace.models import Project, User
from workspace.naming import unique_name

MAX_BATCH_NAME = 110  # leaves room for a number behind it


def import_comparisons(
    *,
    actor: User,
    project: Project,
    path: Path | Sequence[Path] | Source,
    format: str,
    mapping: Mapping[str, Sequence[str]] | None = None,
    named_strengths: Mapping[str, str] | None = None,
    margins: str | None = None,
    criterion: str | None = None,
    batch_name: str | None = None,
    skip_bad: bool = False,
    split_names: Mapping[str, str] | None = None,
    project_splits: bool = False,
    again: bool = False,
) -> tuple[Batch, ImportReport]:
    """The file's judgments as a closed batch of done tasks; those of tasks that an earlier import brought in become
    further judgments of these. Returns the batch with the first of them.

    `mapping`: field -> its columns; `named_strengths`: name -> "a:2", "b:1", "tie"; `margins`: the rule of
    `readers.margins`. The people of the annotator column become inactive users. Raises ImportRefused (one sentence;
    `.report` has the bad rows).
    """
    for label, strength in (named_strengths or {}).items():
        try:
            parse_named_strength(strength)
        except RowError as problem:
            raise ImportRefused(
                gettext("--strength %(label)s=%(strength)s: %(reason)s.")
                % {"label": label, "strength": strength, "reason": problem.reason},
                code="bad_strength",
            ) from problem
    try:
        margin_rule = Margins(margins)
    except RowError as problem:
        raise ImportRefused(
            gettext("--margins %(reason)s.") % {"reason": problem.reason}, code="bad_margins"
        ) from problem
    judged_criterion = find_criterion(project, criterion)
    if batch_name is not None:
        _check_batch_name(batch_name)
    names = NamedStrengths(named_strengths or {})
    extras = row_extras(
        COMPARISON_READERS, format, _lists(mapping), split_names=split_names, project_splits=project_splits
    )
    reader = comparison_reader(
        format,
        extras.reader_columns,
        criterion=judged_criterion.name,
        named_strengths=names,
        margins=margin_rule,
    )
    with clear_on_failure(actor, project), Staging() as staging:
        source = open_source(path)
        report = stage_comparisons(source, reader, extras, staging, project, (names, margin_rule))
        report.raise_if_bad_rows(skip_bad=skip_bad)
        report.notes += names.notes(format)
        if margin_rule.given and not margin_rule.read:
            report.notes.append(f"--margins {margins}: no row has a margin and no strength")
        if margin_rule.unread:
            report.notes.append(
                f"{margin_rule.unread} of {report.rows} rows have a margin and no strength: margins are not used, and "
                "these preferences have no strength; --margins small, large or A,B,C gives them one"
            )
        annotators = AnnotatorResolver(project, actor=actor)
        staging.set_pseudonyms({who: annotators.resolve_pseudonym(*who) for who in staging.annotators()})
        known = match_known_rows(staging, judged_criterion, report, again=again)
        judgments, tasks, max_responses = staging.group_into_tasks()
        say_known_judgments(report, known, judgments)
        end_check(report)
        files = describe_files(source.files)
        name = (batch_name or report.file)[:MAX_BATCH_NAME]
        insertion = JudgmentInsertion(
            actor=actor,
            criterion=judged_criterion,
            name=unique_name(project.batches.all(), name),
            max_responses=max_responses,
            annotators=annotators,
            begin=lambda: begin_import(
                actor=actor, project=project, kind=Import.Kind.COMPARISONS, format=format, files=files
            ),
        )
        current_watch().begin("storing tasks", tasks)
        insertion.insert(staging, tasks)
        imported = insertion.imported
        assert imported is not None
        with transaction.atomic():
            batch = insertion.batch
            if batch is not None:
                open_batch(actor=actor, batch=batch)
                close_batch(actor=actor, batch=batch)
                batch = publish_batch(actor=actor, batch=batch, name=unique_name(project.batches.all(), name))
            else:
                joined = Task.objects.filter(judgments__from_import=imported)
                batch = Batch.objects.filter(tasks__in=joined).order_by("pk").first()
                assert batch is not None
            report.counts = {
                "judgments": judgments,
                "tasks": tasks,
                "annotators": len(annotators),
            } | report.counts
            if insertion.n_joined:
                report.counts["tasks that were there already"] = insertion.n_joined
            finish_import(imported, report)
            record_audit(
                actor=actor, action="comparisons.import", project=project, target=batch, file=report.file,
                rows=report.rows, bad=report.bad, judgments=judgments, tasks=tasks, imported=imported.pk,
            )  # fmt: skip
    return batch, report


def clear_unfinished(*, actor: User, project: Project) -> list[str]:
    """Removes what imports left behind that were killed; a sentence for each."""
    return clear_unfinished_imports(actor=actor, project=project)


@transaction.atomic
def take_back_import(*, actor: User, imported: Import) -> Counter[str]:
    """Hides everything that the import brought in; how many of what. Raises ImportRefused once something used it."""
    imports = Import.objects.select_for_update(no_key=True, of=("self",)).select_related("project")
    imported = imports.get(pk=imported.pk)
    hidden = withdraw_rows(actor, imported)
    record_audit(actor=actor, action="import.take_back", project=imported.project, target=imported, **hidden)
    return hidden


def _lists(mapping: Mapping[str, Sequence[str]] | None) -> dict[str, list[str]]:
    return {field: list(columns) for field, columns in (mapping or {}).items()}


def _check_batch_name(name: str) -> None:
    if len(clean_text(name, "The batch's name")) > MAX_BATCH_NAME:
        raise ImportRefused(
            gettext("The batch's name has more than %(max_batch_name)s characters.")
            % {"max_batch_name": MAX_BATCH_NAME},
            code="bad_name",
        )
