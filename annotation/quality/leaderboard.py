"""How strong each source of answers is, from comparisons with ties and a side: Bradley-Terry in Davidson's form.

Of a comparison of i (shown first) with j, with scores s in logarithms:
P(i) ~ exp(s_i + a), P(j) ~ exp(s_j), P(tie) ~ exp(t + (s_i + s_j + a) / 2)
a is the advantage of being shown first (Agresti's home field), t how readily people tie. Without ties or without sides
this is Bradley and Terry's. Fitted by Newton's method; the scores' mean is 0. Sources: Bradley and Terry (1952),
Davidson (1970), Agresti (2002), 10.6.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = Any

# A weak normal prior of the scores (standard deviation 10 in logarithms): where one won or lost everything there is no
# largest likelihood.
PRIOR_PRECISION = 1e-2


class NotConnected(ValueError):
    """Two groups of sources were never compared with each other: their scores say nothing of one another."""


@dataclass(frozen=True)
class Leaderboard:
    score_S: Array
    standard_error_S: Array  # of the score's distance from the mean of all
    side: float  # a; 0 without sides
    side_error: float
    tie: float  # t; -inf without ties


def fit_leaderboard(
    first_N: Array,
    second_N: Array,
    outcome_N: Array,
    n_sources: int,
    *,
    weight_N: Array | None = None,
    with_side: bool = True,
    prior_precision: float = PRIOR_PRECISION,
    iterations: int = 100,
) -> Leaderboard:
    """`outcome_N`: 1 the first won, 0 a tie, -1 the second won; `weight_N`: how often. `first` is what was shown first.

    Raises NotConnected.
    """
    weight = np.ones(len(first_N)) if weight_N is None else np.asarray(weight_N, dtype=float)
    _require_connected(first_N, second_N, n_sources)
    ties = bool(weight[outcome_N == 0].sum() > 0)
    size = n_sources + 2  # scores, side, tie
    free = np.array([True] * n_sources + [with_side, ties])
    outcomes = [1, 0, -1] if ties else [1, -1]
    # Of each outcome what its logarithm is made of: (M, size) with M different comparisons.
    pairs, which = np.unique(np.stack([first_N, second_N], axis=1), axis=0, return_inverse=True)
    which = which.reshape(-1)
    design = np.zeros((len(outcomes), len(pairs), size))
    rows = np.arange(len(pairs))
    for place, outcome in enumerate(outcomes):
        share = (1 + outcome) / 2
        np.add.at(design[place], (rows, pairs[:, 0]), share)
        np.add.at(design[place], (rows, pairs[:, 1]), 1 - share)
        design[place, :, n_sources] = share
        design[place, :, n_sources + 1] = outcome == 0
    design = design[:, :, free]
    count_OM = np.stack(
        [np.bincount(which, weight * (outcome_N == outcome), len(pairs)) for outcome in outcomes]
    )
    precision = np.zeros(size)
    precision[:n_sources] = prior_precision
    precision = precision[free]
    parameters = np.zeros(int(free.sum()))

    def penalized(values: Array) -> float:
        logs = design @ values
        most = logs.max(axis=0)
        total = most + np.log(np.exp(logs - most).sum(axis=0))
        return float((count_OM * (logs - total)).sum() - (precision * values**2).sum() / 2)

    for _ in range(iterations):
        logs = design @ parameters
        share_OM = np.exp(logs - logs.max(axis=0))
        share_OM /= share_OM.sum(axis=0)
        n_M = count_OM.sum(axis=0)
        gradient = np.einsum("om,omp->p", count_OM - n_M * share_OM, design) - precision * parameters
        mean_MP = np.einsum("om,omp->mp", share_OM, design)
        centered = design - mean_MP
        information = np.einsum("om,omp,omq->pq", n_M * share_OM, centered, centered) + np.diag(precision)
        # The mean of the scores is free where the prior is 0.
        inverse = np.linalg.pinv(information, hermitian=True)
        step, before = inverse @ gradient, penalized(parameters)
        while penalized(parameters + step) < before - 1e-12 and np.abs(step).max() > 1e-10:
            step = step / 2
        parameters = parameters + step
        if np.abs(step).max() < 1e-10:
            break
    values = np.zeros(size)
    values[free] = parameters
    if not ties:
        values[-1] = -np.inf
    centering = np.eye(len(parameters))
    centering[:n_sources, :n_sources] -= 1 / n_sources
    errors = np.zeros(size)
    errors[free] = np.sqrt(np.maximum(np.diag(centering @ inverse @ centering.T), 0))
    scores = values[:n_sources]
    return Leaderboard(
        scores - scores.mean(), errors[:n_sources], float(values[-2]), float(errors[-2]), float(values[-1])
    )


def _require_connected(first_N: Array, second_N: Array, n_sources: int) -> None:
    group = list(range(n_sources))

    def find(place: int) -> int:
        while group[place] != place:
            group[place] = group[group[place]]
            place = group[place]
        return place

    for one, other in np.unique(np.stack([first_N, second_N], axis=1), axis=0).tolist():
        group[find(one)] = find(other)
    if len({find(place) for place in range(n_sources)}) > 1:
        raise NotConnected("some of them were never compared with the others, not even by way of a third")
