"""Answers that people rated well, as demonstrations to fine-tune on.

Source of the practice: FeedME (OpenAI, Model index for researchers): supervised fine-tuning on human-written
demonstrations and on model samples that labellers rated 7 of 7 in overall quality.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext

from annotation.models import Judgment
from learning.interface.record_rows import DemonstrationRow
from policy_training.supervised.judged_answers import JudgmentChoice, answers_as_demonstrations
from workspace.asked import LIKERT, YES_NO
from workspace.errors import ActionError
from workspace.models import Project


@dataclass(frozen=True, kw_only=True)
class RatedAnswers:
    """Those whose mean of this mark, over all ratings that count, is at least so many points."""

    mark: str
    at_least: float


def rated_rows(
    project: Project, asked: RatedAnswers, of: JudgmentChoice | None = None
) -> Iterator[DemonstrationRow]:
    """DEMONSTRATIONS rows, each answer once, in the order of the tasks; marks of answers alone and beside others.

    `of` (None: by people, of all batches): whose ratings, among those that count. An answer that was cut off at the
    sampler's limit is left out. Holds a number for each rated answer, not the texts.
    """
    of = of or JudgmentChoice()
    chosen = {
        response
        for response, (total, n) in _sums(project, asked.mark, of).items()
        if total / n >= asked.at_least
    }
    return answers_as_demonstrations(of.judgments(project), chosen)


def require_rated_answers(
    project: Project, asked: RatedAnswers, of: JudgmentChoice | None = None
) -> list[DemonstrationRow]:
    """The same as a list. Raises ActionError when there is none."""
    rows = list(rated_rows(project, asked, of))
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


def require_known_mark(project: Project, mark: str) -> None:
    """Raises ActionError for a mark that is no number, or that no annotator is asked for and no judgment has."""
    latest = project.question_settings.latest_version()
    asked = {found.name: found.kind for found in latest.asks.marks} if latest is not None else {}
    if mark in asked:
        if asked[mark] not in (LIKERT, YES_NO):
            raise ActionError(
                gettext("The mark “%(mark)s” has no points: name one of a scale, or of yes and no.")
                % {"mark": mark},
                code="no_such_mark",
            )
        return
    given = Judgment.objects.of_project(project).exclude(marks={}).values_list("marks", flat=True)
    if not any(mark in marks for of_judgment in given.iterator() for marks in of_judgment.values()):
        known = ", ".join(name for name, kind in asked.items() if kind in (LIKERT, YES_NO)) or "–"
        raise ActionError(
            gettext(
                "Nobody is asked for the mark “%(mark)s”, and no judgment has it. Marks that are asked for: %(known)s."
            )
            % {"mark": mark, "known": known},
            code="no_such_mark",
        )


def _sums(project: Project, mark: str, of: JudgmentChoice) -> dict[str, tuple[float, int]]:
    sums: dict[str, tuple[float, int]] = {}
    for judgment in of.judgments(project):
        for response in judgment["responses"]:
            value = response["marks"].get(mark)
            if value is not None:
                total, n = sums.get(response["response_id"], (0.0, 0))
                sums[response["response_id"]] = total + value, n + 1
    return sums
