"""Texts. Which can be stored: PostgreSQL keeps no NUL, UTF-8 no half of a surrogate pair."""

from typing import NamedTuple


def gettext_noop(text: str) -> str:
    """Marks a text for translation where nothing of Django may be imported: who shows it calls gettext."""
    return text


class UnstorableCharacter(NamedTuple):
    position: int  # from 1
    name: str  # as it may stand in a sentence


def find_unstorable_character(text: str) -> UnstorableCharacter | None:
    """The first NUL character, else the first half of a surrogate pair; None for storable text."""
    if (position := text.find("\x00") + 1) > 0:
        return UnstorableCharacter(position, "a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return UnstorableCharacter(error.start + 1, "half of a surrogate pair")
    return None


def replace_unstorable_characters(text: str) -> str:
    """For text that programs wrote: NUL becomes U+FFFD, half of a surrogate pair a question mark."""
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()
