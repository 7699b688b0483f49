"""A message or a response as safe HTML: texts, tool calls and their results. Pure: nothing is read or kept."""

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, gettext_noop

from annotation.rendering.highlighting import HighlightBudget
from annotation.rendering.markdown import render_markdown
from annotation.rendering.tool_calls import render_calls, render_result
from learning.interface.messages import Answer

ROLE_LABELS = {
    "user": gettext_noop("User"),
    "assistant": gettext_noop("Assistant"),
    "system": gettext_noop("Instructions"),
    "tool": gettext_noop("Tool"),
}


def name_speaker(message: Mapping[str, Any]) -> str:
    speaker = gettext(ROLE_LABELS.get(message["role"], message["role"]))
    return f"{speaker} ({message['name']})" if message.get("name") else speaker


def render_message(message: Mapping[str, Any], budget: HighlightBudget | None = None) -> SafeString:
    """What is said and called in the message; who speaks is not in it."""
    budget = budget or HighlightBudget()
    if message["role"] == "tool":
        return render_result(message["content"])
    text = render_markdown(message["content"], budget) if message["content"].strip() else SafeString("")
    calls = message.get("tool_calls")
    return format_html("{}{}", text, render_calls(calls, budget)) if calls else text


def render_response(answer: Answer) -> SafeString:
    """A blank response says that it is one: an empty box looks like a fault of the page."""
    if not isinstance(answer, str):
        budget = HighlightBudget()
        turns = ((turn["role"], _render_speaker(turn), render_message(turn, budget)) for turn in answer)
        return format_html_join("", '<div class="answer-turn answer-turn-{}">{}{}</div>', turns)
    if not answer.strip():
        return format_html('<p class="empty-answer">{}</p>', gettext("(empty answer)"))
    return render_markdown(answer)


def _render_speaker(turn: Mapping[str, Any]) -> SafeString:
    """Who speaks in a turn of a response, where it is not the assistant."""
    if turn["role"] == "assistant":
        return SafeString("")
    return format_html('<p class="turn-speaker">{}</p>', name_speaker(turn))
