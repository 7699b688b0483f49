"""Pairs that say which group they come from, and how many pairs, ties and responses it has."""

from typing import Any, ClassVar

from annotation.importing.readers.base import ForeignFormatReader, Row
from annotation.importing.readers.fields import parse_id, parse_integer, parse_number
from annotation.importing.readers.judgments import MAX_RESPONSES
from annotation.importing.rows import RowError

MAX_PAIRS = MAX_RESPONSES * (MAX_RESPONSES - 1) // 2
PAIR_FIELDS = (
    "strength", "soft_label", "margin", "weight", "agreement", "group_id", "pair_index", "n_pairs_in_group",
    "n_ties_in_group", "n_responses_in_group",
)  # fmt: skip


class PairReader(ForeignFormatReader):
    """`only_our_groups`: a group_id without pair_index and n_pairs_in_group is then any other column."""

    only_our_groups: ClassVar[bool] = True

    def row_id(self, row: Row) -> str | None:
        if self._has_pair_index(row):
            index = self._columns.parse(row, "pair_index", parse_integer, 0, 10**6)
            return f"{self._group(row)} pair {index} {self._annotator(row) or ''}".strip()
        return super().row_id(row)

    def row_id_column(self, row: Row) -> str:
        return self._columns.name("pair_index") if self._has_pair_index(row) else super().row_id_column(row)

    def _has_pair_index(self, row: Row) -> bool:
        return self._group(row) is not None and self._columns.has(row, "pair_index")

    def _group(self, row: Row) -> str | None:
        if self.only_our_groups and not all(
            self._columns.has(row, field) for field in ("pair_index", "n_pairs_in_group")
        ):
            return None
        return self._columns.parse_optional(row, "group_id", parse_id)

    def _group_numbers(self, row: Row) -> dict[str, Any]:
        """What ImportedPair takes of the row's group."""
        parse_optional = self._columns.parse_optional
        return {
            "pairs_in_group": parse_optional(row, "n_pairs_in_group", parse_integer, 1, MAX_PAIRS),
            "ties_in_group": parse_optional(row, "n_ties_in_group", parse_integer, 0, MAX_PAIRS),
            "responses_in_group": parse_optional(
                row, "n_responses_in_group", parse_integer, 2, MAX_RESPONSES
            ),
        }

    def _is_tie(self, row: Row) -> bool:
        share = self._columns.parse_optional(row, "soft_label", parse_number)
        if share is not None and not 0.5 <= share <= 1:
            raise RowError(
                self._columns.name("soft_label"),
                f"is {share:g}: the share for the chosen response lies between 0.5 and 1",
            )
        return share == 0.5
