"""How far annotators agree beyond chance: percent agreement, Krippendorff's alpha, Gwet's AC1 and AC2, kappa of Fleiss
and Cohen. Pure functions of arrays.

A unit is what several people rated once each (one pair of responses); a task is what is drawn again for an interval:
the pairs of one ranking are no independent evidence. Suffixes: N ratings, U units, T tasks, C values, B draws. Values
are 0..C-1, ordered for what is ordinal.

Sources: Krippendorff (2011), Computing Krippendorff's Alpha-Reliability. Gwet (2014), Handbook of Inter-Rater
Reliability, 4th edition, chapters 2-5. Fleiss (1971). Fleiss, Cohen and Everitt (1969) for Cohen's standard error.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

Array = Any  # numpy's own types say no more of the shape

DRAWS = 400
WEIGHTS_AT_ONCE = 8_000_000  # of eight bytes, held twice
LEVEL = 0.95
UNITS_AT_ONCE = 20_000


@dataclass(frozen=True)
class AgreementSums:
    """What all the coefficients are made of: sums over the units of each task, so that tasks can be drawn again.

    With n_c ratings of a unit that have value c, n in all:
    pairs_TCC: n_c (n_k - [c = k]), the ordered pairs of ratings; coincidences_TCC: the same over n - 1
    (Krippendorff's);
    shares_TCC: the same over n (n - 1) (a unit counts once, Gwet and Fleiss), all of units with two ratings or more;
    compared_T: how many of those. prevalence_TC: n_c / n of every unit that was rated, rated_T: how many.
    """

    pairs_TCC: Array
    coincidences_TCC: Array
    shares_TCC: Array
    compared_T: Array
    prevalence_TC: Array
    rated_T: Array

    def map(self, change: Callable[[Array], Array]) -> Self:
        return type(self)(**{field.name: change(getattr(self, field.name)) for field in fields(self)})

    def total(self) -> Self:
        """As one task."""
        return self.map(lambda sums: sums.sum(axis=0, keepdims=True))

    def drawn(self, weights_BT: Array) -> Self:
        """The sums of B draws of the tasks, in place of the tasks."""
        return self.map(lambda sums: (weights_BT @ sums.reshape(len(sums), -1)).reshape(-1, *sums.shape[1:]))

    def without_sides(self) -> Self:
        """The mean of the sums seen from both sides: value c and value C-1-c.

        Which response of a pair is called the first may say nothing. A coefficient whose chance depends on how often
        each value was used must not depend on it then.
        """
        return self.map(lambda sums: (sums + np.flip(sums, axis=tuple(range(1, sums.ndim)))) / 2)

    def joined(self, other: Self) -> Self:
        """The tasks of both."""
        return type(self)(
            *(
                np.concatenate([getattr(self, field.name), getattr(other, field.name)])
                for field in fields(self)
            )
        )


def agreement_sums(task_N: Array, unit_N: Array, value_N: Array, n_values: int) -> AgreementSums:
    """`unit_N` and `task_N`: any integers; a unit lies in one task. No person rates a unit twice."""
    units, unit_N = np.unique(unit_N, return_inverse=True)
    task_U = np.zeros(len(units), dtype=np.int64)
    task_U[unit_N] = task_N
    tasks, task_U = np.unique(task_U, return_inverse=True)
    order = np.argsort(unit_N, kind="stable")
    bounds = np.searchsorted(unit_N[order], np.arange(len(units) + 1))
    sizes = (len(tasks), n_values, n_values)
    pairs, coincidences, shares = np.zeros(sizes), np.zeros(sizes), np.zeros(sizes)
    compared, rated = np.zeros(len(tasks)), np.zeros(len(tasks))
    prevalence = np.zeros(sizes[:2])
    diagonal = np.arange(n_values)
    for start in range(0, len(units), UNITS_AT_ONCE):
        stop = min(start + UNITS_AT_ONCE, len(units))
        rows = order[bounds[start] : bounds[stop]]
        cell = (unit_N[rows] - start) * n_values + value_N[rows]
        counts_UC = np.bincount(cell, minlength=(stop - start) * n_values).reshape(-1, n_values).astype(float)
        n_U, of_U = counts_UC.sum(axis=1), task_U[start:stop]
        np.add.at(prevalence, of_U, counts_UC / n_U[:, None])
        np.add.at(rated, of_U, 1.0)
        several = n_U > 1
        counts_UC, n_U, of_U = counts_UC[several], n_U[several], of_U[several]
        pairs_UCC = counts_UC[:, :, None] * counts_UC[:, None, :]
        pairs_UCC[:, diagonal, diagonal] -= counts_UC
        np.add.at(pairs, of_U, pairs_UCC)
        np.add.at(coincidences, of_U, pairs_UCC / (n_U - 1)[:, None, None])
        np.add.at(shares, of_U, pairs_UCC / (n_U * (n_U - 1))[:, None, None])
        np.add.at(compared, of_U, 1.0)
    return AgreementSums(pairs, coincidences, shares, compared, prevalence, rated)


def percent_agreement(sums: AgreementSums) -> Array:
    """Share of the pairs of ratings of one unit that are the same, of each task; nan where there are none."""
    return _ratio(np.trace(sums.pairs_TCC, axis1=1, axis2=2), sums.pairs_TCC.sum(axis=(1, 2)))


def percent_agreement_by_value(sums: AgreementSums, same_CC: Array) -> Array:
    """(T, C): where one said c, the share of the others who said what `same_CC` counts as the same."""
    return _ratio((sums.pairs_TCC * same_CC).sum(axis=2), sums.pairs_TCC.sum(axis=2))


def krippendorff_alpha(sums: AgreementSums, level: str) -> Array:
    """Alpha of each task. `level`: nominal, ordinal or interval (the values are 0, 1, ... then).

    nan where nobody can disagree: no unit rated twice, or one value alone.
    """
    n_TC = sums.coincidences_TCC.sum(axis=2)
    distance_TCC = _squared_distances(n_TC, level)
    observed = (sums.coincidences_TCC * distance_TCC).sum(axis=(1, 2))
    expected = (n_TC[:, :, None] * n_TC[:, None, :] * distance_TCC).sum(axis=(1, 2))
    return 1 - _ratio((n_TC.sum(axis=1) - 1) * observed, expected)


def _squared_distances(n_TC: Array, level: str) -> Array:
    n_values = n_TC.shape[1]
    values = np.arange(n_values)
    if level == "nominal":
        return np.broadcast_to(1.0 - np.eye(n_values), (len(n_TC), n_values, n_values))
    if level == "interval":
        return np.broadcast_to((values[:, None] - values[None, :]) ** 2.0, (len(n_TC), n_values, n_values))
    if level == "ordinal":
        # The ratings between two values, those of the two themselves half: between the middles of their ranks.
        middles = n_TC.cumsum(axis=1) - n_TC / 2
        return (middles[:, :, None] - middles[:, None, :]) ** 2
    raise ValueError(f"nominal, ordinal or interval, not {level!r}")


def ordinal_weights(n_values: int) -> Array:
    """How much of an agreement it is to be so far apart, after Gwet: 1 - M_ck / max M, M_ck the number of pairs of
    values
    from c to k, both included.
    """
    apart = np.abs(np.arange(n_values)[:, None] - np.arange(n_values)[None, :])
    pairs = apart * (apart + 1) / 2
    return 1 - pairs / pairs.max() if n_values > 1 else np.ones((1, 1))


def gwet_ac(sums: AgreementSums, weights_CC: Array | None = None) -> Array:
    """AC1 of each task, or AC2 with weights (1 on the diagonal)."""
    n_values = sums.shares_TCC.shape[1]
    weights = np.eye(n_values) if weights_CC is None else weights_CC
    observed = _ratio((sums.shares_TCC * weights).sum(axis=(1, 2)), sums.compared_T)
    prevalence = _ratio(sums.prevalence_TC, sums.rated_T[:, None])
    spread = (prevalence * (1 - prevalence)).sum(axis=1)
    chance = weights.sum() / (n_values * (n_values - 1)) * spread if n_values > 1 else 1 + 0 * spread
    return _ratio(observed - chance, 1 - chance)


def fleiss_kappa(sums: AgreementSums, weights_CC: Array | None = None) -> Array:
    """Kappa of each task; units may have different numbers of ratings, as Gwet generalises it."""
    weights = np.eye(sums.shares_TCC.shape[1]) if weights_CC is None else weights_CC
    observed = _ratio((sums.shares_TCC * weights).sum(axis=(1, 2)), sums.compared_T)
    prevalence = _ratio(sums.prevalence_TC, sums.rated_T[:, None])
    chance = np.einsum("tc,ck,tk->t", prevalence, weights, prevalence)
    return _ratio(observed - chance, 1 - chance)


@dataclass(frozen=True)
class CohenKappa:
    kappa: float  # nan where one value was used alone
    standard_error: float
    n: int


def cohen_kappa(table_CC: Array, weights_CC: Array | None = None) -> CohenKappa:
    """Of two raters: table_CC[c, k] is how many units the first gave c and the second k."""
    table = np.asarray(table_CC, dtype=float)
    n = table.sum()
    weights = np.eye(len(table)) if weights_CC is None else weights_CC
    if n == 0:
        return CohenKappa(math.nan, math.nan, 0)
    p = table / n
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    observed, chance = (weights * p).sum(), (weights * np.outer(rows, columns)).sum()
    if 1 - chance < 1e-12:
        return CohenKappa(math.nan, math.nan, int(n))
    kappa = (observed - chance) / (1 - chance)
    mean_weights = (weights @ columns)[:, None] + (rows @ weights)[None, :]
    variance = (p * (weights - mean_weights * (1 - kappa)) ** 2).sum() - (kappa - chance * (1 - kappa)) ** 2
    return CohenKappa(float(kappa), math.sqrt(max(variance, 0) / n) / (1 - chance), int(n))


def kappa_estimate(
    one_P: Array, other_P: Array, task_P: Array, *, seed: int, draws: int = DRAWS
) -> "Estimate":
    """Cohen's kappa of P pairs of ratings, values 0, 1, ..., with the interval of a bootstrap that draws tasks (0, 1,
    ...): of one task there are several pairs, which the formula for its standard error takes for independent.
    """
    size = int(max(one_P.max(), other_P.max())) + 1
    tables = np.zeros((int(task_P.max()) + 1, size, size))
    np.add.at(tables, (task_P, one_P, other_P), 1)
    value = cohen_kappa(tables.sum(axis=0)).kappa
    if len(tables) < 2:
        return summarize(value, None)
    flat = tables.reshape(len(tables), -1)
    drawn = [
        cohen_kappa(table.reshape(size, size)).kappa
        for weights in draw_weights(len(tables), draws, seed)
        for table in weights @ flat
    ]
    return summarize(value, np.array(drawn))


@dataclass(frozen=True)
class Estimate:
    value: float | None  # None: not defined
    low: float | None  # of the interval that holds it with probability LEVEL
    high: float | None


def estimate(
    sums: AgreementSums,
    coefficients: Mapping[str, Callable[[AgreementSums], Array]],
    *,
    seed: int,
    draws: int = DRAWS,
) -> dict[str, Estimate]:
    """Each coefficient over all tasks, with the percentile interval of a bootstrap that draws tasks."""
    number = len(sums.rated_T)
    whole = sums.total()
    drawn: dict[str, list[Array]] = {name: [] for name in coefficients}
    if number > 1:
        for weights_BT in draw_weights(number, draws, seed):
            some = sums.drawn(weights_BT)
            for name, coefficient in coefficients.items():
                drawn[name].append(coefficient(some))
    return {
        name: summarize(float(coefficient(whole)[0]), np.concatenate(drawn[name]) if drawn[name] else None)
        for name, coefficient in coefficients.items()
    }


def estimate_mean(value: float, sum_T: Array, number_T: Array, *, seed: int, draws: int = DRAWS) -> Estimate:
    """`value`, a mean of what tasks have, sum_T of number_T things each, with the interval of the same bootstrap."""
    if len(sum_T) < 2:
        return summarize(value, None)
    blocks = [(weights @ sum_T) / (weights @ number_T) for weights in draw_weights(len(sum_T), draws, seed)]
    return summarize(value, np.concatenate(blocks))


def summarize(value: float, draws_B: Array | None) -> Estimate:
    """The value with the interval of its draws; draws in which it is not defined are left out."""
    if math.isnan(value):
        return Estimate(None, None, None)
    kept = draws_B[~np.isnan(draws_B)] if draws_B is not None else np.zeros(0)
    if len(kept) < 2:
        return Estimate(value, None, None)
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def draw_weights(n_tasks: int, draws: int, seed: int) -> Iterator[Array]:
    """(B, T) each: how often each task is in each draw of T tasks; `draws` in all, as many at once as fit."""
    generator = np.random.default_rng(seed)
    at_once = max(1, WEIGHTS_AT_ONCE // n_tasks)
    chances = np.full(n_tasks, 1 / n_tasks)
    for start in range(0, draws, at_once):
        yield generator.multinomial(n_tasks, chances, size=min(at_once, draws - start)).astype(float)


def _ratio(part: Array, whole: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(np.abs(whole) > 1e-12, part / whole, np.nan)
