"""Tool calls and the results of tools on the screen: names and values as they are, never as Markdown."""

import json
from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from annotation.rendering.highlighting import HighlightBudget, highlight_code

MAX_INDENTED_CHARACTERS = 20_000


def render_calls(calls: list[Mapping[str, Any]], budget: HighlightBudget) -> SafeString:
    """Each call as its name and its arguments, one a line."""
    return format_html_join("", "{}", ((_render_call(call, budget),) for call in calls))


def _render_call(call: Mapping[str, Any], budget: HighlightBudget) -> SafeString:
    return format_html(
        '<div class="tool-call"><p class="tool-call-name"><span class="muted">{}</span> <code>{}</code></p>'
        '<pre class="code-block" tabindex="0"><code>{}</code></pre></div>',
        gettext("Calls"),
        call["name"],
        highlight_code(indent_json(call["arguments"]), "json", budget),
    )


def render_result(text: str) -> SafeString:
    """What a tool said, to the letter."""
    if not text.strip():
        return format_html('<p class="empty-answer">{}</p>', gettext("(nothing)"))
    return format_html('<pre class="tool-result" tabindex="0">{}</pre>', text)


def indent_json(text: str) -> str:
    """JSON with a line for each value. Only white space outside of strings changes: numbers, escapes and repeated keys
    stay as they were written. What is no JSON, or is very long, stays whole.
    """
    if len(text) > MAX_INDENTED_CHARACTERS:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    parts: list[str] = []
    depth, position = 0, 0
    while position < len(text):
        letter = text[position]
        if letter == '"':
            end = position + 1
            while text[end] != '"':
                end += 2 if text[end] == "\\" else 1
            parts.append(text[position : end + 1])
            position = end
        elif letter in "{[":
            rest = text[position + 1 :].lstrip()
            if rest[0] in "}]":
                parts.append(letter + rest[0])
                position = len(text) - len(rest)
            else:
                depth += 1
                parts.append(letter + "\n" + "  " * depth)
        elif letter in "}]":
            depth -= 1
            parts.append("\n" + "  " * depth + letter)
        elif letter == ",":
            parts.append(",\n" + "  " * depth)
        elif letter == ":":
            parts.append(": ")
        elif not letter.isspace():
            parts.append(letter)
        position += 1
    return "".join(parts)
