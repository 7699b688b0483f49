"""What a reader of comparisons is: one row of a file -> judgments, or an error that names the column.

A reader sees one row at a time and knows nothing of the file, the database or other rows (pairs that belong
together are put together later).
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import NamedStrengths, parse_name, parse_strength
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair
from annotation.importing.readers.margins import Margins

Row = Mapping[str, Any]


class Reader(Protocol):
    description: ClassVar[str]  # what the rows of such a file are, for the help of the command
    fields: ClassVar[tuple[str, ...]]

    def __init__(
        self, columns: ColumnMap, *, criterion: str, named_strengths: NamedStrengths, margins: Margins
    ) -> None: ...

    def read(self, row: Row, line: int) -> Sequence[ImportedJudgment | ImportedPair]: ...

    def row_id(self, row: Row) -> str | None:
        """What must not appear twice in the file, where the format has such a thing."""

    def row_id_column(self, row: Row) -> str:
        """Where `row_id` found it."""


class ForeignFormatReader:
    """What the foreign formats share: the optional id and annotator columns, and what strengths mean."""

    description: ClassVar[str]
    fields: ClassVar[tuple[str, ...]]

    def __init__(
        self, columns: ColumnMap, *, criterion: str, named_strengths: NamedStrengths, margins: Margins
    ) -> None:
        self._columns = columns
        self._margins = margins
        self._named_strengths = named_strengths

    def row_id(self, row: Row) -> str | None:
        return self._columns.parse_optional(row, "id", parse_name)

    def row_id_column(self, row: Row) -> str:
        return self._columns.name("id")

    def _annotator(self, row: Row) -> str | None:
        return self._columns.parse_optional(row, "annotator", parse_name)

    def _strength(self, row: Row) -> int | None:
        """None where the row says nothing of it, which is not 0, "negligibly better"."""
        return self._columns.parse_optional(row, "strength", parse_strength)
