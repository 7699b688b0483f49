"""A figure of an annotator within the crowd's band, as places on a line from 0 to 100. Templates draw them as SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from annotation.preferences.scale import STRENGTH_CHOICES


@dataclass(frozen=True)
class Measure:
    name: str
    label: str | Promise
    explanation: str | Promise
    is_share: bool = True


MEASURES = (
    Measure(
        "others",
        gettext_lazy("Agrees with each other annotator"),
        gettext_lazy("same preference on the same two answers"),
    ),
    Measure(
        "majority",
        gettext_lazy("Agrees with the majority of the others"),
        gettext_lazy("where at least two others prefer one answer"),
    ),
    Measure(
        "gold", gettext_lazy("Right on tasks whose answer is known"), gettext_lazy("pairs of gold tasks")
    ),
    Measure(
        "known",
        gettext_lazy("Right on known tasks"),
        gettext_lazy("whole tasks, as close as is asked of each"),
    ),
    Measure("itself", gettext_lazy("Agrees with itself"), gettext_lazy("the same two answers judged again")),
    Measure(
        "competence",
        gettext_lazy("Competence (MACE)"),
        gettext_lazy("the share of answers that are no guesses"),
    ),
    Measure(
        "dawid_skene",
        gettext_lazy("Accuracy (Dawid-Skene)"),
        gettext_lazy("the share of answers that are right, as that model finds them"),
    ),
    Measure(
        "ability",
        gettext_lazy("Ability (graded model)"),
        gettext_lazy("0 guesses; below 0 answers the other way round"),
        False,
    ),
    Measure(
        "side",
        gettext_lazy("Pull towards what is shown first (graded model)"),
        gettext_lazy("0 is none; below 0 towards the later one"),
        False,
    ),
    Measure(
        "shown_first",
        gettext_lazy("Prefers what is shown first"),
        gettext_lazy("of preferences; an even 50 % is no habit"),
    ),
    Measure("longer", gettext_lazy("Prefers the longer answer"), gettext_lazy("of two lengths")),
    Measure(
        "more formatted",
        gettext_lazy("Prefers the more formatted answer"),
        gettext_lazy("headings, lists, bold, code, tables"),
    ),
    Measure(
        "more assertive",
        gettext_lazy("Prefers the more assertive answer"),
        gettext_lazy("English words that claim, less those that hedge"),
    ),
    Measure("ties", gettext_lazy("Sees a tie"), gettext_lazy("of all pairs")),
    Measure("seconds", gettext_lazy("Active seconds a judgment"), gettext_lazy("in the middle"), False),
)


@dataclass(frozen=True)
class BandPicture:
    """Numbers from 0 to 100 as text, for the picture; `said`, `interval` and `crowd` for the reader."""

    measure: Measure
    said: str
    interval: str
    crowd: str
    of: int | None
    at: str
    low: str
    width: str
    band: str
    band_width: str
    middle: str


def band_pictures(figures: Mapping[str, Any], bands: Mapping[str, Sequence[float]]) -> list[BandPicture]:
    """One for each measure that is known of the annotator."""
    found = []
    for measure in MEASURES:
        value = figures.get(measure.name)
        values = value if isinstance(value, list) else [value, None, None]
        if values[0] is None:
            continue
        band = bands.get(measure.name)
        low, high = _scale(measure, values[:3], band)
        interval: list[float] = [values[0] if end is None else end for end in values[1:3]]
        found.append(
            BandPicture(
                measure=measure,
                said=_say(measure, values[0]),
                interval=""
                if values[1] is None
                else gettext("%(interval)s to %(interval2)s")
                % {"interval": _say(measure, interval[0]), "interval2": _say(measure, interval[1])},
                crowd=gettext("%(band)s to %(band2)s")
                % {"band": _say(measure, band[0]), "band2": _say(measure, band[2])}
                if band
                else "",
                of=values[3] if len(values) > 3 else None,
                at=_place(values[0], low, high),
                low=_place(interval[0], low, high),
                width=_width(interval[0], interval[1], low, high),
                band=_place(band[0], low, high) if band else "0",
                band_width=_width(band[0], band[2], low, high) if band else "0",
                middle=_place(band[1], low, high) if band else "",
            )
        )
    return found


def _scale(
    measure: Measure, values: Sequence[float | None], band: Sequence[float] | None
) -> tuple[float, float]:
    if measure.is_share:
        return 0.0, 1.0
    known = [value for value in [*values, *(band[:3] if band else ())] if value is not None]
    low, high = min(0.0, *known), max(0.0, *known)
    room = (high - low or 1.0) * 0.05
    return (low - room if low < 0 else 0.0), high + room


def _place(value: float, low: float, high: float) -> str:
    return f"{100 * min(1.0, max(0.0, (value - low) / (high - low))):.2f}"


def _width(start: float, end: float, low: float, high: float) -> str:
    return f"{float(_place(end, low, high)) - float(_place(start, low, high)):.2f}"


def _say(measure: Measure, value: float) -> str:
    if measure.is_share:
        return f"{100 * value:.0f} %"
    return f"{value:.0f} s" if measure.name == "seconds" else f"{value:.2f}"


COEFFICIENTS = (
    (
        "same",
        gettext_lazy("Same preference"),
        gettext_lazy("share of two annotators' votes on the same two answers"),
        True,
    ),
    (
        "same_grade",
        gettext_lazy("Same preference and grade"),
        gettext_lazy("of votes that said how much"),
        True,
    ),
    (
        "alpha_nominal",
        gettext_lazy("Krippendorff’s alpha, nominal"),
        gettext_lazy("better, tie, worse"),
        False,
    ),
    (
        "alpha_ordinal",
        gettext_lazy("Krippendorff’s alpha, ordinal"),
        gettext_lazy("with the grades, where they were given"),
        False,
    ),
    ("ac1", gettext_lazy("Gwet’s AC1"), gettext_lazy("better, tie, worse"), False),
    (
        "ac2",
        gettext_lazy("Gwet’s AC2, ordinal"),
        gettext_lazy("with the grades, where they were given"),
        False,
    ),
    ("fleiss", "Fleiss’ kappa", gettext_lazy("better, tie, worse"), False),
)


@dataclass(frozen=True)
class CoefficientPicture:
    """Of a coefficient on a line from 0 to 1 (below 0 it stands at 0)."""

    label: str
    explanation: str
    said: str
    interval: str
    at: str
    low: str
    width: str


def coefficient_pictures(figures: Mapping[str, Any]) -> list[CoefficientPicture]:
    rows = [(*row, figures["estimates"].get(row[0])) for row in COEFFICIENTS]
    rows.append(
        (
            "tau_b",
            gettext("Kendall’s tau-b"),
            gettext("between two rankings of one task"),
            False,
            figures.get("tau_b"),
        )
    )
    found = []
    for _, label, explanation, is_share, estimate in rows:
        if not estimate or estimate[0] is None:
            continue
        value, low, high = (estimate[0] if number is None else number for number in estimate)
        say = (lambda number: f"{100 * number:.1f} %") if is_share else (lambda number: f"{number:.2f}")
        found.append(
            CoefficientPicture(
                label=label,
                explanation=explanation,
                said=say(value),
                interval=""
                if estimate[1] is None
                else gettext("%(low)s to %(high)s") % {"low": say(low), "high": say(high)},
                at=_place(value, 0, 1),
                low=_place(low, 0, 1),
                width=_width(low, high, 0, 1),
            )
        )
    return found


def grade_bars(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Where one said so much, how often another prefers the same answer."""
    names = {"tie": gettext("Tie"), "better": gettext("Better (no grade)")} | {
        grade: name.capitalize() for grade, name in STRENGTH_CHOICES.items()
    }
    return [
        {"label": names[row["grade"]], "said": row["said"], "percent": f"{100 * row['same']:.1f}"}
        for row in figures["by_grade"]
    ]
