"""Prompts and responses as a screen shows them: texts, tool calls and labels, never an id or a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString

from annotation.models import Response
from annotation.preferences.scale import labels_to_responses
from annotation.rendering.html_cache import message_fragment, response_fragment, show
from annotation.rendering.messages import name_speaker
from learning.interface.messages import Answer, answer_text


@dataclass(frozen=True)
class Turn:
    """A turn of a prompt: its text as HTML, and to the letter."""

    role: str
    speaker: str
    html: SafeString
    written: str


@dataclass(frozen=True)
class DisplayedResponse:
    """A response as it is shown: its label, its text as HTML, and its text to the letter."""

    label: str
    html: SafeString
    written: str


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
    fragments += [response_fragment(answer) for answer in answers.values()]
    html = iter(show(fragments))
    turns = [
        Turn(message["role"], name_speaker(message), next(html), _written(message)) for message in messages
    ]
    responses = [
        DisplayedResponse(label, next(html), answer_text(answer)) for label, answer in answers.items()
    ]
    return turns, responses


def _written(message: Mapping[str, Any]) -> str:
    """The speaker stands above it, so that only an assistant's calls need more than the content."""
    return answer_text([dict(message)]) if message["role"] == "assistant" else message["content"]
