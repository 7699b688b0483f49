"""The figures of a dataset as bars: how long each is, and what is written beside it. Templates draw them as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.utils.translation import gettext

from annotation.preferences.scale import NO_STRENGTH, STRENGTH_CHOICES

MAX_DAYS = 92  # beyond, by month
MIN_DAYS = 14  # of fewer a column would be a wall: the days before them stand there, empty
SHOWN_SOURCES = 20


@dataclass(frozen=True)
class Bar:
    label: str
    value: int
    percent: str  # of the longest, for the picture
    share: str  # of all, for the reader; empty where it says nothing


@dataclass(frozen=True)
class Column:
    label: str
    value: int
    place: int
    height: str
    top: str


@dataclass(frozen=True)
class SourceBar:
    """How a source fared in the pairs against others, in percent of them."""

    name: str
    kind: str
    judged: int
    wins: str
    ties: str
    losses: str
    ties_from: str
    losses_from: str


def _bars(values: Sequence[tuple[str, int]]) -> list[Bar]:
    longest, total = max((value for _, value in values), default=0), sum(value for _, value in values)
    return [
        Bar(
            label,
            value,
            f"{100 * value / longest:.2f}" if longest else "0",
            f"{100 * value / total:.1f} %" if total else "",
        )
        for label, value in values
    ]


def grade_bars(statistics: Mapping[str, Any]) -> list[Bar]:
    grades = statistics["grades"]
    steps = [(label.capitalize(), grades[str(strength)]) for strength, label in STRENGTH_CHOICES.items()]
    others = [(NO_STRENGTH.capitalize(), grades["not_said"]), (gettext("Tie"), statistics["counts"]["ties"])]
    return _bars([*steps, *others])


def length_bars(statistics: Mapping[str, Any]) -> list[Bar]:
    steps = statistics["characters"]["from"]
    lows = sorted(map(int, steps))
    labels = [
        gettext("%(low)s to %(high)s") % {"low": f"{low:,}", "high": f"{high - 1:,}"}
        for low, high in zip(lows, lows[1:], strict=False)
    ]
    return _bars(
        list(
            zip(
                [*labels, gettext("%(lows)s or more") % {"lows": f"{lows[-1]:,}"}],
                [steps[str(low)] for low in lows],
                strict=True,
            )
        )
    )


def agreement_bars(statistics: Mapping[str, Any]) -> list[Bar]:
    steps = statistics["agreement"]["from"]
    lows = sorted(map(float, steps))
    labels = [
        gettext("%(low)s to under %(high)s %%") % {"low": f"{100 * low:.0f}", "high": f"{100 * high:.0f}"}
        for low, high in zip(lows, lows[1:], strict=False)
    ]
    return _bars(list(zip([*labels, gettext("All agree")], [steps[str(low)] for low in lows], strict=True)))


def time_columns(statistics: Mapping[str, Any]) -> tuple[list[Column], str]:
    """(columns, “day” or “month”) from the first day with a judgment to the last, days without one included; at least
    MIN_DAYS of them, up to the last.
    """
    days = {date.fromisoformat(day): number for day, number in statistics["days"].items()}
    if not days:
        return [], "day"
    last = max(days)
    first = min(min(days), last - timedelta(days=MIN_DAYS - 1))
    if (last - first).days < MAX_DAYS:
        numbers = {
            str(first + timedelta(days=n)): days.get(first + timedelta(days=n), 0)
            for n in range((last - first).days + 1)
        }
        unit = "day"
    else:
        numbers = {}
        for n in range((last - first).days + 1):
            day = first + timedelta(days=n)
            numbers[f"{day:%Y-%m}"] = numbers.get(f"{day:%Y-%m}", 0) + days.get(day, 0)
        unit = "month"
    longest = max(numbers.values())
    return [
        Column(label, value, place, f"{100 * value / longest:.2f}", f"{100 - 100 * value / longest:.2f}")
        for place, (label, value) in enumerate(numbers.items())
    ], unit


def source_bars(statistics: Mapping[str, Any]) -> list[SourceBar]:
    """Those that were compared with another, most often compared first."""
    found = []
    for row in statistics["sources"]:
        judged = row["wins"] + row["ties"] + row["losses"]
        if judged:
            wins, ties, losses = (100 * row[name] / judged for name in ("wins", "ties", "losses"))
            found.append(
                SourceBar(
                    row["policy"] or "",
                    row["source"],
                    judged,
                    *(f"{share:.1f}" for share in (wins, ties, losses, wins, wins + ties)),
                )
            )
    return found[:SHOWN_SOURCES]
