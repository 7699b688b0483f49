"""AUC and bootstrap intervals for the figures of docs/real-run.md. Pure functions."""

import math
from collections.abc import Callable, Sequence

import numpy as np


def auc(scores: Sequence[float], labels: Sequence[float]) -> float:
    """Chance that a case of label 1 scores above one of label 0, equal scores counting half.

    Returns nan when one of the labels is missing.
    """
    good = np.asarray([score for score, label in zip(scores, labels, strict=True) if label > 0.5])
    bad = np.asarray([score for score, label in zip(scores, labels, strict=True) if label <= 0.5])
    if not len(good) or not len(bad):
        return math.nan
    differences = good[:, None] - bad[None, :]
    return float(((differences > 0) + 0.5 * (differences == 0)).mean())


def cluster_bootstrap(
    groups: Sequence[str], statistic: Callable[[np.ndarray], float], *, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of `statistic(indices)` when whole groups are drawn with replacement.

    Cases of one group (here: of one context) are not independent, so they are drawn together. Draws whose
    statistic is nan are left out.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(group, []).append(index)
    blocks = [np.asarray(block) for block in members.values()]
    random = np.random.default_rng(seed)
    values = np.asarray(
        [
            statistic(np.concatenate([blocks[i] for i in random.integers(len(blocks), size=len(blocks))]))
            for _ in range(draws)
        ]
    )
    low, high = np.nanpercentile(values, [2.5, 97.5])
    return float(low), float(high)
