"""What a reward model's report says, as figures and pictures of pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext, gettext_lazy

from annotation.preferences.scale import NO_STRENGTH, STRENGTH_CHOICES
from runs.reward_figures import WIDTH, Histogram, histogram

# The reliability diagram is drawn in a square of this many units, origin at the bottom left.
PLOT_SIZE = 200


@dataclass(frozen=True)
class ReliabilityPoint:
    x: float
    y: float
    radius: float
    title: str


def reliability_points(report: Mapping[str, Any]) -> list[ReliabilityPoint]:
    """Calibration bins as points: confidence to the right, held-out accuracy upwards, area by how many pairs."""
    bins = [entry for entry in report.get("calibration") or [] if entry["n"]]
    largest_n = max((entry["n"] for entry in bins), default=1)
    return [
        ReliabilityPoint(
            # Confidence of the preferred side runs from 0.5 to 1.
            x=round((entry["confidence"] - 0.5) * 2 * PLOT_SIZE, 1),
            y=round(PLOT_SIZE - (entry["accuracy"] * PLOT_SIZE), 1),
            radius=round(3 + 7 * (entry["n"] / largest_n) ** 0.5, 1),
            title=gettext("%(entry)s pairs: sure to %(entry2)s, right in %(entry3)s")
            % {
                "entry": entry["n"],
                "entry2": f"{entry['confidence']:.0%}",
                "entry3": f"{entry['accuracy']:.0%}",
            },
        )
        for entry in bins
    ]


@dataclass(frozen=True, kw_only=True)
class Margins:
    """Score of the preferred answer less the other's, of each held-out pair."""

    histogram: Histogram
    low: float
    high: float
    zero_x: str  # where in the picture the two score the same
    wrong: str
    longer: str  # of the wrong ones, how often the model preferred the longer answer


def margin_figure(report: Mapping[str, Any]) -> Margins | None:
    values = report.get("margins") or []
    if not values:
        return None
    low, high = min(values[0], 0.0), max(values[-1], 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    longer = report.get("wrong_pairs_longer")
    return Margins(
        histogram=histogram("", values, low, high),
        low=low,
        high=high,
        zero_x=f"{WIDTH * (0.0 - low) / (high - low):.2f}",
        wrong=f"{report.get('wrong_pairs', 0):,}",
        longer="" if longer is None else f"{100 * longer:.0f} %",
    )


def accuracy_by_strength(report: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """(name, accuracy) of each strength with pairs, weakest first, then of the pairs for which nobody gave one."""
    by_strength = report.get("by_grade") or {}  # JSON has text as keys
    rows = [(name, by_strength.get(str(strength))) for strength, name in sorted(STRENGTH_CHOICES.items())]
    rows.append((NO_STRENGTH, report.get("without_strength")))
    return [(name, row) for name, row in rows if row and row.get("n")]


@dataclass(frozen=True, kw_only=True)
class Category:
    """Held-out figures of one criterion, tag or way of asking; positions in the picture are hundredths of its width."""

    name: str
    figures: Mapping[str, Any]
    is_few: bool  # so few pairs that the interval is wider than what models are chosen by
    percent: str
    interval: str
    mark: str
    low: str
    width: str


QUESTION_LABELS = {
    "pairs": gettext_lazy("Pairs"),
    "rankings": gettext_lazy("Rankings"),
    "ratings": gettext_lazy("Ratings of single answers"),
}
FEW_PAIRS = 30  # as the notes of a run have it (rewardmodel.training.reporting)


def categories(report: Mapping[str, Any]) -> list[tuple[Any, list[Category]]]:
    """(what the categories are of, the categories) for each kind of which there are two or more, or tags at all."""
    kinds: tuple[tuple[Any, str, Mapping[str, Any]], ...] = (
        (gettext_lazy("Criterion"), "by_criterion", {}),
        (gettext_lazy("Tag of the prompt"), "by_tag", {"": gettext_lazy("no tag")}),
        (gettext_lazy("Way of asking"), "by_question", QUESTION_LABELS),
    )
    found = []
    for label, key, names in kinds:
        rows = {name: figures for name, figures in (report.get(key) or {}).items() if figures.get("n")}
        if len(rows) > 1 or (rows and key == "by_tag"):
            found.append((label, [_category(str(names.get(name, name)), row) for name, row in rows.items()]))
    return found


def _category(name: str, figures: Mapping[str, Any]) -> Category:
    low, high = figures.get("interval") or (figures["accuracy"], figures["accuracy"])
    return Category(
        name=name,
        figures=figures,
        is_few=figures["n"] < FEW_PAIRS,
        percent=f"{100 * figures['accuracy']:.1f} %",
        interval=gettext("%(low)s to %(high)s %%") % {"low": f"{100 * low:.1f}", "high": f"{100 * high:.1f}"},
        mark=f"{min(max(100 * figures['accuracy'] - 0.8, 0), 98.4):.2f}",
        low=f"{100 * low:.2f}",
        width=f"{100 * (high - low):.2f}",
    )


def ratings_sentence(report: Mapping[str, Any]) -> str:
    """“0.62 (0.54 to 0.69) rank correlation with 340 held-out ratings”; empty where there were none."""
    figures = report.get("ratings") or {}
    if figures.get("spearman") is None:
        return ""
    interval = figures.get("spearman_interval")
    said = (
        gettext(" (%(interval)s to %(interval2)s)")
        % {"interval": f"{interval[0]:.2f}", "interval2": f"{interval[1]:.2f}"}
        if interval
        else ""
    )
    return f"{figures['spearman']:.2f}{said} rank correlation with {figures['n']} held-out ratings"


def evaluation_sentences(report: Mapping[str, Any]) -> list[str]:
    """What an evaluation found: of ratings the correlations, and the accuracy on the pairs made of them."""
    figures = report.get("ratings") or {}
    said = [ratings_sentence(report)]
    if figures.get("pearson") is not None:
        interval = figures.get("pearson_interval")
        between = (
            gettext(" (%(interval)s to %(interval2)s)")
            % {"interval": f"{interval[0]:.2f}", "interval2": f"{interval[1]:.2f}"}
            if interval
            else ""
        )
        said.append(
            gettext("%(figures)s%(between)s linear correlation (Pearson)")
            % {"figures": f"{figures['pearson']:.2f}", "between": between}
        )
    return [sentence for sentence in [*said, accuracy_sentence(report)] if sentence]


def accuracy_sentence(report: Mapping[str, Any]) -> str:
    """“71.2 % of 340 held-out pairs (66.2 to 75.8 %)”; empty where there were none."""
    accuracy, n = report.get("accuracy"), report.get("n")
    if accuracy is None or not n:
        return ""
    said = gettext("%(accuracy)s %% of %(n)s held-out pairs") % {"accuracy": f"{100 * accuracy:.1f}", "n": n}
    if not (interval := report.get("interval")):
        return said
    return f"{said} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f} %)"
