"""What the crowd thinks of pairs of responses, and how far each annotator can be trusted: a graded Bradley-Terry model.

Each pair u has a difference d_u ~ N(0, 1) between its responses. Annotator a perceives e = ability_a * d_u + side_a *
s, s = 1 where the pair's first response was shown first and -1 where it was shown second, plus logistic noise, and says

    nothing between them  for |e| <= c_1,      the first (second) is better, grade k  for c_k < |e| <= c_(k+1)

with c_1 = 0 where nobody ties. A preference without a grade says only |e| > c_1. With two answers, no tie and no grade
that is Bradley and Terry's model with one pair each; with grades it is a graded response model (Samejima 1969), and the
side is Agresti's home field. Abilities and sides are normal in the crowd, with means and deviations found from the
data, so that somebody with few votes is taken for what the crowd is like. An ability below 0 is somebody who answers
the other way round.

Fitted by expectation-maximisation with the differences integrated out on a grid. The pairs of a ranking have a
difference each; nothing here makes them one order.

Suffixes: N votes, U pairs, A annotators, Q places of the grid, V kinds of votes (annotator, answer, side).
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = Any

GRID = np.linspace(-4, 4, 33)
PRIOR = np.exp(-(GRID**2) / 2) / np.exp(-(GRID**2) / 2).sum()
ITERATIONS = 60
TOLERANCE = 2e-3  # the largest change of an ability or side in a step
# Of the crowd's abilities and sides before anything is known, worth PRIOR_WEIGHT annotators.
MEAN_ABILITY, SPREAD, PRIOR_WEIGHT = 1.5, 0.5, 2.0
LEAST_SPREAD = 0.05
# Parameters of more votes than this are found from a part of the pairs; all pairs get their consensus.
FITTED_VOTES = 200_000
UNITS_AT_ONCE = 20_000
LEVEL = 0.9  # of the intervals


@dataclass(frozen=True)
class PairVotes:
    """N votes on U pairs. unit_N, annotator_N: 0, 1, ...; sign_N: 1 the first of the pair is better, -1 the second, 0 a
    tie; grade_N: 0..3, or -1 where nobody said how much; side_N: 1 where the first was shown first, -1, 0 not known.
    """

    unit_N: Array
    annotator_N: Array
    sign_N: Array
    grade_N: Array
    side_N: Array

    def of_units(self, chosen_U: Array) -> "PairVotes":
        """Those on some of the pairs, which are numbered anew."""
        kept = chosen_U[self.unit_N]
        number = np.cumsum(chosen_U) - 1
        columns = (self.annotator_N, self.sign_N, self.grade_N, self.side_N)
        return PairVotes(number[self.unit_N[kept]], *(column[kept] for column in columns))


@dataclass(frozen=True)
class Crowd:
    """What is known of the annotators, and of how grades are used."""

    ability_A: Array
    ability_error_A: Array  # standard errors, given everything else
    side_A: Array
    side_error_A: Array
    mean_ability: float
    mean_side: float
    cuts: Array  # c_1, c_2, ...
    levels: Array  # the grades that are in use, weakest first: cuts[k] begins levels[k]


@dataclass(frozen=True)
class Consensus:
    """Of each pair: preference_U is the share that prefers the first, ties half, among annotators of mean ability who
    see neither side first; low_U and high_U its LEVEL interval; first_U the probability that the first is better at
    all.
    """

    preference_U: Array
    low_U: Array
    high_U: Array
    first_U: Array


def fit_crowd(votes: PairVotes, *, seed: int = 0) -> Crowd:
    n_annotators = int(votes.annotator_N.max()) + 1
    if len(votes.unit_N) > FITTED_VOTES:
        n_units = int(votes.unit_N.max()) + 1
        share = FITTED_VOTES / len(votes.unit_N)
        votes = votes.of_units(np.random.default_rng(seed).random(n_units) < share)
    levels = np.unique(votes.grade_N[(votes.sign_N != 0) & (votes.grade_N >= 0)])
    has_ties = bool((votes.sign_N == 0).any())
    kinds = _Kinds(votes, levels)
    crowd = Crowd(
        ability_A=np.full(n_annotators, MEAN_ABILITY),
        ability_error_A=np.full(n_annotators, SPREAD),
        side_A=np.zeros(n_annotators),
        side_error_A=np.full(n_annotators, SPREAD),
        mean_ability=MEAN_ABILITY,
        mean_side=0.0,
        cuts=(0.5 if has_ties else 0.0) + 1.0 * np.arange(max(1, len(levels))),
        levels=levels,
    )
    spreads = (SPREAD, SPREAD)
    for _ in range(ITERATIONS):
        weights_VQ = kinds.weights(crowd)
        before = crowd
        crowd, spreads = _improve(kinds, weights_VQ, crowd, spreads, has_ties)
        change = max(
            np.abs(crowd.ability_A - before.ability_A).max(), np.abs(crowd.side_A - before.side_A).max()
        )
        if change < TOLERANCE:
            break
    ability_error, side_error = _errors(kinds, crowd, spreads)
    return replace(crowd, ability_error_A=ability_error, side_error_A=side_error)


def consensus(votes: PairVotes, crowd: Crowd) -> Consensus:
    """What the crowd thinks of each pair."""
    n_units = int(votes.unit_N.max()) + 1 if len(votes.unit_N) else 0
    kinds = _Kinds(votes, crowd.levels)
    logs_VQ = kinds.log_likelihood(crowd)
    typical = crowd.mean_ability * GRID
    up, down = _sigmoid(typical - crowd.cuts[0]), _sigmoid(-typical - crowd.cuts[0])
    share_Q = (1 + up - down) / 2
    found = np.empty((4, n_units))
    for start in range(0, n_units, UNITS_AT_ONCE):
        stop = min(start + UNITS_AT_ONCE, n_units)
        posterior_UQ = kinds.posterior(logs_VQ, start, stop)
        cumulative = posterior_UQ.cumsum(axis=1)
        found[0, start:stop] = posterior_UQ @ share_Q
        for row, level in ((1, (1 - LEVEL) / 2), (2, (1 + LEVEL) / 2)):
            found[row, start:stop] = np.interp(_quantile(cumulative, level), GRID, share_Q)
        middle = len(GRID) // 2
        found[3, start:stop] = posterior_UQ[:, middle + 1 :].sum(axis=1) + posterior_UQ[:, middle] / 2
    low, high = (found[1], found[2]) if crowd.mean_ability >= 0 else (found[2], found[1])
    return Consensus(found[0], low, high, found[3])


def _quantile(cumulative_UQ: Array, level: float) -> Array:
    """Where each row of cumulated shares reaches `level`; a place of the grid stands for the step around it."""
    step = GRID[1] - GRID[0]
    at = np.minimum((cumulative_UQ < level).sum(axis=1), len(GRID) - 1)
    rows = np.arange(len(at))
    before = np.where(at > 0, cumulative_UQ[rows, np.maximum(at - 1, 0)], 0.0)
    mass = np.maximum(cumulative_UQ[rows, at] - before, 1e-300)
    return GRID[at] + step * (np.clip((level - before) / mass, 0, 1) - 0.5)


class _Kinds:
    """Votes by kind: who gave which answer with which side first. Most votes share theirs with others."""

    def __init__(self, votes: PairVotes, levels: Array) -> None:
        order = np.argsort(votes.unit_N, kind="stable")
        self.unit_N = votes.unit_N[order]
        # The answer: 0 a tie, else the sign times 1 (no grade) or 2 + the grade's place.
        place = np.where(
            votes.grade_N[order] < 0, 1, 2 + np.searchsorted(levels, np.maximum(votes.grade_N[order], 0))
        )
        # A grade that the crowd's model does not know says no more than the preference.
        place = np.where((place > 1) & ~np.isin(votes.grade_N[order], levels), 1, place)
        answer = votes.sign_N[order] * place
        width = len(levels) + 2
        codes = (votes.annotator_N[order] * (2 * width + 1) + answer + width) * 3 + votes.side_N[order] + 1
        known, self.kind_N = np.unique(codes, return_inverse=True)
        self.side_V = known % 3 - 1
        self.annotator_V = known // 3 // (2 * width + 1)
        answer_V = known // 3 % (2 * width + 1) - width
        self.sign_V = np.sign(answer_V)
        # Between which cuts |e| lies: cuts[lower] and cuts[upper], with the places len(cuts) for infinity.
        place_V = np.abs(answer_V)
        last = max(1, len(levels))
        self.lower_V = np.where(place_V > 1, place_V - 2, 0)
        self.upper_V = np.where(place_V > 1, place_V - 1, last)
        self.by_kind = np.argsort(self.kind_N, kind="stable")
        counts = np.bincount(self.kind_N, minlength=len(known))
        self.kind_starts = np.cumsum(counts) - counts
        self.n_units = int(self.unit_N.max()) + 1 if len(self.unit_N) else 0
        self.unit_bounds = np.searchsorted(self.unit_N, np.arange(self.n_units + 1))

    def bounds(self, crowd: Crowd) -> tuple[Array, Array]:
        """(low_VQ, high_VQ): the vote says low < e' <= high, with e' seen from the response that was preferred."""
        e = (
            crowd.ability_A[self.annotator_V, None] * GRID
            + (crowd.side_A[self.annotator_V] * self.side_V)[:, None]
        )
        cuts = np.append(crowd.cuts, np.inf)
        sign = np.where(self.sign_V == 0, 1, self.sign_V)[:, None]
        low = np.where(self.sign_V == 0, -cuts[0], cuts[self.lower_V])[:, None] - sign * e
        high = np.where(self.sign_V == 0, cuts[0], cuts[self.upper_V])[:, None] - sign * e
        return low, high

    def log_likelihood(self, crowd: Crowd) -> Array:
        low, high = self.bounds(crowd)
        return np.log(np.maximum(_sigmoid(high) - _sigmoid(low), 1e-12))

    def posterior(self, logs_VQ: Array, start: int, stop: int) -> Array:
        """(U, Q) of the pairs from `start` to `stop`. Every pair has a vote."""
        first, last = self.unit_bounds[start], self.unit_bounds[stop]
        rows = self.unit_bounds[start:stop] - first
        joint = np.add.reduceat(logs_VQ[self.kind_N[first:last]], rows, axis=0)
        joint += np.log(PRIOR)
        joint -= joint.max(axis=1, keepdims=True)
        np.exp(joint, out=joint)
        joint /= joint.sum(axis=1, keepdims=True)
        return joint

    def weights(self, crowd: Crowd) -> Array:
        """(V, Q): how many votes of each kind were given at each difference, in expectation."""
        logs_VQ = self.log_likelihood(crowd)
        posterior_UQ = self.posterior(logs_VQ, 0, self.n_units)
        of_votes = posterior_UQ[self.unit_N[self.by_kind]]
        return np.add.reduceat(of_votes, self.kind_starts, axis=0)


def _improve(
    kinds: _Kinds, weights_VQ: Array, crowd: Crowd, spreads: tuple[float, float], has_ties: bool
) -> tuple[Crowd, tuple[float, float]]:
    """One Newton step of every annotator's ability and side, of the cuts, and of what the crowd is like."""
    n_annotators = len(crowd.ability_A)
    low, high = kinds.bounds(crowd)
    in_low, in_high = _sigmoid(low), _sigmoid(high)
    sign = np.where(kinds.sign_V == 0, 1, kinds.sign_V)[:, None]
    # For the logistic F, the slope of log(F(high - x) - F(low - x)) at x = 0 is F(high) + F(low) - 1.
    slope = weights_VQ * (in_high + in_low - 1) * sign
    bend = weights_VQ * (in_high * (1 - in_high) + in_low * (1 - in_low))
    side = kinds.side_V[:, None]

    def by_annotator(value_VQ: Array) -> Array:
        return np.bincount(kinds.annotator_V, value_VQ.sum(axis=1), n_annotators)

    spread_ability, spread_side = spreads
    slope_ability = by_annotator(slope * GRID) - (crowd.ability_A - crowd.mean_ability) / spread_ability**2
    slope_side = by_annotator(slope * side) - (crowd.side_A - crowd.mean_side) / spread_side**2
    bend_ability = by_annotator(bend * GRID**2) + 1 / spread_ability**2
    bend_side = by_annotator(bend * side**2) + 1 / spread_side**2
    bend_both = by_annotator(bend * GRID * side)
    determinant = bend_ability * bend_side - bend_both**2
    ability = crowd.ability_A + np.clip(
        (bend_side * slope_ability - bend_both * slope_side) / determinant, -1, 1
    )
    side_A = crowd.side_A + np.clip(
        (bend_ability * slope_side - bend_both * slope_ability) / determinant, -1, 1
    )
    ability_error, side_error = np.sqrt(bend_side / determinant), np.sqrt(bend_ability / determinant)
    mean_ability, spread_ability = _crowd_of(ability, ability_error, MEAN_ABILITY)
    mean_side, spread_side = _crowd_of(side_A, side_error, 0.0)
    cuts = _better_cuts(kinds, weights_VQ, crowd.cuts, low, high, has_ties)
    improved = Crowd(ability, ability_error, side_A, side_error, mean_ability, mean_side, cuts, crowd.levels)
    return improved, (spread_ability, spread_side)


def _errors(kinds: _Kinds, crowd: Crowd, spreads: tuple[float, float]) -> tuple[Array, Array]:
    """Standard errors of abilities and sides: of the information in the votes, less what the unknown differences take
    of it (Louis 1982), one pair's vote after the other.
    """
    n_annotators = len(crowd.ability_A)
    logs_VQ = kinds.log_likelihood(crowd)
    low, high = (_sigmoid(value) for value in kinds.bounds(crowd))
    sign = np.where(kinds.sign_V == 0, 1, kinds.sign_V)[:, None]
    slope_VQ = (high + low - 1) * sign
    known_VQ = high * (1 - high) + low * (1 - low) - slope_VQ**2
    found = np.zeros((3, n_annotators))
    for start in range(0, kinds.n_units, UNITS_AT_ONCE):
        stop = min(start + UNITS_AT_ONCE, kinds.n_units)
        votes = slice(kinds.unit_bounds[start], kinds.unit_bounds[stop])
        posterior_NQ = kinds.posterior(logs_VQ, start, stop)[kinds.unit_N[votes] - start]
        kind_N = kinds.kind_N[votes]
        annotator_N, side_N = kinds.annotator_V[kind_N], kinds.side_V[kind_N]
        weighted_NQ = posterior_NQ * slope_VQ[kind_N]
        mean_ability_N, mean_side_N = weighted_NQ @ GRID, weighted_NQ.sum(axis=1) * side_N
        known_NQ = posterior_NQ * known_VQ[kind_N]
        for row, value_N in (
            (0, known_NQ @ GRID**2 + mean_ability_N**2),
            (1, known_NQ.sum(axis=1) * side_N**2 + mean_side_N**2),
            (2, known_NQ @ GRID * side_N + mean_ability_N * mean_side_N),
        ):
            found[row] += np.bincount(annotator_N, value_N, n_annotators)
    # Never less than what the crowd says of anybody.
    ability, side = (np.maximum(found[row], 0) + 1 / spreads[row] ** 2 for row in (0, 1))
    determinant = np.maximum(ability * side - found[2] ** 2, 1e-3 * ability * side)
    return np.sqrt(side / determinant), np.sqrt(ability / determinant)


def _crowd_of(value_A: Array, error_A: Array, prior_mean: float) -> tuple[float, float]:
    """Mean and deviation of the crowd: what is known of each, and how little."""
    total = len(value_A) + PRIOR_WEIGHT
    mean = (value_A.sum() + PRIOR_WEIGHT * prior_mean) / total
    squares = ((value_A - mean) ** 2 + error_A**2).sum() + PRIOR_WEIGHT * SPREAD**2
    return float(mean), float(max(LEAST_SPREAD, np.sqrt(squares / total)))


def _better_cuts(
    kinds: _Kinds, weights_VQ: Array, cuts: Array, low: Array, high: Array, has_ties: bool
) -> Array:
    """One Newton step of each cut, kept in order and apart."""
    f_low, f_high = (value * (1 - value) for value in (_sigmoid(low), _sigmoid(high)))
    mass = np.maximum(_sigmoid(high) - _sigmoid(low), 1e-12)
    improved = cuts.copy()
    tie = kinds.sign_V == 0
    for place in range(0 if has_ties else 1, len(cuts)):
        slope = np.zeros_like(weights_VQ)
        bend = np.zeros_like(weights_VQ)
        for ends, f, x, direction in (
            (~tie & (kinds.upper_V == place), f_high, high, 1),
            (~tie & (kinds.lower_V == place), f_low, low, -1),
        ):
            ratio = direction * f[ends] / mass[ends]
            slope[ends] += ratio
            bend[ends] += ratio**2 - direction * f[ends] * (1 - 2 * _sigmoid(x[ends])) / mass[ends]
        if place == 0:
            ratio = (f_high[tie] + f_low[tie]) / mass[tie]
            turn = f_high[tie] * (1 - 2 * _sigmoid(high[tie])) - f_low[tie] * (1 - 2 * _sigmoid(low[tie]))
            slope[tie], bend[tie] = ratio, ratio**2 - turn / mass[tie]
        total_bend = (weights_VQ * bend).sum()
        if total_bend > 1e-9:
            step = (weights_VQ * slope).sum() / total_bend
            improved[place] += np.clip(step, -0.5, 0.5)
    if has_ties:
        improved[0] = max(improved[0], 1e-3)
    for place in range(1, len(improved)):
        improved[place] = max(improved[place], improved[place - 1] + 1e-2)
    return improved


def _sigmoid(x: Array) -> Array:
    return 0.5 * (1 + np.tanh(x / 2))
