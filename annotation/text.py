"""Which texts, conversations and JSON values may be stored, and other people's text in a sentence. Pure functions."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import InvalidText
from learning.interface.messages import (
    Answer,
    MessageProblem,
    Messages,
    goes_on,
    read_optional_fields,
    to_answer,
)
from learning.interface.text import find_unstorable_character
from learning.interface.vocabulary import LAST_ROLES, ROLES

# Longer texts are files that went into the wrong column; a page with one would freeze the browser.
MAX_TEXT_CHARACTERS = 1_000_000
MAX_EXCERPT_CHARACTERS = 300
MAX_DEPTH = 100  # of a JSON value
GOES_ON = "goes on with another user turn, and one answer is meant"


def clean_text(text: Any, what: str, *, allow_empty: bool = False) -> str:
    """The text itself if it can be stored and shown.

    Raises InvalidText naming `what` for anything but a string, for NUL, lone surrogates, more than
    MAX_TEXT_CHARACTERS characters and, unless `allow_empty`, for nothing but white space.
    """
    if not isinstance(text, str):
        raise InvalidText(f"{what} is {type(text).__name__}, not text.")
    if not allow_empty and not text.strip():
        raise InvalidText(f"{what} is empty.")
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InvalidText(
            f"{what} has {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} are accepted."
        )
    if unstorable := find_unstorable_character(text):
        raise InvalidText(f"{what} holds {unstorable.name}, which cannot be stored.")
    return text


def clean_messages(messages: Any, what: str = "The prompt") -> Messages:
    """The conversation as it is stored (learning.interface.messages); it ends with a user or tool turn.

    Raises InvalidText with one sentence that names the turn.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes) or not messages:
        raise InvalidText(f"{what} has no messages.")
    cleaned = []
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping):
            raise InvalidText(f"{what}: turn {number} is not an object with role and content.")
        role = message.get("role")
        if role not in ROLES:
            raise InvalidText(
                f"{what}: the role of turn {number} is {role!r}; use one of {', '.join(ROLES)}."
            )
        # Earlier turns may be empty (real dialogues have such turns); the last one is what is asked.
        is_last = number == len(messages)
        cleaned.append(_clean_message(message, f"{what}: turn {number}", allow_empty=not is_last))
    if cleaned[-1]["role"] not in LAST_ROLES:
        raise InvalidText(f"{what} ends with a turn of the {cleaned[-1]['role']}; it must end with the user.")
    return cleaned


def clean_answer(answer: Answer, what: str = "The response") -> Answer:
    """A response as it is stored: its text, which may be empty (a policy may end at once), or its turns.

    Turns begin and end with the assistant's; those of the user between them are how a whole conversation goes on.

    Raises InvalidText.
    """
    if isinstance(answer, str):
        return clean_text(answer, what, allow_empty=True)
    turns = [
        _clean_message(turn, f"{what}: turn {number}", allow_empty=True)
        for number, turn in enumerate(answer, start=1)
    ]
    if problem := find_turns_problem([turn["role"] for turn in turns]):
        raise InvalidText(f"{what} {problem}.")
    return to_answer(turns)


def clean_single_answer(answer: Answer, what: str) -> Answer:
    """The same, of which no turn is a user's: what one answers, not how a conversation goes on."""
    cleaned = clean_answer(answer, what)
    if goes_on(cleaned):
        raise InvalidText(f"{what} {GOES_ON}.")
    return cleaned


def find_turns_problem(roles: Sequence[str]) -> str | None:
    """Why turns of these roles are no response, as the end of a sentence; None for a response."""
    if not roles:
        return "has no turns"
    if any(role not in ("assistant", "tool", "user") for role in roles):
        return "should be assistant turns, with results of tools or turns of the user between them at most"
    if roles[0] != "assistant" or roles[-1] != "assistant":
        return "should begin and end with an assistant turn"
    return None


def _clean_message(message: Mapping[str, Any], what: str, *, allow_empty: bool) -> dict[str, Any]:
    try:
        optional = read_optional_fields(
            message, lambda value, path: clean_text(value, f"{what}, {path}", allow_empty=True)
        )
    except MessageProblem as problem:
        raise InvalidText(f"{what}: {problem.path} {problem.reason}.") from problem
    content = message.get("content")
    if content is None and "tool_calls" in optional:
        content = ""  # a call needs no words
    return {
        "role": message.get("role"),
        "content": clean_text(content, what, allow_empty=allow_empty),
        **optional,
    }


def clean_json_value(value: Any, what: str, depth: int = 0) -> Any:
    """A JSON value that both databases can keep: no NUL, no half surrogate pair, no infinite number in it, and not
    nested deeper than what encodes it can follow.
    """
    if depth > MAX_DEPTH:
        raise InvalidText(f"{what} is nested more than {MAX_DEPTH} deep.")
    if isinstance(value, str):
        return clean_text(value, what, allow_empty=True)
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidText(f"{what} holds a number that is not finite.")
    if isinstance(value, Mapping):
        return {
            clean_text(name, what, allow_empty=True): clean_json_value(item, what, depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [clean_json_value(item, what, depth + 1) for item in value]
    return value


def safe_excerpt(text: str, max_characters: int = MAX_EXCERPT_CHARACTERS) -> str:
    """Somebody else's text as it may stand in a sentence.

    Characters that a terminal would obey or an encoder refuse are spelled out; of a long text the two ends are left.
    """
    escaped = "".join(
        letter if letter.isprintable() else repr(letter)[1:-1] for letter in _two_ends(text, max_characters)
    )
    # Once more: spelled out, a letter takes up to ten characters.
    return _two_ends(escaped, max_characters)


def _two_ends(text: str, max_characters: int) -> str:
    if len(text) <= max_characters:
        return text
    end = max_characters // 3
    return f"{text[: max_characters - end - 1]}…{text[-end:]}"
