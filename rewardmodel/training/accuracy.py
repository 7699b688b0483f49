"""How often, and with what confidence, a reward model agrees with people: pure statistics on scored pairs.

Every untied pair counts the same here, whatever comparison it came from. Pairs of one comparison are
not independent, so for K > 2 the Wilson interval is a little too narrow; `accuracy_by_comparison`
weighs comparisons instead.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from learning.interface.proportions import wilson_interval

MARGINS = 512  # of a report that are written at most
CALIBRATION_BINS = 10  # of predicted probability between 0.5 and 1


@dataclass(frozen=True, kw_only=True)
class ScoredPair:
    """One untied pair of a comparison, scored by the model."""

    comparison: int  # which comparison, any numbering
    difference: float  # score of the preferred response minus score of the other, reward units
    strength: float | None  # 0..3, None where nobody gave one
    length_difference: int  # characters of the preferred response minus characters of the other


def pair_accuracy(difference: float) -> float:
    """1 when the preferred response has the higher score, 0 when the lower one, 1/2 when they are equal."""
    return 1.0 if difference > 0 else 0.0 if difference < 0 else 0.5


def accuracy_report(pairs: Sequence[ScoredPair]) -> dict[str, Any]:
    """Accuracy overall and by strength, with intervals and counts, and the points of a reliability diagram.

    Strengths of several people are means and are rounded to the nearest of 0..3, halves upwards; pairs for which
    nobody gave one stand apart. Without pairs every figure is None and every n is 0.
    """
    by_comparison: dict[int, list[float]] = {}
    for pair in pairs:
        by_comparison.setdefault(pair.comparison, []).append(pair_accuracy(pair.difference))
    means = [sum(values) / len(values) for values in by_comparison.values()]
    by_strength = {
        strength: [
            pair
            for pair in pairs
            if pair.strength is not None and math.floor(pair.strength + 0.5) == strength
        ]
        for strength in range(4)
    }
    bins, calibration_error = calibration(pairs)
    return {
        **_proportion([pair_accuracy(pair.difference) for pair in pairs]),
        "n_comparisons": len(by_comparison),
        "accuracy_by_comparison": sum(means) / len(means) if means else None,
        "by_grade": {
            str(strength): _proportion([pair_accuracy(pair.difference) for pair in of_strength])
            for strength, of_strength in by_strength.items()
        },
        "without_strength": _proportion(
            [pair_accuracy(pair.difference) for pair in pairs if pair.strength is None]
        ),
        "longer_wins_accuracy": _mean([pair_accuracy(pair.length_difference) for pair in pairs]),
        "wrong_pairs": sum(pair.difference < 0 for pair in pairs),
        # Of these, how often the model put the longer answer first.
        "wrong_pairs_longer": _mean([pair_accuracy(-p.length_difference) for p in pairs if p.difference < 0]),
        "margins": margins([pair.difference for pair in pairs]),
        "calibration": bins,
        "calibration_error": calibration_error,
    }


def margins(differences: Sequence[float], limit: int = MARGINS) -> list[float]:
    """Score of the preferred response less the other's, in ascending order, to 4 digits; of more than `limit` pairs
    evenly spaced ones, the ends among them.
    """
    ordered = sorted(differences)
    if len(ordered) > limit:
        ordered = [ordered[round(place * (len(ordered) - 1) / (limit - 1))] for place in range(limit)]
    return [float(f"{value:.4g}") for value in ordered]


def calibration(pairs: Sequence[ScoredPair]) -> tuple[list[dict[str, Any]], float | None]:
    """Reliability bins of the predicted preference, and the expected calibration error.

    The model predicts that the response with the higher score is preferred, with probability
    sigmoid(|difference|) in [0.5, 1]; a bin says how often that was so. Error: mean over pairs
    of |accuracy - confidence| of their bin. Source: Guo et al. 2017 (arXiv 1706.04599), equal-width bins.
    """
    bins: list[dict[str, Any]] = []
    gap = 0.0
    for index in range(CALIBRATION_BINS):
        low, high = 0.5 + 0.5 * index / CALIBRATION_BINS, 0.5 + 0.5 * (index + 1) / CALIBRATION_BINS
        last = index == CALIBRATION_BINS - 1
        in_bin = [
            (probability, pair_accuracy(pair.difference))
            for pair in pairs
            if low <= (probability := _sigmoid(abs(pair.difference))) and (probability < high or last)
        ]
        confidence = _mean([probability for probability, _ in in_bin])
        accuracy = _mean([correct for _, correct in in_bin])
        if confidence is not None and accuracy is not None:
            gap += len(in_bin) * abs(accuracy - confidence)
        bins.append(
            {"low": low, "high": high, "n": len(in_bin), "confidence": confidence, "accuracy": accuracy}
        )
    return bins, gap / len(pairs) if pairs else None


def _proportion(values: Sequence[float]) -> dict[str, Any]:
    if not values:
        return {"accuracy": None, "interval": None, "n": 0}
    return {
        "accuracy": sum(values) / len(values),
        "interval": list(wilson_interval(sum(values), len(values))),
        "n": len(values),
    }


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value < 700 else 1.0
