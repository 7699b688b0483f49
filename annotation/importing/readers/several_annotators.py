"""What one annotator, or each of several, says in a row."""

from dataclasses import dataclass
from typing import Any

from annotation.importing.readers.base import Row
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import parse_list, parse_name, parse_text
from annotation.importing.rows import RowError


@dataclass(frozen=True, kw_only=True)
class RowAnswer:
    """One annotator's cell, and what goes with it."""

    column: str
    value: Any
    annotator: str | None
    rationale: str


def read_answers(columns: ColumnMap, row: Row, field: str) -> list[RowAnswer]:
    """The answers in this field. Of a preference, several columns or a list are several annotators'; of anything else a
    list of lists.

    Several are called what `annotator` calls them (a list with a name for each), else by their columns. One that is
    null did not judge.
    """
    cells = _cells(columns, row, field)
    if not cells:
        raise RowError(columns.name(field), "is an empty list: nothing says which response is better")
    if len(cells) == 1:
        column, value = cells[0]
        annotator = columns.parse_optional(row, "annotator", parse_name)
        rationale = columns.parse_optional(row, "rationale", parse_text) or ""
        return [RowAnswer(column=column, value=value, annotator=annotator, rationale=rationale)]
    names = _names(columns, row, [column for column, _ in cells])
    rationales = _rationales(columns, row, len(cells))
    return [
        RowAnswer(column=column, value=value, annotator=name, rationale=rationale)
        for (column, value), name, rationale in zip(cells, names, rationales, strict=True)
        if value is not None
    ]


def _cells(columns: ColumnMap, row: Row, field: str) -> list[tuple[str, Any]]:
    if field == "preference":
        cells = columns.cells(row, field)
        if len(cells) > 1 or not isinstance(cells[0][1], list):
            return cells
    name, value = columns.name(field), columns.value(row, field)
    if field != "preference" and not (
        isinstance(value, list) and any(isinstance(one, list) for one in value)
    ):
        return [(name, value)]
    several = name.split(" + ")
    names = several if len(several) > 1 else [f"{name}.{index}" for index in range(len(value))]
    return list(zip(names, value, strict=True))


def _names(columns: ColumnMap, row: Row, cells: list[str]) -> list[str]:
    if not columns.has(row, "annotator"):
        return [parse_name(column, column) for column in cells]
    column = columns.name("annotator")
    names = [parse_name(name, column) for name in columns.parse(row, "annotator", parse_list)]
    if len(names) != len(cells) or len(set(names)) != len(names):
        raise RowError(column, f"should be {len(cells)} different names, one for each of {' + '.join(cells)}")
    return names


def _rationales(columns: ColumnMap, row: Row, count: int) -> list[str]:
    if not columns.has_any(row, "rationale"):
        return [""] * count
    column = columns.name("rationale")
    texts = columns.parse(row, "rationale", parse_list)
    if len(texts) != count:
        raise RowError(column, f"has {len(texts)} texts for {count} judgments")
    return ["" if text is None else parse_text(text, column) for text in texts]
