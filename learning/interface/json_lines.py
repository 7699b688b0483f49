"""A value as one line of a JSON Lines file."""

import json
from typing import Any

# Line breaks to Unicode, and to readers that split text into lines, though not to JSON. Control characters are
# escaped by JSON itself.
_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "\u0085\u2028\u2029"}


def json_line(value: Any) -> bytes:
    """UTF-8 with its newline. Raises ValueError for NaN and infinities, which JSON does not have."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_ESCAPES).encode() + b"\n"
