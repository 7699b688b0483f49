"""What changed between two texts: by lines, and within changed lines by words."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

Kind = Literal["same", "removed", "added"]
CONTEXT = 2  # unchanged lines shown around a change
# Lines beyond it are compared as wholes: words against words cost the product of their numbers.
MAX_WORDS = 400
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Part:
    text: str
    is_changed: bool


@dataclass(frozen=True)
class Line:
    kind: Kind
    parts: tuple[Part, ...]
    skipped: int = 0  # unchanged lines left out before this one


def compare_texts(before: str, after: str) -> list[Line]:
    """The changed lines with a few unchanged ones around them; nothing where the texts are the same."""
    old, new = before.splitlines(), after.splitlines()
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    found: list[Line] = []
    shown_to = 0  # of the old lines
    for group in matcher.get_grouped_opcodes(CONTEXT):
        skipped = group[0][1] - shown_to
        lines = [line for code in group for line in _lines(code, old, new)]
        found.append(Line(lines[0].kind, lines[0].parts, skipped))
        found += lines[1:]
        shown_to = group[-1][2]
    return found


def _lines(code: tuple[str, int, int, int, int], old: list[str], new: list[str]) -> Iterator[Line]:
    tag, start, end, new_start, new_end = code
    if tag == "equal":
        yield from (Line("same", (Part(line, False),)) for line in old[start:end])
        return
    removed, added = old[start:end], new[new_start:new_end]
    pairs = [_words(*pair) for pair in zip(removed, added, strict=False)]
    common = len(pairs)
    yield from (Line("removed", before) for before, _ in pairs)
    yield from (Line("removed", (Part(line, True),)) for line in removed[common:])
    yield from (Line("added", after) for _, after in pairs)
    yield from (Line("added", (Part(line, True),)) for line in added[common:])


def _words(before: str, after: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > MAX_WORDS:
        return (Part(before, True),), (Part(after, True),)
    left: list[Part] = []
    right: list[Part] = []
    for tag, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if start < end:
            left.append(Part("".join(old[start:end]), tag != "equal"))
        if new_start < new_end:
            right.append(Part("".join(new[new_start:new_end]), tag != "equal"))
    return tuple(left), tuple(right)
