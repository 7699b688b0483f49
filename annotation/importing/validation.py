"""The first pass of an import: every row of the file read, checked and staged, nothing written to the
database.

What only the whole file or the database can tell is checked here too: ids that appear twice, ids with two
contents, pairs of a group that do not fit together. After this pass an insert has no reason left to fail.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from operator import itemgetter
from typing import Any

from django.db.models import Min

from annotation.content.near_duplicates import PromptGroups
from annotation.content.sides import known_sides, sides_of_prompts
from annotation.content.splits import hash_first_turn
from annotation.importing.checked_rows import CheckedRow
from annotation.importing.readers.base import Reader
from annotation.importing.readers.judgments import merge_group
from annotation.importing.readers.prompts import PromptFileReader
from annotation.importing.readers.row_extras import RowExtras
from annotation.importing.report import ImportReport
from annotation.importing.row_processes import Notes, checked_rows
from annotation.importing.rows import RowError, describe_line
from annotation.importing.sources import Source
from annotation.importing.staged_judgments import response_digest
from annotation.importing.staging import StagedPrompt, Staging
from annotation.models import Prompt, Response, hash_messages
from learning.interface.messages import Messages, stored_answer
from workspace.models import Project


def start_report(source: Source) -> ImportReport:
    report = ImportReport(file=source.name, files=[file.name for file in source.files])
    if source.publishes_splits:
        splits = ", ".join(sorted({file.split for file in source.files if file.split}))
        report.notes.append(
            f"Rows that name no split have that of their file's name ({splits}); --project-splits uses neither."
        )
    return report


def stage_comparisons(
    source: Source,
    reader: Reader,
    extras: RowExtras,
    staging: Staging,
    project: Project,
    notes: Sequence[Notes] = (),
) -> ImportReport:
    """`notes`: of the reader, where it has any."""
    report = start_report(source)
    n_skipped = 0
    for row in checked_rows(source, reader, extras, notes):
        report.rows += 1
        try:
            if row.problem is not None:
                raise RowError(*row.problem)
            with staging.row_savepoint() if _may_claim_in_vain(row) else nullcontext():
                _claim_id(row.row_id_column, row.row_id, row.line, staging, of=row.annotators)
                if row.later_problem is not None:
                    raise RowError(*row.later_problem)
                for item in row.items:
                    if item.split is not None:
                        _claim_side(*item.split, row.line, staging)
                    for kind, item_id, digest in item.contents:
                        claim_content(kind, item_id, digest, row.line, staging)
                    staging.add_row(item.values, is_pair=item.is_pair)
            n_skipped += not row.items
        except RowError as problem:
            report.add_bad(row.line, problem)
    for lines, pairs in staging.groups():
        try:
            for judgment in merge_group(pairs):
                staging.add_judgment(lines[0], judgment)
        except RowError as problem:
            for line in lines:
                report.add_bad(line, problem)
    if n_skipped:
        report.counts["rows without a judgment (not current, withdrawn, surplus or without ranks)"] = (
            n_skipped
        )
    check_against_database(project, staging, report)
    report.notes += extras.notes()
    return report


def _may_claim_in_vain(row: CheckedRow) -> bool:
    """Whether the row claims or adds something before the last of its checks, which may find it bad."""
    return row.row_id is not None or len(row.items) != 1 or bool(row.items[0].contents)


def stage_prompts(
    source: Source, reader: PromptFileReader, extras: RowExtras, staging: Staging, project: Project
) -> ImportReport:
    report = start_report(source)
    alike = 0
    for line, row in source.rows():
        report.rows += 1
        try:
            if isinstance(row, RowError):
                raise row
            with staging.row_savepoint():
                checked = reader.read(row, line)
                beside = extras.read(row)
                checked |= {name: value for name, value in beside.items() if value is not None}
                claim_split(checked["messages"], beside["split"], line, staging)
                if checked["prompt_id"] is not None:
                    if reader.ids_are_unique:
                        _claim_id(reader.row_id_column(row), reader.row_id(row), line, staging)
                    claim_content(
                        "prompt", checked["prompt_id"], hash_messages(checked["messages"]), line, staging
                    )
                if reader.ids_are_unique:
                    alike += _is_like_an_earlier(checked["messages"], line, staging)
                staging.add_prompt_row(line, checked)
        except RowError as problem:
            report.add_bad(line, problem)
    check_against_database(project, staging, report)
    if alike:
        subject = (
            "1 row has a prompt that differs" if alike == 1 else f"{alike} rows have a prompt that differs"
        )
        report.notes.append(f"{subject} from an earlier one only in case or spaces: each is kept.")
    report.notes += extras.notes()
    return report


def _is_like_an_earlier(messages: Messages, line: int, staging: Staging) -> bool:
    """Whether an earlier row has other letters that a reader would call the same prompt."""
    exact = hash_messages(messages)
    read_as = [turn | {"content": " ".join(turn["content"].casefold().split())} for turn in messages]
    key = hash_messages(read_as)
    if staging.claim_id(f"exact prompt {exact}", line) is not None:
        return False
    return staging.claim_id(f"prompt read as {key}", line) is not None


def _claim_id(
    column: str, row_id: str | None, line: int, staging: Staging, *, of: Sequence[str] = ()
) -> None:
    """`of`: who judged. Two people's judgments of the same row have its id both."""
    if row_id is None:
        return
    if (earlier := staging.claim_id(json.dumps([row_id, *of]) if of else row_id, line)) is not None:
        raise RowError(column, f"{row_id} is a duplicate of {describe_line(earlier, seen_from=line)}")


def claim_split(prompt: list[dict[str, Any]], split: str | None, line: int, staging: Staging) -> None:
    if split is not None:
        _claim_side(hash_first_turn(prompt), split, line, staging)


def _claim_side(key: str, split: str, line: int, staging: Staging) -> None:
    if (earlier := staging.claim_content("split", key, split, line)) is not None:
        other = staging.claimed_content("split", key)
        where = describe_line(earlier, seen_from=line)
        raise RowError(
            "split",
            f"is {split}, and a prompt that begins alike is on the side {other} on {where}: no prompt is on two "
            "sides (--project-splits takes the project's)",
        )


def claim_content(kind: str, row_id: str, digest: str, line: int, staging: Staging) -> None:
    earlier = staging.claim_content(kind, row_id, digest, line)
    if earlier is not None:
        raise RowError(
            f"{kind}_id", f"{row_id} had another content on {describe_line(earlier, seen_from=line)}"
        )


def check_against_database(project: Project, staging: Staging, report: ImportReport) -> None:
    """Rows whose ids belong to another content in the project already are bad, and so are rows whose prompts begin like
    one that is on another side. The others get the sides that their file names.
    """
    for chunk in staging.content_digests("split"):
        sides = known_sides(project, [key for key, _ in chunk])
        for key, split in chunk:
            if sides.get(key, split) != split:
                for line in staging.drop_rows_of_split(key):
                    report.add_bad(
                        line,
                        RowError(
                            "split",
                            f"is {split}, and the project has a prompt that begins alike on the side {sides[key]}: no "
                            "prompt is on two sides (--project-splits takes the project's)",
                        ),
                    )
    staging.fill_splits()
    if project.test_per_tag or project.near_duplicates_together:
        _decide_sides(project, staging)
    for chunk in staging.content_digests("prompt"):
        # In order by themselves: SQLite reads the whole project for a search that asks for an order.
        stored = Prompt.objects.filter(
            project=project, external_id__in=[row_id for row_id, _ in chunk]
        ).values_list("pk", "external_id", "content_hash")
        found = {row_id: {content} for _, row_id, content in sorted(stored)}
        _reject_conflicts("prompt", dict(chunk), found, staging, report)
    for chunk in staging.content_digests("response"):
        _reject_conflicts(
            "response", dict(chunk), _stored_response_digests(project, dict(chunk)), staging, report
        )


def _decide_sides(project: Project, staging: Staging) -> None:
    """Over the whole file, not chunk by chunk: how many are held out, and the side that a later row names for one that
    is almost the same.
    """
    rows: dict[str, StagedPrompt] = {}
    for chunk in staging.prompts():
        for row in chunk:
            if row.split is None or project.near_duplicates_together:
                rows.setdefault(row.first_turn_hash, row)
    groups = PromptGroups(project).groups_of(list(rows.values())) if project.near_duplicates_together else {}
    sides = sides_of_prompts(project, list(rows.values()), groups)
    for key, row in rows.items():
        if row.split is None:
            staging.claim_content("split", key, sides[key], 0)
    staging.fill_splits()


def _stored_response_digests(project: Project, staged: Mapping[str, str]) -> dict[str, set[str]]:
    """Response id -> the digests of its stored content: with the id of its prompt; without one too, if the prompt
    is the one that a row without an id gets.
    """
    stored = Response.objects.filter(project=project, external_id__in=staged).values_list(
        "pk", "external_id", "prompt_id", "prompt__external_id", "prompt__content_hash", "text", "turns"
    )
    rows = sorted(stored, key=itemgetter(0))  # the first conflict is the one that is named
    contents = {content for _, _, _, _, content, _, _ in rows}
    first_of = dict(
        Prompt.objects.filter(project=project, content_hash__in=contents)
        .values_list("content_hash")
        .annotate(first=Min("pk"))
    )
    found = {}
    for _, row_id, prompt, prompt_id, content, text, turns in rows:
        ids = [prompt_id] + [None] * (first_of[content] == prompt)
        response = stored_answer(text, turns)
        found[row_id] = {response_digest(one_id, content, response) for one_id in ids}
    return found


def _reject_conflicts(
    kind: str,
    staged: Mapping[str, str],
    stored: Mapping[str, set[str]],
    staging: Staging,
    report: ImportReport,
) -> None:
    for row_id, digests in stored.items():
        if staged[row_id] not in digests:
            for line in staging.drop_rows_with_id(kind, row_id):
                report.add_bad(
                    line, RowError(f"{kind}_id", f"{row_id} belongs to another content in this project")
                )
