"""A text as its reader sees it: what it answers, its turns, how versions differ."""

from typing import Any

from annotation.models import WritingItem, WritingVersion, WritingWork
from annotation.rendering.conversation import Turn, display_texts
from annotation.rendering.differences import Line, compare_texts
from annotation.rendering.markdown import excerpt
from annotation.writing.texts import messages_of


def shown_prompt(item: WritingItem) -> list[Turn]:
    """The conversation that is answered; empty where none is."""
    return display_texts(item.prompt.messages, {})[0] if item.prompt is not None else []


def shown_turns(work: WritingWork, turns: list[str]) -> list[Turn]:
    """The written text: an answer is the assistant's, a prompt the user's."""
    messages = messages_of(turns)
    if work.kind in (WritingWork.Kind.ANSWER, WritingWork.Kind.EDIT):
        messages = [{"role": "assistant", "content": turns[0]}]
    return display_texts(messages, {})[0]


def shown_versions(item: WritingItem) -> list[dict[str, Any]]:
    """The newest first, each with what was said of it, and its difference from the one before."""
    rows: list[dict[str, Any]] = []
    before = item.edited_response.text if item.edited_response is not None else None
    versions = item.versions.select_related("written_by", "review__reviewer").prefetch_related("results")
    for version in versions.order_by("number"):
        rows.append(
            {
                "version": version,
                "review": getattr(version, "review", None),
                "turns": shown_turns(item.work, version.turns),
                "difference": _difference(before, version),
            }
        )
        before = "\n\n".join(version.turns)
    return rows[::-1]


def _difference(before: str | None, version: WritingVersion) -> list[Line]:
    return [] if before is None else compare_texts(before, "\n\n".join(version.turns))


def title_of(item: WritingItem, length: int = 120) -> str:
    """What tells it from others in a list: what is answered, or the text's beginning."""
    if item.prompt is not None:
        return excerpt(item.prompt.messages[-1]["content"], length)
    last = item.versions.order_by("-number").first()
    return excerpt(last.turns[0], length) if last is not None else item.work.get_kind_display()
