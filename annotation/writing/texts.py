"""What may be sent: the number of turns, and words. Pure functions."""

from collections.abc import Sequence
from typing import Any

from annotation.errors import InvalidWriting
from annotation.models import WritingWork
from annotation.text import clean_text

MAX_CHARACTERS = 100_000  # of one turn: longer ones are not shown as Markdown either
MAX_TURNS = 40


def count_words(text: str) -> int:
    """What stands between white space."""
    return len(text.split())


def clean_turns(work: WritingWork, turns: Any) -> list[str]:
    """The texts as they are stored: line ends as LF, without white space around. Raises InvalidWriting, InvalidText.

    A dialogue has the user's and the assistant's turns in alternation and ends with the assistant's; the others are
    one text.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str | bytes) or not turns:
        raise InvalidWriting("There is no text.")
    is_dialogue = work.kind == WritingWork.Kind.DIALOGUE
    if is_dialogue and (len(turns) % 2 or len(turns) > MAX_TURNS):
        raise InvalidWriting(
            f"A dialogue ends with an answer and has at most {MAX_TURNS} turns; this one has {len(turns)}."
        )
    if not is_dialogue and len(turns) != 1:
        raise InvalidWriting(f"One text is asked for; this has {len(turns)} turns.")
    cleaned = []
    for number, turn in enumerate(turns, start=1):
        what = f"Turn {number}" if is_dialogue else "The text"
        text = clean_text(turn, what).replace("\r\n", "\n").replace("\r", "\n").strip()
        if len(text) > MAX_CHARACTERS:
            raise InvalidWriting(f"{what} has {len(text):,} characters; at most {MAX_CHARACTERS:,}.")
        words = count_words(text)
        # What the user of a dialogue says may be as short as people are.
        least = 1 if is_dialogue and number % 2 else work.min_words
        if not least <= words <= work.max_words:
            raise InvalidWriting(
                f"{what} has {words:,} word{'' if words == 1 else 's'}; {least:,} to {work.max_words:,} are asked for."
            )
        cleaned.append(text)
    return cleaned


def clean_draft(turns: Any) -> list[str]:
    """What is typed so far, of any length; may be empty. Raises InvalidWriting, InvalidText."""
    if not isinstance(turns, list) or len(turns) > MAX_TURNS:
        raise InvalidWriting(f"A draft is a list of at most {MAX_TURNS} texts.")
    texts = [clean_text(turn, "The draft", allow_empty=True) for turn in turns]
    if any(len(text) > MAX_CHARACTERS for text in texts):
        raise InvalidWriting(
            f"A text has more than {MAX_CHARACTERS:,} characters: it is not kept on the server."
        )
    return texts


def messages_of(turns: Sequence[str]) -> list[dict[str, str]]:
    """A dialogue's turns as messages."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]
