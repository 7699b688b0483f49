"""A file on disk as numbered rows, whatever its form (`file_forms`).

One row at a time, bounded memory whatever the file: a row longer than MAX_ROW_BYTES is never held. What is wrong with
the file as a whole is an ImportRefused; what is wrong with one row is a RowError beside its number, and reading goes
on.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from annotation.importing import file_forms
from annotation.importing.columnar_rows import arrow_rows, parquet_rows
from annotation.importing.csv_rows import csv_rows
from annotation.importing.file_forms import BYTE_ORDER_MARK, find_form, open_unpacked
from annotation.importing.json_rows import JSON_DECODER, check_object, json_array_rows
from annotation.importing.rows import MAX_ROW_BYTES, WHOLE_ROW, NumberedRow, RowError


def read_rows(path: Path) -> Iterator[NumberedRow]:
    """(number, row) for every row, from 1: of JSON lines and CSV the line where it begins, without blank lines; else
    how many rows come before it and one.
    """
    form, compressed = find_form(path)
    if form == file_forms.PARQUET:
        yield from parquet_rows(path)
    elif form == file_forms.ARROW:
        yield from arrow_rows(path)
    else:
        with open_unpacked(path, compressed=compressed) as file:
            if form == file_forms.JSON_ARRAY:
                yield from json_array_rows(path, file)
            elif form == file_forms.CSV:
                yield from csv_rows(path, file)
            else:
                yield from _json_lines(file)


def _json_lines(file: IO[bytes]) -> Iterator[NumberedRow]:
    number = 0
    while line := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(line) > MAX_ROW_BYTES:
            _skip_line(file)
            yield number, RowError(WHOLE_ROW, f"is longer than {MAX_ROW_BYTES // 1024**2} MB")
            continue
        if number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if line.strip():
            yield number, _parse(line)


def _skip_line(file: IO[bytes]) -> None:
    while part := file.readline(1024 * 1024):
        if part.endswith(b"\n"):
            break


def _parse(line: bytes) -> dict[str, Any] | RowError:
    try:
        row = JSON_DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return RowError(WHOLE_ROW, f"is not UTF-8 text (byte {error.start + 1})")
    except (ValueError, RecursionError) as error:
        what = (
            f"{error.msg}, character {error.pos + 1}"
            if isinstance(error, json.JSONDecodeError)
            else str(error)
        )
        return RowError(WHOLE_ROW, f"is not JSON ({what})")
    return check_object(row, "one object a line is expected")
