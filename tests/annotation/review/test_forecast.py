"""The forecast against its formula, solved by stepping, and against days that are drawn."""

import random
from math import sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from annotation.review.forecast import COVERAGE, LEAST_DAYS, MOST_DAYS, T_95, forecast


def test_the_quantiles_are_those_of_students_t():
    assert set(T_95) == set(range(LEAST_DAYS - 1, MOST_DAYS))
    for degrees, value in T_95.items():
        assert value == pytest.approx(t.ppf((1 + COVERAGE) / 2, degrees), abs=5e-4)


def test_days_that_are_all_alike_leave_no_doubt():
    found = forecast(100, [10, 10, 10])
    assert (found.expected, found.earliest, found.latest) == pytest.approx((10, 10, 10))
    assert forecast(0, [10, 10, 10]).latest == 0


def test_too_few_days_or_nothing_judged_say_nothing_and_wild_days_have_no_end():
    assert forecast(100, [10, 10]) is None
    assert forecast(100, [0] * 14) is None
    assert forecast(100, [1, 0, 200]).latest is None


@given(
    daily=st.lists(st.integers(0, 500), min_size=LEAST_DAYS, max_size=MOST_DAYS),
    remaining=st.integers(1, 100_000),
)
def test_both_ends_are_where_the_interval_of_the_sum_reaches_what_remains(daily, remaining):
    found = forecast(remaining, daily)
    if sum(daily) == 0:
        assert found is None
        return
    k, mean, spread = len(daily), fmean(daily), stdev(daily)

    def end(n, sign):
        return n * mean + sign * T_95[k - 1] * spread * sqrt(n + n * n / k)

    assert end(found.earliest, 1) == pytest.approx(remaining, rel=1e-6)
    assert found.earliest <= found.expected * (1 + 1e-9)
    if found.latest is None:
        # Not in a million times as long as is likely.
        assert end(found.expected * 1e6, -1) < remaining or mean <= T_95[k - 1] * spread / sqrt(k) * (
            1 + 1e-6
        )
    else:
        assert found.latest >= found.expected * (1 - 1e-9)
        assert end(found.latest, -1) == pytest.approx(remaining, rel=1e-4, abs=1e-3)


def test_nine_of_ten_drawn_futures_end_within_it():
    rng = random.Random(5)
    inside = 0
    for _ in range(3000):
        past = [rng.gauss(100, 30) for _ in range(14)]
        found = forecast(1500, past)
        done, days = 0.0, 0.0
        while True:
            today = rng.gauss(100, 30)
            if done + today >= 1500:
                days += (1500 - done) / today
                break
            done, days = done + today, days + 1
        inside += found.earliest <= days <= found.latest
    assert 0.88 <= inside / 3000 <= 0.92
