"""Safe HTML that is made once and kept: in this process for a while, and in the database for everybody.

It is known by a hash of what is shown and of the version of the rendering, so that nothing of an older version, ours or
a library's, is ever shown. What is missing is made where it is needed; the worker removes rows of older versions
and the oldest of too many.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

from django.core.cache import cache
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from annotation.models import RenderedText
from annotation.rendering.actions import store_rendered, trim_rendered
from annotation.rendering.markdown import render_markdown
from annotation.rendering.messages import render_message, render_response
from learning.interface.messages import Answer

# The number is raised when the output for the same text changes.
VERSION = "6 " + " ".join(f"{name} {version(name)}" for name in ("markdown-it-py", "nh3", "Pygments"))
_CACHE_SECONDS = 24 * 3600
# Longer HTML is not held in the process: Django's cache counts entries, not bytes.
_MAX_CACHED_CHARACTERS = 50_000


@dataclass(frozen=True)
class Fragment:
    """Something to be shown, and the pure function that makes it."""

    render: Callable[[Any], SafeString]
    content: Any

    @cached_property
    def key(self) -> str:
        parts = [VERSION, self.render.__name__, json.dumps(self.content, sort_keys=True)]
        # Words of ours stand in it: who speaks, what is called, that an image is not fetched.
        if self.render is not render_markdown or "![" in self.content:
            parts.append(get_language() or "")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def make(self) -> SafeString:
        return self.render(self.content)


def message_fragment(message: Mapping[str, Any]) -> Fragment:
    """A turn of a prompt; a plain one is its text, wherever else that stands."""
    is_plain = message["role"] != "tool" and not message.get("tool_calls") and message["content"].strip()
    return Fragment(render_markdown, message["content"]) if is_plain else Fragment(render_message, message)


def response_fragment(answer: Answer) -> Fragment:
    """A response; one that is nothing but a text is that text."""
    is_plain = isinstance(answer, str) and answer.strip()
    return Fragment(render_markdown if is_plain else render_response, answer)


def show(fragments: Sequence[Fragment]) -> list[SafeString]:
    """The fragments as safe HTML, in their order: at most one read, and one write where something was new."""
    found = _from_process(fragments)
    missing = {fragment.key: fragment for fragment in fragments if fragment.key not in found}
    if missing:
        rows = RenderedText.objects.filter(key__in=missing).values_list("key", "html")
        stored = dict(rows)
        made = {key: str(fragment.make()) for key, fragment in missing.items() if key not in stored}
        if made:
            store_rendered(made, version=VERSION)
        fresh = stored | made
        cache.set_many(_short_ones(fresh.items()), _CACHE_SECONDS)
        found |= fresh
    return [mark_safe(found[fragment.key]) for fragment in fragments]  # noqa: S308 - rendering has cleaned it


def show_markdown(text: str) -> SafeString:
    """One untrusted Markdown text as safe HTML."""
    return show([Fragment(render_markdown, text)])[0]


def trim() -> int:
    """Removes what no page of this version reads, and the oldest of too much; how many rows."""
    return trim_rendered(version=VERSION)


def _from_process(fragments: Iterable[Fragment]) -> dict[str, str]:
    found = cache.get_many([f"html:{fragment.key}" for fragment in fragments])
    return {key.removeprefix("html:"): html for key, html in found.items()}


def _short_ones(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {f"html:{key}": html for key, html in rows if len(html) <= _MAX_CACHED_CHARACTERS}
