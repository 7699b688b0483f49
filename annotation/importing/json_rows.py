"""JSON as rows: what its numbers may be, and one array read element by element."""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from annotation.importing.report import ImportRefused
from annotation.importing.rows import (
    MAX_ROW_BYTES,
    WHOLE_ROW,
    NumberedRow,
    RowError,
    UnreadableValue,
    describe_json_type,
)
from annotation.text import safe_excerpt

_CHUNK_BYTES = 256 * 1024
_WHITE_SPACE = " \t\r\n"


def _parse_constant(name: str) -> UnreadableValue:
    return UnreadableValue(f"{name} is no JSON number", name)


def _parse_bounded_int(digits: str) -> int | UnreadableValue:
    # Beyond this no column has a meaning, and floats and databases overflow.
    if len(digits) > 18:
        return UnreadableValue(f"the number {digits[:20]}... is too large", digits)
    return int(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a key that is there twice has no value that can be read."""
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                found[key] = UnreadableValue("it is there twice")
            seen.add(key)
    return found


JSON_DECODER = json.JSONDecoder(
    parse_constant=_parse_constant, parse_int=_parse_bounded_int, object_pairs_hook=_object
)


def check_object(row: Any, expected: str) -> dict[str, Any] | RowError:
    if not isinstance(row, dict):
        return RowError(WHOLE_ROW, f"is not a JSON object but {describe_json_type(row)}: {expected}")
    return row


def json_array_rows(path: Path, file: IO[bytes]) -> Iterator[NumberedRow]:
    """The elements of the one array that the file is, numbered from 1.

    An element that is no JSON ends the reading: where the next one begins cannot be told then.
    """
    text = _Text(path, file)
    text.skip("[")
    number = 0
    while not text.skip("]"):
        number += 1
        if number > 1 and not text.skip(","):
            text.refuse(f"has no comma between rows {number - 1} and {number}")
        yield number, check_object(text.element(number), "objects are expected in the list")
    if text.peek():
        text.refuse("goes on after the end of its list")


class _Text:
    """The part of the file that is not read yet, as far as it is in memory."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._buffer, self._at, self._ended = "", 0, False

    def refuse(self, what: str) -> None:
        raise ImportRefused(
            f"{safe_excerpt(str(self._path))} {what}: it should be one JSON list of objects.", code="damaged"
        )

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in _WHITE_SPACE:
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._read(_CHUNK_BYTES)

    def skip(self, character: str) -> bool:
        found = self.peek() == character
        self._at += found
        return found

    def element(self, number: int) -> Any:
        size = _CHUNK_BYTES
        self.peek()
        while True:
            try:
                value, end = JSON_DECODER.raw_decode(self._buffer, self._at)
            except (ValueError, RecursionError) as error:
                if isinstance(error, json.JSONDecodeError) and not self._ended:
                    # Perhaps only its beginning is here.
                    if len(self._buffer) - self._at <= MAX_ROW_BYTES:
                        self._read(size)
                        size *= 2
                        continue
                    self.refuse(
                        f"has a row {number} longer than {MAX_ROW_BYTES // 1024**2} MB, or one that is no JSON"
                    )
                what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                self.refuse(f"has a row {number} that is not JSON ({what})")
            else:
                if end < len(self._buffer) or self._ended:
                    self._at = end
                    return value
                # A number may go on.
                self._read(_CHUNK_BYTES)

    def _read(self, size: int) -> None:
        data = self._file.read(size)
        try:
            text = self._decoder.decode(data, final=not data)
        except UnicodeDecodeError:
            self.refuse("is not UTF-8 text")
        self._ended = not data
        self._buffer, self._at = self._buffer[self._at :] + text, 0
