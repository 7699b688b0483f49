"""When a batch will be done, from what was judged of it on the last whole days: a pure function of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance

LEAST_DAYS, MOST_DAYS = 3, 14
COVERAGE = 0.90
# Student's t, 95 % quantile, by degrees of freedom: two-sided 90 % (NIST/SEMATECH e-Handbook, section 1.3.6.7.2).
T_95 = {2: 2.920, 3: 2.353, 4: 2.132, 5: 2.015, 6: 1.943, 7: 1.895, 8: 1.860, 9: 1.833, 10: 1.812, 11: 1.796,
        12: 1.782, 13: 1.771}  # fmt: skip


@dataclass(frozen=True)
class Forecast:
    """In days from now. `latest` is None where the days differ so much that no end can be promised."""

    expected: float
    earliest: float
    latest: float | None


def forecast(remaining: int, daily: Sequence[int]) -> Forecast | None:
    """When `remaining` more judgments are there, if the days to come are like these (LEAST_DAYS to MOST_DAYS whole
    ones, days without work among them). None where there are too few days, or nothing was judged on them.

    The sum of n days to come is predicted as n m +- t s sqrt(n + n^2 / k) (mean m and standard deviation s of the k
    days, t of k - 1 degrees of freedom: the prediction interval of a sum of independent days of one normal
    distribution, n s^2 for the days themselves and n^2 s^2 / k for the mean that is only estimated). The ends of the
    interval are the n at which its upper and its lower end reach `remaining`.
    """
    days = list(daily)[-MOST_DAYS:]
    k = len(days)
    if k < LEAST_DAYS or sum(days) <= 0:
        return None
    if remaining <= 0:
        return Forecast(0.0, 0.0, 0.0)
    mean = fmean(days)
    spread = T_95[k - 1] ** 2 * variance(days)
    # (remaining - n m)^2 = spread (n + n^2 / k), a quadratic in n: a n^2 - b n + remaining^2 = 0. Its smaller root is
    # where the upper end gets there; the larger one, where there is one, the lower end.
    a, b = mean**2 - spread / k, 2 * remaining * mean + spread
    root = sqrt(max(0.0, b**2 - 4 * a * remaining**2))
    latest = (b + root) / (2 * a) if a > 1e-9 * mean**2 else None
    return Forecast(remaining / mean, 2 * remaining**2 / (b + root), latest)
