"""A CSV file as rows: its first line names the columns, and every cell is text."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from annotation.importing.file_forms import is_tab_separated
from annotation.importing.report import ImportRefused
from annotation.importing.rows import MAX_ROW_BYTES, WHOLE_ROW, NumberedRow, RowError, TextCell
from annotation.text import safe_excerpt


def csv_rows(path: Path, file: IO[bytes]) -> Iterator[NumberedRow]:
    """The rows after the header, with the line where each begins. An empty cell is null: CSV has no other word for it.

    Cells are apart by commas, semicolons or tabs, whichever the header has most of.
    """
    name = safe_excerpt(str(path))
    csv.field_size_limit(MAX_ROW_BYTES)
    line = first_line = 1
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        header_line = text.readline(MAX_ROW_BYTES)
        if header_line.startswith("sep="):  # Excel's own line before the header
            first_line, header_line = 2, text.readline(MAX_ROW_BYTES)
        delimiter = "\t" if is_tab_separated(path) else max(",;\t", key=header_line.count)
        header = next(csv.reader([header_line], delimiter=delimiter))
        _check_header(name, header)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        line = first_line + 1
        for cells in reader:
            if cells:
                yield line, _row(header, cells)
            line = reader.line_num + first_line + 1
    except UnicodeDecodeError as error:
        raise ImportRefused(
            f"{name} is not UTF-8 text ({error.reason}): save it as “CSV UTF-8”.", code="not_utf8"
        ) from error
    except csv.Error as error:
        raise ImportRefused(
            f"{name} is damaged at line {line} ({error}): quotes in a cell are doubled, and a cell with one is quoted.",
            code="damaged",
        ) from error
    finally:
        text.detach()  # the file is its opener's to close


def _check_header(name: str, header: list[str]) -> None:
    repeated = sorted({column for column in header if header.count(column) > 1})
    if repeated or not any(header):
        what = f"names the column {safe_excerpt(repeated[0]) or '“”'} twice" if repeated else "is empty"
        raise ImportRefused(
            f"The first line of {name} {what}: it should name the columns.", code="bad_header"
        )


def _row(header: list[str], cells: list[str]) -> dict[str, Any] | RowError:
    if len(cells) != len(header):
        return RowError(WHOLE_ROW, f"has {len(cells)} cells under {len(header)} column names")
    return {column: TextCell(cell) if cell else None for column, cell in zip(header, cells, strict=True)}
