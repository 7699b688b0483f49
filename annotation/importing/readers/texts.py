"""The reader of plain texts: one row of a file -> one checked mapping, or a RowError."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_noop

from annotation.content.clean_rows import MAX_LICENCE_CHARACTERS
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import (
    parse_id,
    parse_nonempty_text,
    parse_text,
)
from annotation.importing.readers.row_extras import parse_split
from annotation.importing.rows import RowError


class TextReader:
    """`text`, and optional `text_id`, `licence` (or `license`) and `split`."""

    description: ClassVar[str] = gettext_noop("our own records, or rows with a text")
    fields: ClassVar[tuple[str, ...]] = ("text", "text_id", "licence", "license", "split")
    alternatives: ClassVar[tuple[tuple[str, ...], ...]] = (("licence", "license"),)

    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns

    def read(self, row: Mapping[str, Any], line: int) -> dict[str, Any]:
        return {
            "text": self._columns.parse(row, "text", parse_nonempty_text),
            "text_id": self.row_id(row),
            "licence": self._licence(row),
            "split": self._columns.parse_optional(row, "split", parse_split),
        }

    def row_id(self, row: Mapping[str, Any]) -> str | None:
        return self._columns.parse_optional(row, "text_id", parse_id)

    def row_id_column(self, row: Mapping[str, Any]) -> str:
        return self._columns.name("text_id")

    def _licence(self, row: Mapping[str, Any]) -> str | None:
        field = "licence" if self._columns.has(row, "licence") else "license"
        return self._columns.parse_optional(row, field, _parse_licence)


def _parse_licence(value: Any, column: str) -> str:
    licence = parse_text(value, column).strip()
    if len(licence) > MAX_LICENCE_CHARACTERS:
        raise RowError(column, f"is longer than {MAX_LICENCE_CHARACTERS} characters")
    return licence
