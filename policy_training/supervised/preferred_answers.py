"""Answers that people put first, as demonstrations to fine-tune on, without a reward model.

Source of the practice: fine-tuning on the top tier (FeedME and the Adaptive ML walkthrough call it top-tier SFT).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.importing.usage import mark_judgments_used
from annotation.preferences.rated_comparisons import counts
from annotation.record_columns import judgment_rows
from learning.interface.record_rows import DemonstrationRow
from learning.interface.vocabulary import PERSON
from workspace.errors import ActionError
from workspace.models import Project

# Whose judgments count.
_SELECTION: dict[str, Any] = {"purposes": TRAINING_PURPOSES, "annotator_kinds": (PERSON,)}


@dataclass(frozen=True, kw_only=True)
class PreferredAnswers:
    """Those that at least this share of the people who compared them put first, by this criterion ("": by any)."""

    at_least: float
    criterion: str = ""


def preferred_rows(project: Project, asked: PreferredAnswers) -> Iterator[DemonstrationRow]:
    """DEMONSTRATIONS rows, each answer once, in the order of the tasks.

    Judgments of people on normal tasks that count and that put one answer above another: where all are tied, none is
    first. An answer that was cut off at the sampler's limit is left out: it would teach never to end. Holds two numbers
    for each compared answer, not the texts.
    """
    chosen = {
        response
        for response, (first, compared) in _shares(project, asked.criterion).items()
        if first and first / compared >= asked.at_least
    }
    for judgment in _judgments(project, asked.criterion):
        for response in judgment["responses"]:
            if response["response_id"] not in chosen:
                continue
            chosen.discard(response["response_id"])
            if response["ended"] is not False:
                yield {
                    "prompt_id": judgment["prompt_id"],
                    "prompt": judgment["prompt"],
                    "response": response["text"],
                    "author": None,
                    "split": judgment["split"],
                    "turns": response.get("turns"),
                }


def require_preferred_answers(project: Project, asked: PreferredAnswers) -> list[DemonstrationRow]:
    """The same as a list. Raises ActionError when there is none."""
    rows = list(preferred_rows(project, asked))
    if not rows:
        by = f" by {asked.criterion}" if asked.criterion else ""
        raise ActionError(
            f"No answer was put first{by} by {100 * asked.at_least:g} % of those who compared it: let people judge "
            "tasks, or ask for less.",
            code="no_preferred_answers",
        )
    return rows


def mark_preferences_used(project: Project, used_for: str) -> None:
    """The imports that the preferred rows come from can no longer be taken back."""
    mark_judgments_used(project, used_for, **_SELECTION)


def _judgments(project: Project, criterion: str) -> Iterator[Mapping[str, Any]]:
    for judgment in judgment_rows(project, **_SELECTION):
        if counts(judgment) and len(judgment["tiers"]) > 1 and criterion in ("", judgment["criterion"]):
            yield judgment


def _shares(project: Project, criterion: str) -> dict[str, tuple[int, int]]:
    """{answer: (how often it was put first, how often it was compared)}"""
    shares: dict[str, tuple[int, int]] = {}
    for judgment in _judgments(project, criterion):
        best = set(judgment["tiers"][0])
        for response in judgment["responses"]:
            first, compared = shares.get(response["response_id"], (0, 0))
            shares[response["response_id"]] = first + (response["response_id"] in best), compared + 1
    return shares
