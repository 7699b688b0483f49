"""How close a reward model's scores are to ratings: pure statistics."""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

DRAWS, SEED = 500, 20261129
LEVEL = 0.95


def rating_report(
    scores: Sequence[float], ratings: Sequence[float], prompts: Sequence[Hashable]
) -> dict[str, Any]:
    """Correlations over all rated answers, whoever rated them and whatever the prompt; None where one side is
    constant or fewer than two answers are there.

    Intervals are 95 %, of a bootstrap of `prompts`, by answer: ratings of one prompt are alike, and one answer may be
    rated by several people. None of a single prompt. Source: Efron and Tibshirani 1993, 13.3 (percentiles) of whole
    clusters (Davison and Hinkley 1997, 3.8).
    """
    x, y = (np.asarray(values, dtype=np.float64) for values in (scores, ratings))
    drawn = _draws(prompts)
    return {
        "n": len(ratings),
        "n_prompts": len(set(prompts)),
        **_estimated("spearman", _spearman, x, y, drawn),
        **_estimated("pearson", correlation, x, y, drawn),
    }


def _estimated(
    name: str, statistic: Callable[[Any, Any], float | None], x: Any, y: Any, drawn: Sequence[Any]
) -> dict[str, Any]:
    value = statistic(x, y)
    known = [found for at in drawn if (found := statistic(x[at], y[at])) is not None]
    # Draws in which one side is constant have no correlation; where that is often, neither has an interval.
    interval = None
    if value is not None and len(known) > DRAWS / 2:
        interval = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return {name: value, f"{name}_interval": interval}


def _draws(prompts: Sequence[Hashable]) -> list[Any]:
    """For each draw of as many prompts as there are, with replacement, the places of their answers."""
    places: dict[Hashable, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(prompt, []).append(place)
    of_prompt = [np.array(found) for found in places.values()]
    if len(of_prompt) < 2:
        return []
    chance = np.random.default_rng(SEED)
    return [
        np.concatenate([of_prompt[index] for index in chance.integers(len(of_prompt), size=len(of_prompt))])
        for _ in range(DRAWS)
    ]


def _spearman(one: Any, two: Any) -> float | None:
    return correlation(average_ranks(one), average_ranks(two))


def average_ranks(values: Any) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(
        np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True
    )
    ends = np.cumsum(counts)
    ranks: list[float] = (ends - (counts - 1) / 2)[inverse].tolist()
    return ranks


def correlation(one: Any, two: Any) -> float | None:
    """Pearson's."""
    if len(one) < 2:
        return None
    x, y = (np.asarray(values, dtype=np.float64) - np.mean(values) for values in (one, two))
    spread = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / spread if spread else None
