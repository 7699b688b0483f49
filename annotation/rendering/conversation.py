"""Prompts and responses as a screen shows them: texts and labels, never an id or a source."""

from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString

from annotation.models import Response
from annotation.preferences.scale import labels_to_responses
from annotation.rendering.markdown import render_markdown

ROLE_LABELS = {"user": "User", "assistant": "Assistant", "system": "Instructions", "tool": "Tool"}


@dataclass(frozen=True)
class Turn:
    role: str
    speaker: str
    html: SafeString


@dataclass(frozen=True)
class DisplayedResponse:
    """A response as it is shown: its label and its text."""

    label: str
    html: SafeString


def render_conversation(messages: list[dict[str, str]]) -> list[Turn]:
    return [
        Turn(
            message["role"],
            ROLE_LABELS.get(message["role"], message["role"]),
            render_markdown(message["content"]),
        )
        for message in messages
    ]


def render_response(text: str) -> SafeString:
    """A blank response says that it is one: an empty box looks like a fault of the page."""
    if not text.strip():
        return format_html('<p class="empty-answer">{}</p>', "(empty answer)")
    return render_markdown(text)


def displayed_responses(order_shown: list[int]) -> list[DisplayedResponse]:
    texts = dict(Response.objects.filter(pk__in=order_shown).values_list("pk", "text"))
    return [
        DisplayedResponse(label, render_response(texts[key]))
        for label, key in labels_to_responses(order_shown).items()
    ]
