"""What an annotator's screen is made of. Blind: texts and labels, never an id, a source, a purpose or a priority."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.utils.crypto import salted_hmac
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from annotation.annotator.asked import asked_context
from annotation.annotator.shortcuts import key_caps
from annotation.models import Assignment, Judgment
from annotation.preferences.scale import (
    SCALE_POINTS,
    STRENGTH_CHOICES,
    STRENGTH_NAMES,
    marks_by_label,
    order_to_scale,
    tiers_to_labels,
)
from annotation.queue.claimed_tasks import TaskContent
from annotation.rendering.conversation import MAX_OPEN_CHARACTERS, characters_on_screen, display_task
from annotation.rendering.html_cache import show_markdown
from workspace.asked import Asked
from workspace.models import Guideline, Project, QuestionSettings, User
from workspace.project_context import ProjectContext

# Raised with every change of the work page's script that the fragments of tasks depend on.
PAGE_VERSION = "5"
# In the first version digits said other strengths, and none was a tie.
PAGES_WITH_THESE_KEYS = ("2", "3", "4", PAGE_VERSION)
# Earlier turns beyond so many, or longer than half a screen, come folded; a last turn that long is shortened.
MAX_OPEN_TURNS = 4


def scale_points() -> list[dict[str, Any]]:
    """The eight points: the label that each puts first, by how much, and the key that chooses it."""
    keys = key_caps()
    return [
        {
            "value": value,
            "label": label,
            "strength": strength,
            "name": gettext(STRENGTH_NAMES[strength]),
            "or": gettext(STRENGTH_CHOICES[strength]).removeprefix(gettext(STRENGTH_NAMES[strength])),
            "key": keys[f"choose_point_{value}"],
        }
        for value, (label, strength) in SCALE_POINTS.items()
    ]


def step_strengths(keys: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a step between two tiers of a ranking can be, and the key that says it."""
    return [
        {"value": strength, "name": gettext(name), "key": keys[f"set_strength_{strength}"]}
        for strength, name in STRENGTH_CHOICES.items()
    ]


def guideline_content(project: Project, project_context: ProjectContext | None = None) -> dict[str, Any]:
    """The guideline in force, as it goes to the screen: version (0: none yet) and text as HTML (empty: none)."""
    newest = project_context.guideline if project_context else project.guidelines.latest_version()
    return {"version": newest.version if newest else 0, "html": _guideline_html(newest) if newest else ""}


@lru_cache(maxsize=64)
def _html_of_guideline(pk: int, created_at: datetime) -> SafeString:
    # A version is never changed; the time tells a database from another one in the same process.
    text = Guideline.objects.get(pk=pk, created_at=created_at).text
    return show_markdown(text) if text.strip() else SafeString("")


def _guideline_html(guideline: Guideline) -> SafeString:
    return _html_of_guideline(guideline.pk, guideline.created_at)


def task_context(
    assignment: Assignment,
    content: TaskContent,
    settings: QuestionSettings | None,
    *,
    judgment: Judgment | None = None,
    page_version: str | None = PAGE_VERSION,
) -> dict[str, Any]:
    """Context of the task's fragment, as it was asked under `settings`.

    With `judgment` (the annotator's own) it is filled in for revision.

    A page that was opened before an update has its script and its keys of then: the hints are those of then, and what
    only the script of now can open comes open.
    """
    turns, responses = display_task(content.messages, assignment.order_shown, content.answers)
    earlier = None
    if judgment is not None:
        tiers = tiers_to_labels(judgment.order_shown, judgment.tiers)
        earlier = {
            "tiers": tiers,
            "strengths": judgment.strengths,
            "marks": marks_by_label(judgment.order_shown, judgment.marks),
            "confidence": judgment.confidence,
            "rationale": judgment.rationale,
            "flags": judgment.flags,
        }
        if len(responses) == 2:
            earlier["value"] = order_to_scale(tiers, judgment.strengths)
    earlier_turns, last_turns = turns[:-1], turns[-1:]
    keys = key_caps()
    is_outdated = page_version != PAGE_VERSION
    has_first_keys = page_version not in PAGES_WITH_THESE_KEYS
    if has_first_keys:
        keys |= {f"set_strength_{strength}": str(strength) for strength in STRENGTH_CHOICES}
    return {
        "assignment": assignment,
        "question": _question(content, settings, len(responses)),
        "content_warnings": content.content_warnings,
        "earlier_turns": earlier_turns,
        "last_turns": last_turns,
        "fold_earlier": not is_outdated
        and (
            len(earlier_turns) > MAX_OPEN_TURNS or characters_on_screen(earlier_turns) > MAX_OPEN_CHARACTERS
        ),
        "long_prompt": not is_outdated and characters_on_screen(last_turns) > MAX_OPEN_CHARACTERS,
        "responses": responses,
        "compares_conversations": any(response.turns for response in responses),
        "folds_turns": not is_outdated,
        "is_pair": len(responses) == 2,
        # A script of before knows one answer as a ranking of one.
        "is_rating": len(responses) == 1 and not is_outdated,
        "scale": scale_points(),
        "strengths": step_strengths(keys),
        "keys": keys,
        "page_is_outdated": is_outdated,
        "has_first_keys": has_first_keys,
        **asked_context(settings.asks if settings else Asked(), len(responses), content.criterion),
        "allow_ties": settings is None or settings.allow_ties,
        "ask_rationale": settings is not None and settings.ask_rationale,
        "draft": assignment.draft or None,
        "judgment": earlier,
        "revising": judgment is not None,
    }


def _question(content: TaskContent, settings: QuestionSettings | None, responses: int) -> str:
    """A criterion's own question is about answers side by side; of one alone its marks ask."""
    if responses == 1:
        return gettext("Rate this answer: %(criterion)s") % {"criterion": content.criterion}
    return settings.question_of(content.criterion, content.question) if settings else content.question


def browser_storage_key(actor: User, project: Project) -> str:
    """Names the drafts and unsent judgments in a browser's storage: people who share a computer keep apart."""
    # Another salt would be another name: what lies in people's browsers would not be found.
    return salted_hmac("annotation.drawer", f"{actor.pk}:{project.pk}", algorithm="sha256").hexdigest()[:20]
