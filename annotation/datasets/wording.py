"""The filters of a dataset in words."""

from datetime import datetime
from typing import Any

from django.utils.timezone import localtime
from django.utils.translation import gettext

from annotation.models import PreferenceDataset, Prompt, Task
from workspace.models import User


def describe_filters(dataset: PreferenceDataset) -> list[tuple[str, str]]:
    """(what, which) of everything that a dataset was selected by, for its page; the database's own order of things."""
    filters = dataset.filters
    criteria = filters.get("criteria") or ([filters["criterion"]] if filters.get("criterion") else [])
    batches = filters.get("batches")
    said: list[tuple[str, str]] = [
        (gettext("Criteria"), ", ".join(criteria) or "all"),
        (gettext("Batches"), "all" if batches is None else ", ".join(f"“{name}”" for name in batches)),
        (gettext("Judged by"), _labels(User.Kind, filters.get("annotator_kinds", []))),
        (gettext("Tasks"), _labels(Task.Purpose, filters.get("purposes", []))),
    ]
    if filters.get("decisions"):
        said.append((gettext("Decided tasks"), "the decision in place of the judgments"))
    if filters.get("consensus"):
        said.append((gettext("Labels of merged comparisons"), "the consensus of a measurement of quality"))
    if (report := filters.get("annotator_weights")) is not None:
        said.append(
            (
                gettext("Weights of annotators"),
                gettext("their abilities in the quality report %(report)s") % {"report": report},
            )
        )
    if rounds := filters.get("rounds"):
        said.append((gettext("Rounds"), ", ".join(map(str, rounds))))
    if splits := filters.get("splits"):
        said.append((gettext("Splits"), _labels(Prompt.Split, splits)))
    if (share := filters.get("min_agreement")) is not None:
        said.append(
            (gettext("Agreement"), gettext("at least %(share)s %%") % {"share": f"{100 * share:.4g}"})
        )
    shortest, longest = filters.get("min_characters"), filters.get("max_characters")
    if shortest is not None:
        said.append(
            (
                gettext("Answers"),
                gettext("of at least %(shortest)s characters") % {"shortest": f"{shortest:,}"},
            )
        )
    if longest is not None:
        said.append(
            (gettext("Answers"), gettext("of at most %(longest)s characters") % {"longest": f"{longest:,}"})
        )
    if since := filters.get("since"):
        said.append((gettext("Last judged from"), _moment(since)))
    if until := filters.get("until"):
        said.append((gettext("As it stood at"), _moment(until)))
    return said


def _labels(choices: Any, values: list[str]) -> str:
    return ", ".join(str(choices(value).label) if value in choices.values else value for value in values)


def _moment(text: str) -> str:
    return f"{localtime(datetime.fromisoformat(text)):%-d %b %Y %H:%M}"
