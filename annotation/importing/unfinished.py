"""An import's own row, from its first chunk to its last, and what becomes of one that breaks off: nothing stays of it.

An import that fails clears what it left at once. One that was killed cannot: the next import of the project does, when
nobody is at work on it any more.
"""

import gc
import hashlib
import os
import socket
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db import DatabaseError, OperationalError, transaction
from django.db.models import Count, F, ProtectedError, Q, QuerySet

from annotation.batches.locks import lock_batches_of
from annotation.content.waiting_groups import waiting_for_groups
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.sources import SourceFile
from annotation.importing.watching import current_watch
from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    Demonstration,
    Import,
    Judgment,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Source,
    Task,
    Text,
)
from annotation.text import safe_excerpt
from runs.os_processes import process_identity
from workspace.actions import record_audit
from workspace.database import database_now
from workspace.models import Project, User
from workspace.planner_statistics import refresh_statistics

# So many rows change how a query is best answered.
LARGE_IMPORT = 5000
# An import on another machine is given up when it has inserted nothing for so long.
SILENCE = timedelta(minutes=10)
ROWS_PER_TRANSACTION = 500
# Imports that this process is at work on, and of these the ones of this thread's `clear_on_failure`.
_running_here: set[int] = set()
_thread = threading.local()


def describe_files(files: Sequence[SourceFile]) -> list[dict[str, Any]]:
    """Name, size and SHA-256 of what an import read."""
    described = []
    for file in files:
        row: dict[str, Any] = {"name": file.name, "bytes": None, "sha256": ""}
        if file.path.is_file():
            with file.path.open("rb") as content:
                row["sha256"] = hashlib.file_digest(content, "sha256").hexdigest()
            row["bytes"] = file.path.stat().st_size
        described.append(row)
    return described


def begin_import(
    *, actor: User, project: Project, kind: str, format: str, files: list[dict[str, Any]]
) -> Import:
    """Call it inside `clear_on_failure`, in the transaction of the first rows."""
    imported = Import.objects.create(
        project=project, kind=kind, format=format, files=files, actor=actor, process=_this_process(),
        run=current_watch().run,
    )  # fmt: skip
    _running_here.add(imported.pk)
    _thread.begun.append(imported.pk)
    return imported


def keep_alive(imported: Import) -> None:
    Import.objects.filter(pk=imported.pk).update(heartbeat_at=database_now())


def finish_import(imported: Import, report: ImportReport) -> None:
    """Call it in the transaction of the last rows: from then on they count."""
    report.write_bad_rows(imported.bad_rows_path)
    if imported.project.near_duplicates_together:
        in_a_group = imported.prompts.filter(group_hash__isnull=False).exclude(
            group_hash=F("first_turn_hash")
        )
        report.counts["new prompts that are almost the same as another"] = in_a_group.count()
        if waiting_for_groups(imported.project).exists():
            report.notes.append(
                "Prompts are still being grouped with their near-duplicates, by the worker: how many of these are "
                "almost the same as another is not known yet, and what is not compared has its own side."
            )
    Import.objects.filter(pk=imported.pk).update(
        state=Import.State.DONE,
        counts=report.counts,
        notes=report.notes + report.lines(),
        rows=report.rows,
        bad_rows=report.bad,
        process={},
    )
    report.import_id, report.project = imported.pk, imported.project.slug
    if report.rows >= LARGE_IMPORT:
        tables = list(apps.get_app_config("annotation").get_models())
        transaction.on_commit(lambda: refresh_statistics(tables, two_at_once=True))


@contextmanager
def clear_on_failure(actor: User, project: Project) -> Iterator[None]:
    """What fails inside leaves nothing behind; a full disk or a database that breaks off is one sentence.

    Raises ImportRefused for that, and everything else as it was.
    """
    begun: list[int] = []
    _thread.begun = begun
    try:
        with _rarely_collecting():
            yield
    except BaseException as error:
        # On a full disk there may be no room to clear either: then the next import does it.
        with suppress(DatabaseError, OSError):
            for imported in project.imports.unfinished().filter(pk__in=begun):
                _clear(actor, imported)
        if isinstance(error, OperationalError | sqlite3.OperationalError | OSError):
            reason = (
                str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
            )
            raise ImportRefused(
                f"The import broke off ({safe_excerpt(reason)}) and nothing of it counts: make room on the disk if it "
                "is full, and import again.",
                code="broke_off",
            ) from error
        raise
    finally:
        _running_here.difference_update(begun)


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """An import makes and drops objects by the hundred thousand, none of them in a cycle: looking for cycles as often
    as Python does takes a tenth of its time.
    """
    before = gc.get_threshold()
    gc.set_threshold(1_000_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def clear_unfinished_imports(*, actor: User, project: Project) -> list[str]:
    """Removes what killed imports left behind; a sentence for each."""
    return [
        _clear(actor, imported)
        for imported in project.imports.unfinished().order_by("pk")
        if not is_at_work(imported)
    ]


def is_at_work(imported: Import) -> bool:
    """Whether somebody still brings this import in."""
    process = imported.process
    if not process:
        return False
    if process.get("host") != socket.gethostname():
        return bool(database_now() - imported.heartbeat_at < SILENCE)
    if process_identity(process["pid"]) != process["identity"]:
        return False
    return process["pid"] != os.getpid() or imported.pk in _running_here


def _this_process() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "identity": process_identity(os.getpid())}


def _clear(actor: User, imported: Import) -> str:
    """Deletes the import's rows, some hundred at a time, and then the import itself."""
    judgments = Judgment.objects.filter(from_import=imported)
    annotators = set(judgments.values_list("annotator_id", flat=True).distinct())
    for written in (Prompt._base_manager, Demonstration._base_manager):
        authors = written.filter(from_import=imported, author__isnull=False)
        annotators |= set(authors.values_list("author_id", flat=True).distinct())
    n_judgments = 0
    while n := _delete_judgments(imported):
        n_judgments += n
    for rows in (
        Task.objects.filter(batch__from_import=imported),
        Batch.objects.filter(from_import=imported),
        Demonstration._base_manager.filter(from_import=imported),
        Text._base_manager.filter(from_import=imported),
        PromptSetMember.objects.filter(from_import=imported),
        Response._base_manager.filter(
            from_import=imported, task_responses__isnull=True, writing_items__isnull=True
        ),
        Prompt._base_manager.filter(
            from_import=imported, tasks__isnull=True, responses__isnull=True,
            demonstrations__isnull=True, memberships__isnull=True, writing_items__isnull=True,
        ),
    ):  # fmt: skip
        while _delete_some(imported.project, rows):
            pass
    with transaction.atomic():
        # Another import may have come to use these meanwhile.
        for model in (Response, Prompt):
            model._base_manager.filter(from_import=imported).update(from_import=None)
        for prompt_set in PromptSet.objects.filter(from_import=imported):
            delete_if_unused(prompt_set)
        Source.objects.filter(
            project=imported.project, kind=Source.Kind.IMPORT, responses__isnull=True
        ).delete()
        _delete_unused_annotators(annotators)
        sentence = (
            f"Cleared {imported} of {imported.created_at:%Y-%m-%d %H:%M} UTC, which broke off: "
            f"{n_judgments} judgments and what came with them."
        )
        record_audit(
            actor=actor, action="import.clear", project=imported.project, target=imported, files=imported.files,
            judgments=n_judgments,
        )  # fmt: skip
        imported.bad_rows_path.unlink(missing_ok=True)
        imported.delete()
    return sentence


@transaction.atomic
def _delete_judgments(imported: Import) -> int:
    judgments = list(Judgment.objects.filter(from_import=imported).order_by("pk")[:ROWS_PER_TRANSACTION])
    keys = [judgment.pk for judgment in judgments]
    release_slots(Judgment.objects.filter(pk__in=keys))
    CurrentJudgment.objects.filter(judgment__in=keys).delete()
    Judgment.objects.filter(pk__in=keys).delete()
    assignments = Assignment.objects.filter(pk__in={judgment.assignment_id for judgment in judgments})
    # A lease that was there before the import, and what its person asked, are theirs.
    of_people = Q(created_at__lt=imported.created_at) | Q(questions__isnull=False)
    kept = list(assignments.filter(of_people).values_list("pk", flat=True).distinct())
    assignments.filter(pk__in=kept).update(state=Assignment.State.TAKEN_BACK, submitted_at=None)
    assignments.exclude(pk__in=kept).delete()
    return len(judgments)


def release_slots(judgments: QuerySet[Judgment]) -> None:
    """Takes judgments out of the counters of their tasks, which ask for as many fewer, but for at least one."""
    counted = judgments.filter(current_pointer__isnull=False, surplus=False, withdrawn=False)
    number_of = dict(counted.values_list("task").annotate(n=Count("pk")).order_by())
    room: dict[int, int] = {}
    lock_batches_of(number_of)
    for task in Task.objects.select_for_update(no_key=True).filter(pk__in=number_of).order_by("pk"):
        if not task.uses_slots:
            continue
        number = number_of[task.pk]
        kept = max(1, task.required_judgments - number)
        room[task.batch_id] = room.get(task.batch_id, 0) + task.required_judgments - kept
        task.open_slots += number - (task.required_judgments - kept)
        task.required_judgments, task.counted_judgments = kept, task.counted_judgments - number
        task.save(update_fields=["open_slots", "required_judgments", "counted_judgments"])
    for batch_id, number in room.items():
        Batch.objects.filter(pk=batch_id, quota__gt=number).update(quota=F("quota") - number)


@transaction.atomic
def _delete_some(project: Project, rows: QuerySet[Any]) -> int:
    # Whoever adds content holds the project: what another import comes to use is found, or is gone before it looks.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    keys = list(rows.order_by("pk").values_list("pk", flat=True)[:ROWS_PER_TRANSACTION])
    if keys:
        rows.model._base_manager.filter(pk__in=keys).delete()
    return len(keys)


def delete_if_unused(row: PromptSet | User) -> None:
    """A prompt set with members stays, and so does whatever another table names."""
    if isinstance(row, PromptSet) and row.members.exists():
        return
    with suppress(ProtectedError), transaction.atomic():
        row.delete()


def _delete_unused_annotators(keys: Collection[int]) -> None:
    imported = User.objects.filter(pk__in=keys, is_active=False, username__startswith="imported-")
    for user in imported.filter(assignments__isnull=True, memberships__isnull=True):
        delete_if_unused(user)
