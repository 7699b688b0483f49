"""What a row says beside what its format reads: its split, tags, its own id, and every column that nobody read.

These are found in the rows of every format. A column that a format's field takes whole is read; all others are kept and
come back in exports, as they are or, where JSON has no such value, as text.
"""

import base64
import datetime
import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from annotation.errors import InvalidText
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import MAX_ID_CHARACTERS, parse_name, parse_nonempty_text
from annotation.importing.report import ImportRefused
from annotation.importing.rows import RowError, UnreadableValue
from annotation.text import clean_text
from learning.interface.vocabulary import SPLITS, TEST, TRAIN, VALIDATION

SPLIT_NAMES = {
    "training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "dev": VALIDATION, "development": VALIDATION,
    "testing": TEST,
} | {split: split for split in SPLITS}  # fmt: skip
EXTRA_FIELDS = ("split", "tags", "source_id", "metadata")
# Derived from judgments by whoever wrote the file: without the group they come from they say nothing that we know.
DERIVED_FIELDS = frozenset({"margin", "weight", "agreement"})
MAX_VALUE_CHARACTERS = 100_000
MAX_DEPTH = 50


class RowExtras:
    """`mapping` has the columns of the format's fields and of EXTRA_FIELDS; `split_names`: other names of splits;
    `reader_columns`: those of the format's reader; `keeps_unread`: whether fields of the format that a row's reading
    had no use for are kept as any other column. `project_splits`: the file's split decides nothing, and is kept as any
    other column too; without `reads_split` it is the reader's own.
    """

    def __init__(
        self,
        fields: Collection[str],
        mapping: Mapping[str, Sequence[str]],
        *,
        split_names: Mapping[str, str] | None = None,
        project_splits: bool = False,
        reads_split: bool = True,
        reader_columns: ColumnMap | None = None,
        keeps_unread: bool = False,
    ) -> None:
        for name, split in (split_names or {}).items():
            if split not in SPLITS:
                raise ImportRefused(
                    f"--split-name {name}={split}: a split is one of {', '.join(SPLITS)}.", code="bad_split"
                )
        self._split_names = SPLIT_NAMES | {name.casefold(): to for name, to in (split_names or {}).items()}
        self._decides_split = reads_split and not project_splits
        own = {field: list(mapping[field]) for field in EXTRA_FIELDS if field in mapping}
        self._columns = ColumnMap(EXTRA_FIELDS, own, format_name="any")
        self._reads_tags = "tags" in fields
        self._id_columns = list(mapping.get("id", ["id"])) if len(mapping.get("id", ["id"])) == 1 else []
        taken = {column for field in fields for column in mapping.get(field, [field])}
        taken |= {column for field in EXTRA_FIELDS for column in own.get(field, [field])}
        self._taken = taken - set(self._id_columns) - {"metadata"}
        if project_splits:
            self._taken -= set(own.get("split", ["split"]))
        self._derived = {column for field in DERIVED_FIELDS for column in mapping.get(field, [field])}
        self._group_column = next(iter(mapping.get("group_id", ["group_id"])))
        self._own = {column for field in EXTRA_FIELDS for column in own.get(field, [field])}
        self._own -= set(own.get("split", ["split"])) if project_splits else set()
        self.reader_columns = reader_columns or ColumnMap(tuple(fields), {}, format_name="any")
        self._keeps_unread = keeps_unread
        never_read = {*EXTRA_FIELDS, *DERIVED_FIELDS, "id"}
        self._named_fields = [field for field in fields if field in mapping and field not in never_read]
        self._soft_label = next(iter(mapping.get("soft_label", ["soft_label"])))
        self._unmapped_system = "system" in fields and "system" not in mapping
        self._unread_system = 0
        self.left_out: Counter[str] = Counter()  # column -> values that cannot be stored

    def read(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """{split, tags, source_id, metadata}, null where the row has none. Raises RowError."""
        self._require_named_columns_read(row)
        source_id, id_column = self._source_id(row)
        tags, not_tags = self._tags(row)
        return {
            "split": self._split(row),
            "tags": tags,
            "source_id": source_id,
            "metadata": self._metadata(row, id_column, not_tags),
        }

    def _require_named_columns_read(self, row: Mapping[str, Any]) -> None:
        """Raises RowError for a named column that has something which the row's reading had no use for: what it means
        beside the rest is not ours to guess.
        """
        if not self._keeps_unread:
            return
        read = self.reader_columns.columns_asked(row)
        for field in self._named_fields:
            columns = self.reader_columns.name(field).split(" + ")
            if not read.issuperset(columns) and self.reader_columns.has(row, field):
                raise RowError(
                    " + ".join(columns),
                    f"is named as {field}, and nothing of this row is read with a {field}: leave it out of --map, or "
                    "import such rows by themselves",
                )

    def _tags(self, row: Mapping[str, Any]) -> tuple[list[str] | None, str | None]:
        """The tags; else the column that is called so and has something else, as any other that nobody reads."""
        if self._reads_tags:
            return None, None
        try:
            return self._columns.parse_optional(row, "tags", parse_tags), None
        except RowError:
            if self._columns.is_mapped("tags"):
                raise
            return None, "tags"

    def noted(self) -> tuple[int, Counter[str]]:
        return self._unread_system, self.left_out

    def note_also(self, noted: tuple[int, Counter[str]]) -> None:
        self._unread_system += noted[0]
        self.left_out += noted[1]

    def notes(self) -> list[str]:
        notes = []
        if number := self._unread_system:
            notes.append(
                f"{number} row{' has' if number == 1 else 's have'} a column system, which is kept and not "
                "part of the prompt; --map system=system makes it the prompt's first turn."
            )
        return notes + [
            f"{number} value{'' if number == 1 else 's'} of the column {column}, which is not read, cannot be stored "
            f"and {'was' if number == 1 else 'were'} left out."
            for column, number in sorted(self.left_out.items())
        ]

    def _split(self, row: Mapping[str, Any]) -> str | None:
        if not self._decides_split or not self._columns.has(row, "split"):
            return None
        value, column = self._columns.value(row, "split"), self._columns.name("split")
        if isinstance(value, str) and not value.strip():
            return None
        return parse_split(value, column, self._split_names)

    def _source_id(self, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
        """The row's own id, and its column where it is not one of ours."""
        if self._columns.has(row, "source_id"):
            return _id_text(self._columns.value(row, "source_id")), None
        for column in self._id_columns:
            if (found := _id_text(row.get(column))) is not None:
                return found, column
        return None, None

    def _metadata(
        self, row: Mapping[str, Any], id_column: str | None, also: str | None
    ) -> dict[str, Any] | None:
        grouped = row.get(self._group_column) is not None
        read = self.reader_columns.columns_read(row) if self._keeps_unread else None
        self._unread_system += (
            self._unmapped_system and isinstance(row.get("system"), str) and bool(row["system"].strip())
        )
        kept: dict[str, Any] = {}
        for column, value in row.items():
            derived = column in self._derived and not grouped
            # A field of the format that this row's reading had no use for is a column that nobody reads.
            unread = read is not None and column not in read and column not in self._own | self._derived
            if column == self._soft_label and not grouped and value not in (0.5, 1):
                unread = read is not None
            taken = column in self._taken and not derived and not unread and column != also
            if value is None or column == id_column or taken:
                continue
            try:
                kept[clean_text(column, "A column's name")] = storable(value)
            except InvalidText:
                self.left_out[str(column)] += 1
        return _unfold(kept) or None


def parse_split(value: Any, column: str, names: Mapping[str, str] = SPLIT_NAMES) -> str:
    """train, validation or test, also under its other names. Raises RowError."""
    name = parse_nonempty_text(value, column).strip()
    if name.casefold() not in names:
        raise RowError(
            column,
            f"is “{name[:40]}”, a split without a known meaning; give it one with --split-name {name[:40]}=test "
            f"({', '.join(SPLITS)})",
        )
    return names[name.casefold()]


def parse_tags(value: Any, column: str) -> list[str]:
    """A list of tags, or one tag; what is null in it is none."""
    tags = value if isinstance(value, list) else [value]
    return [parse_name(tag, column) for tag in tags if tag is not None]


def _id_text(value: Any) -> str | None:
    """An id is text, or a whole number as text; anything else is no id."""
    if isinstance(value, UnreadableValue):
        value = value.text or None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    if not text.strip() or len(text) > MAX_ID_CHARACTERS:
        return None
    try:
        return clean_text(text, "The id")
    except InvalidText:
        return None


def storable(value: Any, depth: int = 0) -> Any:
    """The value as JSON; as text what JSON has no form for. Raises InvalidText for what no database keeps."""
    if depth > MAX_DEPTH:
        raise InvalidText("The value is nested too deep.")
    match value:
        case UnreadableValue():
            if not value.text:
                raise InvalidText(value.reason)
            return value.text
        case str():
            if len(value) > MAX_VALUE_CHARACTERS:
                raise InvalidText("The value is too long.")
            return clean_text(str(value), "The value", allow_empty=True)
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case Mapping():
            return {
                clean_text(str(name), "A name", allow_empty=True): storable(inner, depth + 1)
                for name, inner in value.items()
            }
        case list() | tuple():
            return [storable(inner, depth + 1) for inner in value]
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case Decimal() | datetime.timedelta():
            return str(value)
    return clean_text(str(value), "The value", allow_empty=True)


def _unfold(kept: dict[str, Any]) -> dict[str, Any]:
    """A column `metadata` with an object in it (as exports write it, as JSON text too) gives its own names, where no
    column has one of them.
    """
    inner = kept.get("metadata")
    if isinstance(inner, str):
        try:
            inner = json.loads(inner)
        except ValueError:
            return kept
    if not isinstance(inner, dict) or inner.keys() & (kept.keys() - {"metadata"}):
        return kept
    return inner | {column: value for column, value in kept.items() if column != "metadata"}
