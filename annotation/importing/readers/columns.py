"""Where the fields of a format are found in the rows of one file (--map)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from annotation.importing.readers.fields import INTEGER_TEXT
from annotation.importing.readers.messages import MESSAGE_FIELDS, MessageParser
from annotation.importing.report import ImportRefused
from annotation.importing.rows import RowError, require_readable

_MISSING = object()
T = TypeVar("T")


def _look_up(row: Any, column: str) -> Any:
    if isinstance(row, Mapping) and column in row:
        return row[column]
    head, dot, rest = column.partition(".")
    if not dot:
        head, rest = column, ""
    inner: Any = _MISSING
    if isinstance(row, Mapping) and head in row:
        inner = row[head]
    elif isinstance(row, list) and INTEGER_TEXT.match(head) and -len(row) <= int(head) < len(row):
        inner = row[int(head)]
    return _look_up(inner, rest) if rest and inner is not _MISSING else inner


def _is_list_of_nulls(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(entry is None for entry in value)


class ColumnMap:
    """Where the fields of a format are found in the rows of one file.

    `mapping` gives fields another column: a plain name, or a path into nested values (`meta.question`,
    `messages.0.content`); a column whose name has a dot in it is found by its whole name. Several columns
    make a list. MESSAGE_FIELDS rename what is inside messages, in every format: `messages` reads them so.

    `alternatives`: fields that say the same thing in different forms. Where the caller names a column for one of them,
    the others count as absent, whatever columns a row has under their names.
    """

    def __init__(
        self,
        fields: Sequence[str],
        mapping: Mapping[str, Sequence[str]],
        *,
        format_name: str,
        alternatives: Sequence[Sequence[str]] = (),
    ):
        for field in mapping:
            if field not in (*fields, *MESSAGE_FIELDS):
                raise ImportRefused(
                    f"--map {field}=...: the format {format_name} has no field {field}; it has {', '.join(fields)}; "
                    "every format: split, tags, source_id, metadata; "
                    f"inside messages: {', '.join(MESSAGE_FIELDS)}.",
                    code="unknown_field",
                )
        self.messages = MessageParser.from_mapping(mapping)
        self._columns = {field: list(mapping.get(field, [field])) for field in fields}
        self._names = {field: " + ".join(columns) for field, columns in self._columns.items()}
        self._mapped = frozenset(mapping)
        # field -> the alternatives of it that the caller named
        self._named_instead = {
            field: [other for group in alternatives if field in group for other in group if other in mapping]
            for group in alternatives
            for field in group
        }
        # Most fields of most files: one column of the field's own name, and no other way to say it.
        self._plain = {
            field: columns[0]
            for field, columns in self._columns.items()
            if field not in mapping and not self._named_instead.get(field) and "." not in columns[0]
        }
        self._row: Mapping[str, Any] | None = None
        self._asked: set[str] = set()
        self._kept: set[str] = set()

    def columns_asked(self, row: Mapping[str, Any]) -> frozenset[str]:
        """The columns of this row, the latest, whose values were asked for."""
        return frozenset(self._asked) if row is self._row else frozenset()

    def columns_read(self, row: Mapping[str, Any]) -> frozenset[str]:
        """Those of them of which nothing is left that a reader had no use for."""
        return self.columns_asked(row) - self._kept

    def keep(self, row: Mapping[str, Any], field: str) -> None:
        """What was taken of the field is not all that is there: its columns are kept as those that nobody reads."""
        self._kept.update(self._columns[field])

    def _is_superseded(self, field: str) -> bool:
        return field not in self._mapped and bool(self._named_instead.get(field))

    def name(self, field: str) -> str:
        return self._names[field]

    def columns_of(self, field: str) -> list[str]:
        return self._columns[field]

    def is_mapped(self, field: str) -> bool:
        return field in self._mapped

    def has_any(self, row: Mapping[str, Any], field: str) -> bool:
        """True when at least one of the field's columns has something in it, or a list of theirs has."""
        if self._is_superseded(field):
            return False
        if not self.is_mapped(field):
            values = [_look_up(row, column) for column in self._columns[field]]
        else:
            values = [value for _, value in self.cells(row, field)]
        return any(
            value is not _MISSING and value is not None and not _is_list_of_nulls(value) for value in values
        )

    def is_null(self, row: Mapping[str, Any], field: str) -> bool:
        """True when the row has the column, and nothing but null in it."""
        if self._is_superseded(field):
            return False
        values = [_look_up(row, column) for column in self._columns[field]]
        return all(value is None or _is_list_of_nulls(value) for value in values)

    def cells(self, row: Mapping[str, Any], field: str) -> list[tuple[str, Any]]:
        """(column, value) of each column of the field, null where it is null. Raises RowError as `value` does."""
        values = self.value(row, field)
        columns = self._columns[field]
        return list(zip(columns, values, strict=True)) if len(columns) > 1 else [(columns[0], values)]

    def has(self, row: Mapping[str, Any], field: str) -> bool:
        """True when the row has something there; null counts as nothing."""
        if (column := self._plain.get(field)) is not None:
            return row.get(column) is not None
        if self._is_superseded(field):
            return False
        values = [_look_up(row, column) for column in self._columns[field]]
        if field in self._mapped and any(value is _MISSING for value in values):
            self._raise_missing(row, field)
        return all(value is not _MISSING and value is not None for value in values)

    def value(self, row: Mapping[str, Any], field: str) -> Any:
        """The value; a RowError when the row does not have the column, or what is there cannot be read."""
        if row is not self._row:
            self._row, self._asked, self._kept = row, set(), set()
        if (column := self._plain.get(field)) is not None:
            found = row.get(column, _MISSING)
            if found is not _MISSING:
                self._asked.add(column)
                return found if isinstance(found, str) else require_readable(found, column)
        if self._is_superseded(field):
            raise RowError(self.name(self._named_instead[field][0]), "has nothing in it")
        self._require_no_other(row, field)
        self._asked.update(self._columns[field])
        values = [_look_up(row, column) for column in self._columns[field]]
        if any(value is _MISSING for value in values):
            self._raise_missing(row, field)
        for column, value in zip(self._columns[field], values, strict=True):
            require_readable(value, column)
        return values[0] if len(values) == 1 else values

    def _require_no_other(self, row: Mapping[str, Any], field: str) -> None:
        for other in self._named_instead.get(field, ()):
            if other != field and all(
                _look_up(row, column) not in (_MISSING, None) for column in self._columns[other]
            ):
                raise RowError(
                    self.name(field),
                    f"and {self.name(other)} are both named and both have something in this row; --map one of {field} "
                    f"and {other}",
                )

    def parse(self, row: Mapping[str, Any], field: str, parser: Callable[..., T], *limits: Any) -> T:
        """The value as one of the parsers of `fields` reads it: a RowError that names the column if it cannot."""
        return parser(self.value(row, field), self.name(field), *limits)

    def parse_optional(
        self, row: Mapping[str, Any], field: str, parser: Callable[..., T], *limits: Any
    ) -> T | None:
        """The same; None when the row has nothing there."""
        return self.parse(row, field, parser, *limits) if self.has(row, field) else None

    def _raise_missing(self, row: Mapping[str, Any], field: str) -> None:
        missing = [column for column in self._columns[field] if _look_up(row, column) is _MISSING]
        present = ", ".join(name[:40] for name in sorted(row)[:12]) or "none"
        remedy = "" if field in self._mapped else f"; name another with --map {field}=COLUMN"
        raise RowError(missing[0], f"is missing (the row has: {present}){remedy}")
