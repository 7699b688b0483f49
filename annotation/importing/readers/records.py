"""Our own records read back: `judgments` rows and `comparisons` rows, told apart by their columns.

Rounds and the versions of guidelines and settings are not read: their numbers are those of the installation that wrote
them.
"""

from collections.abc import Sequence
from typing import ClassVar

from django.utils.translation import gettext_noop

from annotation.importing.readers.base import Row
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.comparison_records import ComparisonRecordReader
from annotation.importing.readers.fields import NamedStrengths, parse_id, parse_name
from annotation.importing.readers.judgment_records import JudgmentRecordReader
from annotation.importing.readers.judgments import ImportedJudgment
from annotation.importing.readers.margins import Margins
from annotation.importing.rows import RowError


class RecordsReader:
    description: ClassVar[str] = gettext_noop("our own records, judgments or comparisons")
    # In the order of the two kinds' columns, each once.
    fields: ClassVar[tuple[str, ...]] = tuple(
        dict.fromkeys(JudgmentRecordReader.fields + ComparisonRecordReader.fields)
    )

    def __init__(
        self, columns: ColumnMap, *, criterion: str, named_strengths: NamedStrengths, margins: Margins
    ) -> None:
        self._columns = columns
        self._criterion = criterion
        self._judgments = JudgmentRecordReader(columns)
        self._comparisons = ComparisonRecordReader(columns)

    def row_id(self, row: Row) -> str | None:
        return self._columns.parse_optional(row, self._id_field(row), parse_id)

    def row_id_column(self, row: Row) -> str:
        return self._columns.name(self._id_field(row))

    def _id_field(self, row: Row) -> str:
        return "judgment_id" if self._columns.has(row, "judgment_id") else "group_id"

    def read(self, row: Row, line: int) -> Sequence[ImportedJudgment]:
        self._check_criterion(row)
        if self._columns.has(row, "tiers"):
            return self._judgments.read(row)
        if self._columns.has(row, "ranks") or self._columns.has(row, "soft_preference"):
            return self._comparisons.read(row, group=self.row_id(row) or f"line {line}")
        raise RowError(
            "tiers", "is missing, and so are ranks and soft_preference: is this a file of records?"
        )

    def _check_criterion(self, row: Row) -> None:
        criterion = self._columns.parse_optional(row, "criterion", parse_name)
        if criterion is not None and criterion != self._criterion:
            raise RowError(
                self._columns.name("criterion"),
                f"is {criterion}, and this import is about {self._criterion}",
            )
