"""What counts as a text and as a conversation. Pure functions, shared by actions and imports."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import UnreadableText

ROLES = ("system", "user", "assistant", "tool")
# Longer texts are files that went into the wrong column; a page with one would freeze the browser.
MAX_TEXT_CHARACTERS = 1_000_000
MAX_SHOWN_CHARACTERS = 300  # of somebody else's text in a sentence


def check_text(text: Any, what: str, *, empty: bool = False) -> str:
    """The text itself if it can be stored and shown.

    Raises UnreadableText naming `what` for anything but a string, for NUL, lone surrogates, more than
    MAX_TEXT_CHARACTERS characters and, unless `empty`, for nothing but white space.
    """
    if not isinstance(text, str):
        raise UnreadableText(f"{what} is {type(text).__name__}, not text.")
    if not empty and not text.strip():
        raise UnreadableText(f"{what} is empty.")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise UnreadableText(
            f"{what} has {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} are accepted."
        )
    if "\0" in text:
        raise UnreadableText(f"{what} holds a NUL character.")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UnreadableText(f"{what} holds half a surrogate pair, which is no character.") from error
    return text


def check_messages(messages: Any, what: str = "The prompt") -> list[dict[str, str]]:
    """The conversation as plain {role, content} mappings; it ends with a user or tool turn.

    Raises UnreadableText with one sentence that names the turn.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes) or not messages:
        raise UnreadableText(f"{what} has no messages.")
    clean = []
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise UnreadableText(f"{what}: turn {number} is not an object with role and content.")
        role = message.get("role")
        if role not in ROLES:
            raise UnreadableText(
                f"{what}: the role of turn {number} is {role!r}; use one of {', '.join(ROLES)}."
            )
        # Earlier turns may be empty (real dialogues have such turns); the last one is what is asked.
        empty = number < len(messages)
        content = check_text(message.get("content"), f"{what}: turn {number}", empty=empty)
        clean.append({"role": role, "content": content})
    if clean[-1]["role"] not in ("user", "tool"):
        raise UnreadableText(
            f"{what} ends with a turn of the {clean[-1]['role']}; it must end with the user."
        )
    return clean


def check_storable(value: Any, what: str) -> Any:
    """A JSON value that both databases can keep: no NUL, no half surrogate pair, no infinite number in it."""
    if isinstance(value, str):
        return check_text(value, what, empty=True)
    if isinstance(value, float) and not math.isfinite(value):
        raise UnreadableText(f"{what} holds a number that is not finite.")
    if isinstance(value, Mapping):
        return {
            check_text(name, what, empty=True): check_storable(item, what) for name, item in value.items()
        }
    if isinstance(value, list):
        return [check_storable(item, what) for item in value]
    return value


def printable(text: str, at_most: int = MAX_SHOWN_CHARACTERS) -> str:
    """Somebody else's text as it may stand in a sentence: what a terminal would obey or an encoder refuse is
    spelled out, and of a long one its two ends are left.
    """
    end = at_most // 3
    if len(text) > at_most:
        text = f"{text[: at_most - end - 1]}…{text[-end:]}"
    shown = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    # Once more: spelled out, a letter takes up to ten places.
    return shown if len(shown) <= at_most else f"{shown[: at_most - end - 1]}…{shown[-end:]}"
