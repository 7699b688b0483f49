"""Answers that people rated well, as demonstrations to fine-tune on.

Source of the practice: FeedME (OpenAI, Model index for researchers): supervised fine-tuning on human-written
demonstrations and on model samples that labellers rated 7 of 7 in overall quality.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.importing.usage import mark_judgments_used
from annotation.preferences.rated_comparisons import counts
from annotation.record_columns import judgment_rows
from learning.interface.record_rows import DemonstrationRow
from learning.interface.vocabulary import PERSON
from workspace.errors import ActionError
from workspace.models import Project

# Whose ratings count.
_SELECTION: dict[str, Any] = {"purposes": TRAINING_PURPOSES, "annotator_kinds": (PERSON,)}


@dataclass(frozen=True, kw_only=True)
class RatedAnswers:
    """Those whose mean of this mark, over all ratings that count, is at least so many points."""

    mark: str
    at_least: float


def rated_rows(project: Project, asked: RatedAnswers) -> Iterator[DemonstrationRow]:
    """DEMONSTRATIONS rows, each answer once, in the order of the tasks; marks of answers alone and beside others.

    Judgments of people on normal tasks that count. An answer that was cut off at the sampler's limit is left out: it
    would teach never to end. Holds a number for each rated answer, not the texts.
    """
    chosen = {
        response for response, (total, n) in _sums(project, asked.mark).items() if total / n >= asked.at_least
    }
    for judgment in _judgments(project):
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


def require_rated_answers(project: Project, asked: RatedAnswers) -> list[DemonstrationRow]:
    """The same as a list. Raises ActionError when there is none."""
    rows = list(rated_rows(project, asked))
    if not rows:
        raise ActionError(
            gettext(
                "No answer has a mean of %(at_least)s or more in the mark “%(mark)s”: let people rate "
                "answers, or ask for less."
            )
            % {"at_least": f"{asked.at_least:g}", "mark": asked.mark},
            code="no_rated_answers",
        )
    return rows


def _judgments(project: Project) -> Iterator[Mapping[str, Any]]:
    return judgment_rows(project, **_SELECTION)


def mark_ratings_used(project: Project, used_for: str) -> None:
    """The imports that the rated rows come from can no longer be taken back."""
    mark_judgments_used(project, used_for, **_SELECTION)


def _sums(project: Project, mark: str) -> dict[str, tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = {}
    for judgment in _judgments(project):
        if not counts(judgment):
            continue
        for response in judgment["responses"]:
            value = response["marks"].get(mark)
            if value is not None:
                total, n = sums.get(response["response_id"], (0.0, 0))
                sums[response["response_id"]] = total + value, n + 1
    return sums
