"""Answers that people put first, as demonstrations to fine-tune on, without a reward model.

Source of the practice: fine-tuning on the top tier (FeedME and the Adaptive ML walkthrough call it top-tier SFT).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from learning.interface.record_rows import DemonstrationRow
from policy_training.supervised.judged_answers import JudgmentChoice, answers_as_demonstrations
from workspace.errors import ActionError
from workspace.models import Project


@dataclass(frozen=True, kw_only=True)
class PreferredAnswers:
    """Those that at least this share of the people who compared them put first, by this criterion ("": by any)."""

    at_least: float
    criterion: str = ""


def preferred_rows(
    project: Project, asked: PreferredAnswers, of: JudgmentChoice | None = None
) -> Iterator[DemonstrationRow]:
    """DEMONSTRATIONS rows, each answer once, in the order of the tasks.

    Judgments that count and that put one answer above another: where all are tied, none is first. `of` (None: by
    people, of all batches): which of them. An answer that was cut off at the sampler's limit is left out. Holds two
    numbers for each compared answer, not the texts.
    """
    of = of or JudgmentChoice()
    chosen = {
        response
        for response, (first, compared) in _shares(project, asked.criterion, of).items()
        if first and first / compared >= asked.at_least
    }
    return answers_as_demonstrations(_judgments(project, asked.criterion, of), chosen)


def require_preferred_answers(
    project: Project, asked: PreferredAnswers, of: JudgmentChoice | None = None
) -> list[DemonstrationRow]:
    """The same as a list. Raises ActionError when there is none."""
    rows = list(preferred_rows(project, asked, of))
    if not rows:
        by = gettext(" by %(criterion)s") % {"criterion": asked.criterion} if asked.criterion else ""
        raise ActionError(
            gettext(
                "No answer was put first%(by)s by %(percent)s %% of those who compared it: let people judge tasks, "
                "or ask for less."
            )
            % {"by": by, "percent": f"{100 * asked.at_least:g}"},
            code="no_preferred_answers",
        )
    return rows


def _judgments(project: Project, criterion: str, of: JudgmentChoice) -> Iterator[Mapping[str, Any]]:
    for judgment in of.judgments(project):
        if len(judgment["tiers"]) > 1 and criterion in ("", judgment["criterion"]):
            yield judgment


def _shares(project: Project, criterion: str, of: JudgmentChoice) -> dict[str, tuple[int, int]]:
    """{answer: (how often it was put first, how often it was compared)}"""
    shares: dict[str, tuple[int, int]] = {}
    for judgment in _judgments(project, criterion, of):
        best = set(judgment["tiers"][0])
        for response in judgment["responses"]:
            first, compared = shares.get(response["response_id"], (0, 0))
            shares[response["response_id"]] = first + (response["response_id"] in best), compared + 1
    return shares
