"""From the values in a row of somebody else's file to values of the types that records have, or a RowError
that names the column.

Strict about types (a boolean is no text and no number), lenient about spelling only where real files are: a
number may be written as text. Nothing is repaired silently.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from annotation.importing.rows import WHOLE_ROW, RowError, TextCell, describe_json_type
from annotation.preferences.scale import STRENGTH_NAMES
from annotation.text import MAX_TEXT_CHARACTERS
from learning.interface.text import find_unstorable_character

MAX_NAME_CHARACTERS = 64
MAX_ID_CHARACTERS = 200
# The first year that ISO 8601 writes with four digits everywhere; nobody judged anything before it.
FIRST_YEAR = 1000
# Our names and those of other scales. The side, where there is one, is told apart first.
STRENGTHS_BY_NAME = {name: strength for strength, name in STRENGTH_NAMES.items()} | {
    "significantly better": 3, "strongly better": 3, "slightly better": 1, "negligibly better": 0, "unsure": 0,
    "barely better / unsure": 0, "barely better or unsure": 0, "negligibly better / unsure": 0,
    "negligibly better/unsure": 0, "negligibly better/ unsure": 0, "negligibly better or unsure": 0,
}  # fmt: skip
TIE_NAMES = frozenset({"tie", "equal", "same", "draw", "both", "neither"})
_SIDED = re.compile(
    r"^(?:response |completion |answer )?(a|b|1|2|first|second|left|right)(?: is)? "
    r"(.*better(?: ?/ ?unsure| or unsure)?)$"
)
INTEGER_TEXT = re.compile(r"^[+-]?\d{1,9}$")
_NUMBER_TEXT = re.compile(r"^[+-]?\d{1,9}(\.\d{1,9})?$")


def parse_text(value: Any, column: str) -> str:
    """Text as it is: no NUL, no half surrogate pairs, at most MAX_TEXT_CHARACTERS."""
    if not isinstance(value, str):
        raise RowError(column, f"should be text but is {describe_json_type(value)}")
    if len(value) > MAX_TEXT_CHARACTERS:
        raise RowError(column, f"has {len(value):,} characters; at most {MAX_TEXT_CHARACTERS:,} are taken")
    if unstorable := find_unstorable_character(value):
        raise RowError(column, f"has {unstorable.name} (character {unstorable.position})")
    return value


def parse_nonempty_text(value: Any, column: str) -> str:
    if not parse_text(value, column).strip():
        raise RowError(column, "is empty")
    return str(value)


def parse_name(value: Any, column: str) -> str:
    """A short name: text, or a whole number read as text."""
    return _short_text(value, column, MAX_NAME_CHARACTERS).strip()


def parse_id(value: Any, column: str) -> str:
    """An id as records carry it, to the letter: text, or a whole number read as text."""
    return _short_text(value, column, MAX_ID_CHARACTERS)


def _short_text(value: Any, column: str, characters: int) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if len(parse_nonempty_text(value, column)) > characters:
        raise RowError(column, f"is longer than {characters} characters")
    return str(value)


def parse_integer(value: Any, column: str, low: int, high: int) -> int:
    """An integer, also written as 2.0 or "2"."""
    number: int | None = None
    if isinstance(value, str):
        number = int(value) if INTEGER_TEXT.match(value.strip()) else None
    elif isinstance(value, float):
        number = int(value) if value.is_integer() else None
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    if number is None:
        shown = f"“{value[:40]}”" if isinstance(value, str) else describe_json_type(value)
        raise RowError(column, f"should be a whole number but is {shown}")
    if not low <= number <= high:
        raise RowError(column, f"is {number}; it should be between {low} and {high}")
    return number


def parse_bool(value: Any, column: str) -> bool:
    if not isinstance(value, bool):
        raise RowError(column, f"should be true or false but is {describe_json_type(value)}")
    return value


def parse_choice(value: Any, column: str, choices: Sequence[str]) -> str:
    name = parse_name(value, column)
    if name not in choices:
        raise RowError(column, f"is {name}; it should be one of {', '.join(choices)}")
    return name


def parse_timestamp(value: Any, column: str) -> str | None:
    """A time in ISO 8601 with its zone, in UTC; None for an empty text."""
    text = parse_text(value, column)
    if not text:
        return None
    shown = f"is “{text[:40]}”"
    try:
        timestamp = datetime.fromisoformat(text)
    except ValueError:
        timestamp = None
    if timestamp is None or timestamp.tzinfo is None:
        raise RowError(column, f"{shown}, no time in ISO 8601 with its zone")
    try:
        timestamp = timestamp.astimezone(UTC)
    except OverflowError:
        timestamp = None
    if timestamp is None or timestamp.year < FIRST_YEAR:
        raise RowError(column, f"{shown}; it should be in UTC's years {FIRST_YEAR} to 9999")
    return timestamp.isoformat()


def parse_number(value: Any, column: str) -> float:
    if isinstance(value, Decimal):  # of Parquet
        value = float(value)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise RowError(column, f"should be a number but is “{value[:40]}”") from None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RowError(column, f"should be a finite number but is {describe_json_type(value)}")
    return float(value)


def parse_list(value: Any, column: str) -> list[Any]:
    """A list; in a CSV file, one written as JSON."""
    if isinstance(value, TextCell):
        try:
            value = json.loads(value)
        except ValueError:
            raise RowError(column, "should be a list, as in [1, 2], but is text") from None
    if not isinstance(value, list):
        raise RowError(column, f"should be a list but is {describe_json_type(value)}")
    return value


def parse_strength(value: Any, column: str) -> int:
    """0..3, or a strength by name (“slightly better”)."""
    if isinstance(value, str):
        spelled = _normalize_label(value)
        if spelled in STRENGTHS_BY_NAME:
            return STRENGTHS_BY_NAME[spelled]
    return parse_integer(value, column, 0, 3)


class NamedStrengths:
    """What the labels of a file mean, as the caller says it (--strength NAME=STRENGTH), and which names rows have used.

    A name is text; a label in the file may also be a whole number or true or false.
    """

    def __init__(self, strengths: Mapping[str, str]) -> None:
        self._strengths = dict(strengths)
        self._used: set[str] = set()
        self.numbers_read: set[int] = set()  # labels without a name that were read on the scale -3..3

    def notes(self, format_name: str) -> list[str]:
        """Names that no row has; and, where the format does not say that numbers are a scale, numbers of which none is
        negative or 0.
        """
        notes = [f"--strength {name}=...: no row has the preference “{name}”" for name in self.unused]
        if format_name != "ranked" or not self.numbers_read or min(self.numbers_read) <= 0:
            return notes
        numbers = sorted(self.numbers_read)
        example = " ".join(f"--strength {number}={side}" for number, side in zip(numbers, "ab", strict=False))
        notes.append(
            f"Every preference is one of the numbers {', '.join(map(str, numbers))}, read on the scale -3..3: the "
            f"second response is better by so much. If they mean something else, take the import back and name "
            f"them, as in {example}."
        )
        return notes

    def find(self, label: Any, column: str) -> tuple[int, int | None] | None:
        """(side, strength) of a label, None where it has no name. Raises RowError for a number without one beside
        numbers with one: the file's numbers are then no scale of ours.
        """
        name = _label_name(label)
        if name in self._strengths:
            self._used.add(name)
            return parse_named_strength(self._strengths[name], column)
        if name is not None and _NUMBER_TEXT.match(name) and any(map(_NUMBER_TEXT.match, self._strengths)):
            raise RowError(
                column,
                f"is {name}, and other numbers were given a meaning: give it one with --strength {name}=a:2",
            )
        return None

    def noted(self) -> tuple[set[str], set[int]]:
        return self._used, self.numbers_read

    def note_also(self, noted: tuple[set[str], set[int]]) -> None:
        self._used |= noted[0]
        self.numbers_read |= noted[1]

    @property
    def unused(self) -> list[str]:
        return [name for name in self._strengths if name not in self._used]


def _label_name(label: Any) -> str | None:
    """A label as the name it is given by: "true", "2" also where the file has 2.0."""
    if isinstance(label, bool):
        return str(label).lower()
    if isinstance(label, float):
        label = int(label) if label.is_integer() else f"{label:.15g}"
    return str(label).strip() if isinstance(label, int | str) else None


def parse_preference(value: Any, column: str, names: NamedStrengths) -> tuple[int, int | None]:
    """(side, strength) of a preference between two: side -1 for the first response, 1 for the second, 0
    for a tie.

    A name from the caller wins, whatever the label looks like. Without one, whole numbers are -3..3 as in HelpSteer3
    (negative: the first), and a-is-slightly-better and its like are known.
    """
    if (named := names.find(value, column)) is not None:
        return named
    if not isinstance(value, str | bool) or (isinstance(value, str) and INTEGER_TEXT.match(value.strip())):
        number = parse_integer(value, column, -3, 3)
        names.numbers_read.add(number)
        return (number > 0) - (number < 0), abs(number)
    label = str(_label_name(value))
    spelled = _normalize_label(label)
    if spelled in TIE_NAMES:
        return 0, 0
    found = _SIDED.match(spelled)
    if found and found[2] in STRENGTHS_BY_NAME:
        return (-1 if found[1] in ("a", "1", "first", "left") else 1), STRENGTHS_BY_NAME[found[2]]
    raise RowError(
        column,
        f"is “{label[:40]}”, a preference without a known meaning; give it one with --strength NAME=a:2",
    )


def parse_named_strength(value: str, column: str = WHOLE_ROW) -> tuple[int, int | None]:
    """“a:2” -> the first, better; “b:1” -> the second, slightly better; “a” -> the first, by nobody knows how much;
    “tie”.
    """
    if value == "tie":
        return 0, 0
    found = re.fullmatch(r"([ab])(?::([0-3]))?", value)
    if not found:
        raise RowError(
            column,
            f"cannot mean “{value}”: use a:0 to a:3, b:0 to b:3, a or b (no strength given), or tie",
        )
    return (-1 if found[1] == "a" else 1), None if found[2] is None else int(found[2])


def _normalize_label(value: str) -> str:
    return " ".join(value.casefold().replace("-", " ").replace("_", " ").split())
