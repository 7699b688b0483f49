"""How sure a share of so many is: read by recipes, reports and pages."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

DRAWS = 4000
SEED = 20261129
Z_95 = 1.959963984540054  # two-sided 95 % point of the normal distribution


def wilson_interval(successes: float, n: int, z: float = Z_95) -> tuple[float, float]:
    """Wilson score interval of a proportion. Source: Wilson 1927. No trials give (0, 1)."""
    if n == 0:
        return (0.0, 1.0)
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (max(0.0, centre - half), min(1.0, centre + half))


def clustered_interval(clusters: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """95 % interval of sum(successes) / sum(trials) over clusters of trials that are no independent evidence: of each
    cluster (a prompt) its successes and its trials, of which it has one at least.

    Percentiles of a bootstrap that draws whole clusters, with the same draws every time. Sources: Efron and Tibshirani
    1993, 13.3; Davison and Hinkley 1997, 3.8. Where each cluster is one trial, or all have the same share, so that no
    draw differs from another: Wilson's interval over the clusters. No clusters give (0, 1).
    """
    n, kinds = len(clusters), Counter(clusters)
    if all(count == 1 for _, count in kinds) or len({won / count for won, count in kinds}) == 1:
        return wilson_interval(math.fsum(won / count for won, count in clusters), n)
    successes, trials = (np.array(column, dtype=np.float64) for column in zip(*kinds, strict=True))
    # Clusters that are alike are drawn together: how many of each kind.
    drawn = np.random.default_rng(SEED).multinomial(n, np.array([*kinds.values()]) / n, size=DRAWS)
    shares = (drawn @ successes) / (drawn @ trials)
    low, high = np.quantile(shares, (0.025, 0.975), method="inverted_cdf").tolist()
    return low, high
