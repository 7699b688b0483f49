"""Names of content warnings: of batches, of prompts (a tag `warning:NAME`), and of what somebody does not want to see.

A batch stores its own as one text, "|self-harm|violence|", which the queue's SQL compares a name with.
"""

import re
from collections.abc import Iterable

from annotation.errors import InvalidBatch

TAG_PREFIX = "warning:"
MAX_WARNINGS = 20
# No sign that LIKE gives a meaning.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,29}")


def clean_warnings(names: Iterable[str]) -> list[str]:
    """In small letters, sorted, each once. Raises InvalidBatch."""
    cleaned = sorted({name.strip().lower().replace(" ", "-") for name in names if name.strip()})
    for name in cleaned:
        if not _NAME.fullmatch(name):
            sentence = f"“{name[:40]}” is no content warning: 1 to 30 Latin letters, digits and -."
            raise InvalidBatch(sentence, fields={"content_warnings": sentence})
    if len(cleaned) > MAX_WARNINGS:
        sentence = f"At most {MAX_WARNINGS} content warnings."
        raise InvalidBatch(sentence, fields={"content_warnings": sentence})
    return cleaned


def warnings_of_tags(tags: Iterable[str]) -> set[str]:
    """What a prompt's tags warn of; a tag that is no name warns of nothing."""
    names = {tag.removeprefix(TAG_PREFIX).strip().lower() for tag in tags if tag.startswith(TAG_PREFIX)}
    return {name for name in names if _NAME.fullmatch(name)}


def join_warnings(names: Iterable[str]) -> str | None:
    """As a batch stores them; None where there are none."""
    joined = "|".join(sorted(set(names)))
    return f"|{joined}|" if joined else None


def split_warnings(stored: str | None) -> list[str]:
    return [name for name in (stored or "").split("|") if name]
