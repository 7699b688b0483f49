"""How close a reward model's scores are to ratings: pure statistics."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


def rating_report(scores: Sequence[float], ratings: Sequence[float]) -> dict[str, Any]:
    """Correlations over all rated answers, whoever rated them and whatever the prompt; None where one side is
    constant or fewer than two answers are there.
    """
    return {
        "n": len(ratings),
        "spearman": correlation(average_ranks(scores), average_ranks(ratings)),
        "pearson": correlation(scores, ratings),
    }


def average_ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    ends = np.cumsum(counts)
    ranks: list[float] = (ends - (counts - 1) / 2)[inverse].tolist()
    return ranks


def correlation(one: Sequence[float], two: Sequence[float]) -> float | None:
    """Pearson's."""
    if len(one) < 2:
        return None
    x, y = (np.asarray(values, dtype=np.float64) - np.mean(values) for values in (one, two))
    spread = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / spread if spread else None
