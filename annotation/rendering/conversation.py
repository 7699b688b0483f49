"""Prompts and responses as a screen shows them: texts, tool calls and labels, never an id or a source."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from annotation.models import Response
from annotation.preferences.scale import labels_to_responses
from annotation.rendering.markdown import render_markdown
from annotation.rendering.tool_calls import render_calls, render_result
from learning.interface.messages import Answer, answer_text

ROLE_LABELS = {"user": "User", "assistant": "Assistant", "system": "Instructions", "tool": "Tool"}


@dataclass(frozen=True)
class Turn:
    role: str
    speaker: str
    html: SafeString


@dataclass(frozen=True)
class DisplayedResponse:
    """A response as it is shown: its label, its text as HTML, and its text to the letter."""

    label: str
    html: SafeString
    written: str


def render_conversation(messages: Sequence[Mapping[str, Any]]) -> list[Turn]:
    return [Turn(message["role"], _speaker(message), _render_message(message)) for message in messages]


def _speaker(message: Mapping[str, Any]) -> str:
    speaker = ROLE_LABELS.get(message["role"], message["role"])
    return f"{speaker} ({message['name']})" if message.get("name") else speaker


def _render_message(message: Mapping[str, Any]) -> SafeString:
    if message["role"] == "tool":
        return render_result(message["content"])
    text = render_markdown(message["content"]) if message["content"].strip() else SafeString("")
    calls = message.get("tool_calls")
    return format_html("{}{}", text, render_calls(calls)) if calls else text


def _render_speaker(turn: Mapping[str, Any]) -> SafeString:
    """Who speaks in a turn of a response, where it is not the assistant."""
    if turn["role"] == "assistant":
        return SafeString("")
    return format_html('<p class="turn-speaker">{}</p>', _speaker(turn))


def render_response(answer: Answer) -> SafeString:
    """A blank response says that it is one: an empty box looks like a fault of the page."""
    if not isinstance(answer, str):
        turns = ((turn["role"], _render_speaker(turn), _render_message(turn)) for turn in answer)
        return format_html_join("", '<div class="answer-turn answer-turn-{}">{}{}</div>', turns)
    if not answer.strip():
        return format_html('<p class="empty-answer">{}</p>', "(empty answer)")
    return render_markdown(answer)


def displayed_responses(
    order_shown: Sequence[int], answers: Mapping[int, Answer] | None = None
) -> list[DisplayedResponse]:
    """The responses with these keys, read where `answers` (by key) are not given."""
    if answers is None:
        rows = Response.objects.only("text", "turns").in_bulk(order_shown)
        answers = {key: row.answer for key, row in rows.items()}
    return [
        DisplayedResponse(label, render_response(answers[key]), answer_text(answers[key]))
        for label, key in labels_to_responses(list(order_shown)).items()
    ]
