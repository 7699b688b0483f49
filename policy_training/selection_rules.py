"""By which of several policies is the one to go on with chosen: pure rules on figures of the same prompts.

All of them compare policies on the same prompts, so that what makes a prompt easy or hard cancels in the differences.
Ties are broken by the lower KL, then by the order that the candidates are given in.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

BEST_REWARD: Final = "best_reward"
REWARD_WITHIN_KL: Final = "reward_within_kl"
ONE_STANDARD_ERROR: Final = "one_standard_error"
BEST_WIN_RATE: Final = "best_win_rate"
LAST: Final = "last"

DRAWS, SEED, LEVEL = 2000, 20261129, 0.95
DRAWN_AT_ONCE = 1_000_000  # numbers: bounds the memory of many prompts
# With fewer prompts that all say the same, a two-sided sign test has p > 0.05 (2 / 2^5): nothing is settled.
MIN_SETTLED_PROMPTS = 6


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A policy's figures: `scores` and `wins` by prompt id, KL in nats an answer."""

    name: str
    scores: Mapping[str, float]  # the mean reward of its answers to each prompt
    kl: float | None = None  # to the reference
    wins: Mapping[str, float] | None = None  # against the reference: 1 won, 1/2 tied, 0 lost

    @property
    def reward(self) -> float:
        return mean(self.scores)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Places among the candidates: the chosen one, and those the rule admits, the chosen one among them."""

    chosen: int
    admitted: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """Mean over prompts of one policy's figure minus another's, its standard error, and a 95 % interval."""

    mean: float
    standard_error: float
    low: float
    high: float
    prompts: int

    @property
    def is_settled(self) -> bool:
        """Whether the interval says which of the two is better."""
        return self.prompts >= MIN_SETTLED_PROMPTS and not self.low <= 0.0 <= self.high


def mean(values: Mapping[str, float]) -> float:
    return math.fsum(values.values()) / len(values)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean, over prompts, with n - 1; 0 of a single one."""
    n = len(values)
    if n < 2:
        return 0.0
    centre = math.fsum(values) / n
    return math.sqrt(math.fsum((value - centre) ** 2 for value in values) / (n - 1) / n)


def paired_difference(one: Mapping[str, float], other: Mapping[str, float]) -> PairedDifference:
    """`one` minus `other` on the prompts of both, which must be the same and at least one, else ValueError.

    The interval is of a bootstrap of the prompts (Efron and Tibshirani 1993, 13.3: percentiles), with a fixed seed:
    the same figures give the same interval.
    """
    if one.keys() != other.keys() or not one:
        raise ValueError("paired differences need the same prompts, at least one")
    differences = np.array([one[prompt] - other[prompt] for prompt in sorted(one)], dtype=np.float64)
    n = len(differences)
    chance = np.random.default_rng(SEED)
    rows = max(1, DRAWN_AT_ONCE // n)
    means = np.concatenate(
        [
            differences[chance.integers(n, size=(min(rows, DRAWS - start), n))].mean(axis=1)
            for start in range(0, DRAWS, rows)
        ]
    )
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return PairedDifference(
        mean=math.fsum(differences) / n,
        standard_error=standard_error(differences.tolist()),
        low=low,
        high=high,
        prompts=n,
    )


def best_reward(candidates: Sequence[Candidate]) -> Choice:
    """The highest mean reward."""
    return _highest(candidates, [one.reward for one in candidates], range(len(candidates)))


def reward_within_kl(candidates: Sequence[Candidate], max_kl: float) -> Choice | None:
    """The highest mean reward of those whose KL is at most `max_kl` nats; None where there is none."""
    admitted = [place for place, one in enumerate(candidates) if _kl(one) <= max_kl]
    return _highest(candidates, [one.reward for one in candidates], admitted) if admitted else None


def one_standard_error(candidates: Sequence[Candidate]) -> Choice:
    """The lowest KL of those whose reward is within one standard error of the best (Breiman et al. 1984, 3.4.3; Hastie
    et al. 2009, 7.10). The prompts are the same for all, so the error is that of the paired difference to the best.
    """
    best = candidates[best_reward(candidates).chosen]
    admitted = []
    for place, one in enumerate(candidates):
        behind = [best.scores[prompt] - one.scores[prompt] for prompt in best.scores]
        if math.fsum(behind) / len(behind) <= standard_error(behind):
            admitted.append(place)
    chosen = min(admitted, key=lambda place: (_kl(candidates[place]), -candidates[place].reward, place))
    return Choice(chosen=chosen, admitted=tuple(admitted))


def best_win_rate(candidates: Sequence[Candidate]) -> Choice:
    """The highest share of prompts won against the reference, a tie half. Raises ValueError without verdicts."""
    rates = [mean(wins_of(one)) for one in candidates]
    return _highest(candidates, rates, range(len(candidates)))


def last(candidates: Sequence[object]) -> Choice:
    """The last of the order they are given in, oldest first."""
    return Choice(chosen=len(candidates) - 1, admitted=tuple(range(len(candidates))))


def runner_up(figures: Sequence[float], choice: Choice) -> int | None:
    """The best of the other admitted candidates by these figures; None without others."""
    others = [place for place in choice.admitted if place != choice.chosen]
    return max(others, key=lambda place: (figures[place], -place), default=None)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the (KL, reward) points that no other has both a KL as low and a reward as high as, one of them better;
    by rising KL. Equal points are all on it or none.
    """
    order = sorted(range(len(points)), key=lambda place: (points[place][0], -points[place][1]))
    found: list[int] = []
    for place in order:
        if not found or points[place][1] > points[found[-1]][1] or points[place] == points[found[-1]]:
            found.append(place)
    return found


def wins_of(candidate: Candidate) -> Mapping[str, float]:
    if candidate.wins is None:
        raise ValueError(f"{candidate.name} has no verdicts against the reference")
    return candidate.wins


def _kl(candidate: Candidate) -> float:
    if candidate.kl is None:
        raise ValueError(f"{candidate.name} has no KL to the reference")
    return candidate.kl


def _highest(candidates: Sequence[Candidate], figures: Sequence[float], admitted: Sequence[int]) -> Choice:
    def order(place: int) -> tuple[float, float, int]:
        kl = candidates[place].kl
        return figures[place], -(math.inf if kl is None else kl), -place

    return Choice(chosen=max(admitted, key=order), admitted=tuple(admitted))
