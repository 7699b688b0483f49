"""What callers give as rows of content, checked and in the form in which it is stored."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annotation.content.splits import hash_first_turn
from annotation.errors import InvalidText, PromptConflict
from annotation.models import Prompt, hash_messages, new_external_id
from annotation.text import clean_messages, clean_text
from learning.interface.messages import Messages
from workspace.models import User

MAX_ID_CHARACTERS = 200
MAX_LICENCE_CHARACTERS = 200
_PROMPT_KINDS = Prompt.Kind.values  # the enumeration makes the list anew each time


@dataclass(frozen=True, kw_only=True)
class CleanPromptRow:
    external_id: str | None
    content_hash: str
    messages: Messages
    kind: str
    tags: list[str]
    author: User | None
    first_turn_hash: str
    split: str | None
    source_id: str | None
    metadata: dict[str, Any] | None


def clean_prompt_row(row: Mapping[str, Any]) -> CleanPromptRow:
    messages = clean_messages(row.get("messages"))
    kind = row.get("kind") or Prompt.Kind.PLAIN
    if kind not in _PROMPT_KINDS:
        raise PromptConflict(f"“{kind}” is not a kind of prompt: use plain, few-shot or user-based.")
    tags = [clean_text(tag, "A tag") for tag in row.get("tags") or []]
    prompt_id = row.get("prompt_id")
    return CleanPromptRow(
        external_id=clean_id(prompt_id, "The prompt's id") if prompt_id is not None else None,
        content_hash=hash_messages(messages),
        messages=messages,
        kind=kind,
        tags=tags,
        author=row.get("author"),
        first_turn_hash=hash_first_turn(messages),
        split=row.get("split"),
        source_id=row.get("source_id"),
        metadata=dict(row["metadata"]) if row.get("metadata") else None,
    )


def clean_or_new_id(row_id: str | None, what: str, new: uuid.UUID | None = None) -> str:
    """`new`: what a row without an id of its own gets, if not just any."""
    if row_id:
        return clean_id(row_id, what)
    return new_external_id() if new is None else new.hex


def clean_id(value: Any, what: str) -> str:
    clean_text(value, what)
    if len(value) > MAX_ID_CHARACTERS:
        raise InvalidText(f"{what} has more than {MAX_ID_CHARACTERS} characters.", code="id_too_long")
    return value


def clean_licence(licence: str) -> str:
    if len(clean_text(licence, "The licence", allow_empty=True)) > MAX_LICENCE_CHARACTERS:
        raise InvalidText(
            f"The licence has more than {MAX_LICENCE_CHARACTERS} characters: name it, do not quote it."
        )
    return licence.strip()
