"""What can be wrong with one row of a file, and how a sentence about it names what is there."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from annotation.text import safe_excerpt

WHOLE_ROW = "(whole row)"
MAX_COLUMN_CHARACTERS = 100
MAX_ROW_BYTES = 32 * 1024 * 1024


class RowError(Exception):
    """One row cannot be taken: the column to blame and the reason, which continues “column NAME ...”.

    Both may quote the file: characters that a terminal obeys are spelled out here.
    """

    def __init__(self, column: str, reason: str):
        self.column = safe_excerpt(column, MAX_COLUMN_CHARACTERS)
        self.reason = safe_excerpt(reason)
        super().__init__(f"{self.column}: {self.reason}")


# The rows of an import are numbered through its files: the place of the file times this, and the line in it.
_LINES_PER_FILE = 10**12


def row_number(file: int, line: int) -> int:
    return file * _LINES_PER_FILE + line


def locate(number: int) -> tuple[int, int]:
    """(place of the file, line in it) of a row's number."""
    return divmod(number, _LINES_PER_FILE)


def describe_line(number: int, *, seen_from: int) -> str:
    """“line 3”, and of which file where that is another one than that of the line it is seen from."""
    file, line = locate(number)
    return f"line {line}" if file == locate(seen_from)[0] else f"line {line} of file {file + 1}"


NumberedRow = tuple[int, dict[str, Any] | RowError]


@dataclass(frozen=True)
class UnreadableValue:
    """A value of a file that no column of ours can hold. Its row is bad only if its column is read."""

    reason: str
    text: str = ""  # as the file has it, where that is known


class TextCell(str):
    """A cell of a file whose cells are all text (CSV): a list in it is written as JSON."""


def require_readable(value: Any, column: str) -> Any:
    """The value, with everything inside it. Raises RowError where a part of it cannot be read."""
    parts = [value]  # a stack: rows may be nested as deep as JSON allows
    while parts:
        part = parts.pop()
        if isinstance(part, UnreadableValue):
            raise RowError(column, f"has a value that cannot be read ({part.reason})")
        if isinstance(part, list):
            parts.extend(part)
        elif isinstance(part, dict):
            parts.extend(part.values())
    return value


def describe_json_type(value: object) -> str:
    """What a JSON value is, for a sentence."""
    match value:
        case None:
            return "null"
        case bool():
            return f"a boolean ({str(value).lower()})"
        case int() | float():
            return f"a number ({value})"
        case str():
            return "text"
        case list():
            return "a list"
        case dict():
            return "an object"
    return f"a {type(value).__name__}"


def row_chunks(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows, so many at a time."""
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
