"""Intervals of shares of clustered trials, against an enumeration of every draw."""

from itertools import product
from math import comb, fsum

import pytest

from learning.interface.proportions import clustered_interval, wilson_interval


def enumerated(clusters) -> dict[float, float]:
    """Share -> probability, over every draw of as many clusters, in float64."""
    found: dict[float, float] = {}
    for drawn in product(clusters, repeat=len(clusters)):
        share = fsum(won for won, _ in drawn) / sum(n for _, n in drawn)
        found[share] = found.get(share, 0.0) + len(clusters) ** -len(clusters)
    return found


@pytest.mark.parametrize(
    "clusters",
    [
        [(2, 2), (1, 3), (0, 2), (1.5, 2), (2, 4)],
        [(3, 3), (3, 3), (0, 1), (2.5, 5), (1, 2), (0, 3)],
        [(1, 1), (0, 2), (0, 2), (4, 5)],
    ],
)
def test_the_ends_are_the_percentiles_of_all_draws_of_whole_clusters(clusters):
    """Of 4,000 draws a percentile's own error is 0.0025; four of those are allowed."""
    chances = enumerated(clusters)
    for end, level in zip(clustered_interval(clusters), (0.025, 0.975), strict=True):
        assert any(end == pytest.approx(share, abs=1e-12) for share in chances)
        below = fsum(chance for share, chance in chances.items() if share < end - 1e-12)
        up_to = fsum(chance for share, chance in chances.items() if share < end + 1e-12)
        assert below <= level + 0.01 and up_to >= level - 0.01


def test_judgments_that_repeat_each_other_make_nothing_surer():
    """Five people agree on each of ten prompts, six of which are won: the percentiles of Binomial(10, 0.6), and not
    those of fifty judgments.
    """
    up_to = [fsum(comb(10, k) * 0.6**k * 0.4 ** (10 - k) for k in range(n + 1)) for n in range(11)]
    ends = [next(n for n, chance in enumerate(up_to) if chance >= level) / 10 for level in (0.025, 0.975)]
    assert clustered_interval([(5, 5)] * 6 + [(0, 5)] * 4) == pytest.approx(tuple(ends))
    of_judgments = wilson_interval(30, 50)
    assert ends[1] - ends[0] > 1.5 * (of_judgments[1] - of_judgments[0])


def test_where_no_draw_differs_it_is_wilsons_interval_over_the_clusters():
    """Newcombe (1998), table I: 81 of 263 is 0.2553 to 0.3662, 15 of 148 0.0624 to 0.1605, 0 of 20 0 to 0.1611."""
    assert clustered_interval([(1, 1)] * 81 + [(0, 1)] * 182) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert clustered_interval([(1, 1)] * 15 + [(0, 1)] * 133) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert clustered_interval([(0, 3)] * 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert clustered_interval([(2, 4)]) == pytest.approx(wilson_interval(0.5, 1))
    assert clustered_interval([]) == (0.0, 1.0)
