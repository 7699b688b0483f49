"""Prompts and responses as a screen shows them: texts, tool calls and labels, never an id or a source."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from annotation.models import Response
from annotation.preferences.scale import labels_to_responses
from annotation.rendering.html_cache import Fragment, message_fragment, response_fragment, show
from annotation.rendering.messages import name_speaker
from learning.interface.messages import Answer, answer_text, goes_on

# Longer ones come folded on the page of a task. About half a screen.
MAX_OPEN_CHARACTERS = 1_500
LINE_CHARACTERS = 80


@dataclass(frozen=True)
class Turn:
    """A turn of a prompt: its text as HTML, and to the letter."""

    role: str
    speaker: str
    html: SafeString
    written: str

    @property
    def is_long(self) -> bool:
        return characters_on_screen([self]) > MAX_OPEN_CHARACTERS


@dataclass(frozen=True)
class DisplayedResponse:
    """A response as it is shown: its label, its text as HTML, and its text to the letter.

    `turns`: where it is the rest of a whole conversation; the HTML is theirs then.
    """

    label: str
    html: SafeString
    written: str
    turns: Sequence[Turn] = ()


def display_task(
    messages: Sequence[Mapping[str, Any]],
    order_shown: Sequence[int],
    answers: Mapping[int, Answer] | None = None,
) -> tuple[list[Turn], list[DisplayedResponse]]:
    """A prompt and the responses with these keys, in the order shown. One read for the HTML, at most, and one for the
    responses where `answers` (by key) are not given.
    """
    if answers is None:
        rows = Response.objects.only("text", "turns").in_bulk(order_shown)
        answers = {key: row.answer for key, row in rows.items()}
    labels = labels_to_responses(list(order_shown))
    return display_texts(messages, {label: answers[key] for label, key in labels.items()})


def display_texts(
    messages: Sequence[Mapping[str, Any]], answers: Mapping[str, Answer]
) -> tuple[list[Turn], list[DisplayedResponse]]:
    """The same for responses that have been read already, by label."""
    fragments = [message_fragment(message) for message in messages]
    for answer in answers.values():
        fragments += response_fragments(answer)
    html = iter(show(fragments))
    turns = _turns(messages, html)
    responses = [displayed_response(label, answer, html) for label, answer in answers.items()]
    return turns, responses


def response_fragments(answer: Answer) -> list[Fragment]:
    """One of an answer; of a conversation that goes on one for each of its turns."""
    if not isinstance(answer, str) and goes_on(answer):
        return [message_fragment(turn) for turn in answer]
    return [response_fragment(answer)]


def displayed_response(label: str, answer: Answer, html: Iterator[SafeString]) -> DisplayedResponse:
    """`html`: of its fragments, which are taken."""
    if not isinstance(answer, str) and goes_on(answer):
        return DisplayedResponse(label, SafeString(""), answer_text(answer), _turns(answer, html))
    return DisplayedResponse(label, next(html), answer_text(answer))


def characters_on_screen(turns: Sequence[Turn]) -> int:
    """How long the turns are: a line that ends early takes a line."""
    return sum(len(turn.written) + LINE_CHARACTERS * turn.written.count("\n") for turn in turns)


def _turns(messages: Sequence[Mapping[str, Any]], html: Iterator[SafeString]) -> list[Turn]:
    return [
        Turn(message["role"], name_speaker(message), next(html), _written(message)) for message in messages
    ]


def _written(message: Mapping[str, Any]) -> str:
    """The speaker stands above it, so that only an assistant's calls need more than the content."""
    return answer_text([dict(message)]) if message["role"] == "assistant" else message["content"]
