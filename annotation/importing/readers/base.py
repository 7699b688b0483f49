"""What a reader of comparisons is: one row of a file -> judgments, or an error that names the column.

A reader sees one row at a time and knows nothing of the file, the database or other rows (pairs that belong
together are put together later).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import parse_name, parse_strength
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair

Row = Mapping[str, Any]


class Reader(Protocol):
    fields: ClassVar[tuple[str, ...]]

    def __init__(self, columns: ColumnMap, *, criterion: str, named_strengths: Mapping[str, str]) -> None: ...

    def read(self, row: Row, line: int) -> Sequence[ImportedJudgment | ImportedPair]: ...

    def row_id(self, row: Row) -> str | None:
        """What must not appear twice in the file, where the format has such a thing."""

    def row_id_column(self, row: Row) -> str:
        """Where `row_id` found it."""


class ForeignFormatReader:
    """What the foreign formats share: the optional id and annotator columns, and the names of strengths."""

    fields: ClassVar[tuple[str, ...]]

    def __init__(self, columns: ColumnMap, *, criterion: str, named_strengths: Mapping[str, str]) -> None:
        self._columns = columns
        self._named_strengths = named_strengths

    def row_id(self, row: Row) -> str | None:
        return self._optional_name(row, "id")

    def row_id_column(self, row: Row) -> str:
        return self._columns.name("id")

    def _optional_name(self, row: Row, field: str) -> str | None:
        if not self._columns.has(row, field):
            return None
        return parse_name(self._columns.value(row, field), self._columns.name(field))

    def _strength(self, row: Row) -> int:
        """A file without strengths says nothing of them: 0, which adds no margin."""
        if not self._columns.has(row, "strength"):
            return 0
        return parse_strength(self._columns.value(row, "strength"), self._columns.name("strength"))
