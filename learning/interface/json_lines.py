"""A value as one line of a JSON Lines file."""

import json
from typing import Any

# Line breaks to Unicode, and to readers that split text into lines, though not to JSON. Control characters are
# escaped by JSON itself.
_ESCAPES = {character: f"\\u{ord(character):04x}" for character in "\u0085\u2028\u2029"}


def json_line(value: Any) -> bytes:
    """UTF-8 with its newline. Raises ValueError for NaN and infinities, which JSON does not have."""
    return escape_line_breaks(json_fragment(value)).encode() + b"\n"


def json_fragment(value: Any) -> str:
    """The value as a part of such a line, before its line breaks are escaped."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def escape_line_breaks(text: str) -> str:
    # str.translate looks at every character in turn: it took more than the encoding itself.
    for character, escaped in _ESCAPES.items():
        if character in text:
            text = text.replace(character, escaped)
    return text
