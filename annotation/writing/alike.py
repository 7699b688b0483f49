"""Prompts like the one that is being written.

The same one is found by its hash, among all prompts of the project. Alike ones are looked for among the newest prompts
of the set it goes to and the newest that others have sent for the same work: a bounded number, since it is asked while
somebody types. Near-duplicate groups (annotation.content.near_duplicates) are made only where a project asks for them.
"""

from dataclasses import dataclass

from annotation.content.near_duplicates import (
    SIMILARITY,
    comparable_text,
    similarity,
)
from annotation.models import Prompt, WritingItem, WritingVersion, WritingWork, hash_messages

COMPARED = 200  # of each of the two


@dataclass(frozen=True)
class Alike:
    text: str
    is_same: bool


def find_same(work: WritingWork, text: str) -> Prompt | None:
    """The project's prompt of just this text."""
    content_hash = hash_messages([{"role": "user", "content": text}])
    return Prompt.objects.filter(project_id=work.project_id, content_hash=content_hash).first()


def find_alike(work: WritingWork, text: str, *, item: WritingItem | None = None) -> Alike | None:
    """The one most like `text`, if its letters' 5-grams have a Jaccard similarity of at least SIMILARITY to it."""
    if work.kind != WritingWork.Kind.PROMPT or not text.strip():
        return None
    text = text.strip()
    if find_same(work, text) is not None:
        return Alike(text, True)
    others: list[str] = []
    if work.prompt_set_id:
        stored = Prompt.objects.filter(prompt_sets=work.prompt_set_id).order_by("-pk")
        others += [
            messages[0]["content"]
            for messages in stored.values_list("messages", flat=True)[:COMPARED]
            if len(messages) == 1
        ]
    sent = WritingVersion.objects.filter(item__work=work).order_by("-pk")
    if item is not None:
        sent = sent.exclude(item=item)
    others += [turns[0] for turns in sent.values_list("turns", flat=True)[:COMPARED]]
    if text in others:  # sent by somebody, and not accepted: it can be sent
        return Alike(text, False)
    ours = _comparable(text)
    best = max(((similarity(ours, _comparable(other)), other) for other in others), default=(0.0, ""))
    return Alike(best[1], False) if best[0] >= SIMILARITY else None


def _comparable(text: str) -> str:
    # The beginning is enough to tell, and keeps it quick however long the texts are.
    return comparable_text([{"role": "user", "content": text[:4000]}])
