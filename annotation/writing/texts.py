"""What may be sent: the number of turns, and words. Pure functions."""

from collections.abc import Sequence
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from annotation.errors import InvalidWriting
from annotation.models import WritingWork
from annotation.text import clean_text

MAX_CHARACTERS = 100_000  # of one turn: longer ones are not shown as Markdown either
MAX_TURNS = 40


def _number(number: int) -> str:
    """With the marks between thousands that the reader's language has."""
    return number_format(number, force_grouping=True)


def count_words(text: str) -> int:
    """What stands between white space."""
    return len(text.split())


def clean_turns(work: WritingWork, turns: Any) -> list[str]:
    """The texts as they are stored: line ends as LF, without white space around. Raises InvalidWriting, InvalidText.

    A dialogue has the user's and the assistant's turns in alternation and ends with the assistant's; the others are
    one text.
    """
    if not isinstance(turns, Sequence) or isinstance(turns, str | bytes) or not turns:
        raise InvalidWriting(gettext("There is no text."))
    is_dialogue = work.kind == WritingWork.Kind.DIALOGUE
    if is_dialogue and (len(turns) % 2 or len(turns) > MAX_TURNS):
        raise InvalidWriting(
            gettext("A dialogue ends with an answer and has at most %(most)d turns; this one has %(turns)d.")
            % {"most": MAX_TURNS, "turns": len(turns)}
        )
    if not is_dialogue and len(turns) != 1:
        raise InvalidWriting(
            gettext("One text is asked for; this has %(turns)d turns.") % {"turns": len(turns)}
        )
    cleaned = []
    for number, turn in enumerate(turns, start=1):
        what = gettext("Turn %(number)d") % {"number": number} if is_dialogue else gettext("The text")
        text = clean_text(turn, what, allow_empty=True).replace("\r\n", "\n").replace("\r", "\n").strip()
        if len(text) > MAX_CHARACTERS:
            raise InvalidWriting(
                gettext("%(what)s has %(n)s characters; at most %(most)s.")
                % {"what": what, "n": _number(len(text)), "most": _number(MAX_CHARACTERS)}
            )
        words = count_words(text)
        # What the user of a dialogue says may be as short as people are.
        least = 1 if is_dialogue and number % 2 else work.min_words
        if not least <= words <= work.max_words:
            raise InvalidWriting(
                ngettext(
                    "%(what)s has one word; %(least)s to %(most)s are asked for.",
                    "%(what)s has %(n)s words; %(least)s to %(most)s are asked for.",
                    words,
                )
                % {
                    "what": what,
                    "n": _number(words),
                    "least": _number(least),
                    "most": _number(work.max_words),
                }
            )
        cleaned.append(text)
    return cleaned


def clean_draft(turns: Any) -> list[str]:
    """What is typed so far, of any length; may be empty. Raises InvalidWriting, InvalidText."""
    if not isinstance(turns, list) or len(turns) > MAX_TURNS:
        raise InvalidWriting(gettext("A draft is a list of at most %(most)d texts.") % {"most": MAX_TURNS})
    texts = [clean_text(turn, "The draft", allow_empty=True) for turn in turns]
    if any(len(text) > MAX_CHARACTERS for text in texts):
        raise InvalidWriting(
            gettext("A text has more than %(most)s characters: it is not kept on the server.")
            % {"most": _number(MAX_CHARACTERS)}
        )
    return texts


def messages_of(turns: Sequence[str]) -> list[dict[str, str]]:
    """A dialogue's turns as messages."""
    return [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(turns)]
