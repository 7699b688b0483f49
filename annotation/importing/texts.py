"""The first pass of an import of plain texts: rows of any file that imports read, or the documents of a .txt file.

Nothing is written to the database. The same text again, in the file or in the project, is left out and counted.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from annotation.content.actions import hash_text
from annotation.importing.file_forms import BYTE_ORDER_MARK, GZIP_MARK, open_unpacked, unreadable
from annotation.importing.readers.row_extras import RowExtras
from annotation.importing.readers.texts import TextReader
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.rows import NumberedRow, RowError, describe_line, row_chunks
from annotation.importing.source_files import read_rows
from annotation.importing.sources import Source
from annotation.importing.staging import Staging
from annotation.importing.validation import start_report
from annotation.models import Text
from annotation.text import safe_excerpt
from workspace.models import Project

TxtRows = Literal["document", "paragraph", "line"]  # as sample_by of datasets' text loader
TXT_ROWS: tuple[TxtRows, ...] = get_args(TxtRows)
ROWS_PER_LOOK_UP = 500


def stage_texts(
    source: Source,
    reader: TextReader,
    extras: RowExtras,
    staging: Staging,
    project: Project,
    *,
    txt_rows: TxtRows,
) -> ImportReport:
    report = start_report(source)
    repeated = 0
    for line, row in source.rows(partial(read_text_rows, txt_rows=txt_rows)):
        report.rows += 1
        try:
            if isinstance(row, RowError):
                raise row
            with staging.row_savepoint():
                checked = reader.read(row, line)
                digest = hash_text(checked["text"])
                if staging.claim_id(f"text {digest}", line) is not None:
                    repeated += 1
                    continue
                _claim_text_id(reader, row, checked["text_id"], line, staging)
                beside = extras.read(row)
                kept = {name: beside[name] for name in ("source_id", "metadata")}
                staging.add_prompt_row(line, kept | checked | {"content_hash": digest, "line": line})
        except RowError as problem:
            report.add_bad(line, problem)
    if repeated:
        report.counts["repeated in the file"] = repeated
    _check_ids_against_database(project, staging, report)
    report.notes += extras.notes()
    return report


def read_text_rows(path: Path, txt_rows: TxtRows) -> Iterator[NumberedRow]:
    """The rows of the file; of a .txt or .txt.gz file its documents as {"text": ...}, numbered by their first line."""
    if not is_plain_text(path) or not path.is_file():
        yield from read_rows(path)
        return
    try:
        with path.open("rb") as file:
            compressed = file.read(len(GZIP_MARK)) == GZIP_MARK
    except OSError as error:
        raise unreadable(path, error) from error
    with open_unpacked(path, compressed=compressed) as unpacked:
        content = unpacked.read()
    try:
        text = content.removeprefix(BYTE_ORDER_MARK).decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ImportRefused(
            f"{safe_excerpt(str(path))} is not UTF-8 text (byte {error.start + 1}): convert it first.",
            code="not_utf8",
        ) from error
    for line, part in _parts(text, txt_rows):
        yield line, {"text": part}


def is_plain_text(path: Path) -> bool:
    """By its name: a text has no form of its own."""
    return path.name.lower().removesuffix(".gz").endswith(".txt")


def _parts(text: str, txt_rows: TxtRows) -> Iterator[tuple[int, str]]:
    """Parts that have something in them, without the blank lines around them, each with its first line's number."""
    if txt_rows == "document":
        if text.strip():
            yield 1, text.strip("\n")
        return
    paragraph: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if txt_rows == "line":
            if line.strip():
                yield number, line
        elif line.strip():
            paragraph.append(line)
        elif paragraph:
            yield number - len(paragraph), "\n".join(paragraph)
            paragraph = []


def _claim_text_id(
    reader: TextReader, row: dict[str, Any], text_id: str | None, line: int, staging: Staging
) -> None:
    if text_id is not None and (earlier := staging.claim_id(f"id {text_id}", line)) is not None:
        raise RowError(
            reader.row_id_column(row), f"{text_id} is a duplicate of {describe_line(earlier, seen_from=line)}"
        )


def _check_ids_against_database(project: Project, staging: Staging, report: ImportReport) -> None:
    """A row whose id belongs to another text of the project is bad."""
    conflicts = []
    for rows in row_chunks(staging.prompt_rows(), ROWS_PER_LOOK_UP):
        ids = {row["text_id"]: row for row in rows if row["text_id"] is not None}
        stored = Text._base_manager.filter(project=project, external_id__in=ids, taken_back=False)
        for text_id, content_hash in stored.values_list("external_id", "content_hash"):
            if content_hash != ids[text_id]["content_hash"]:
                conflicts.append((ids[text_id]["line"], text_id))
    for line, text_id in sorted(conflicts):
        staging.drop_prompt_row(line)
        report.add_bad(line, RowError("text_id", f"{text_id} belongs to another text in this project"))
