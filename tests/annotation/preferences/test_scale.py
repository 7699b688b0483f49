import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.preferences.scale import (
    labels_to_responses,
    order_to_scale,
    shuffle_responses,
    tiers_to_labels,
)


@pytest.mark.parametrize(
    ("value", "tiers", "strengths"),
    [
        (1, [["A"], ["B"]], [3]),
        (2, [["A"], ["B"]], [2]),
        (3, [["A"], ["B"]], [1]),
        (4, [["A"], ["B"]], [0]),
        (5, [["B"], ["A"]], [0]),
        (6, [["B"], ["A"]], [1]),
        (7, [["B"], ["A"]], [2]),
        (8, [["B"], ["A"]], [3]),
        (0, [["A", "B"]], []),
    ],
)
def test_the_scale_runs_from_a_much_better_to_b_much_better(value, tiers, strengths):
    assert order_to_scale(tiers, strengths) == value


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=9, unique=True), st.integers(0, 2**62))
def test_the_order_shown_is_a_permutation_fixed_by_its_seed(keys, seed):
    shown = shuffle_responses(keys, seed)
    assert sorted(shown) == sorted(keys)
    assert shuffle_responses(keys, seed) == shown
    assert tiers_to_labels(shown, [[key] for key in shown]) == [
        [label] for label in labels_to_responses(shown)
    ]


def test_every_place_is_as_likely_for_every_response():
    counts = dict.fromkeys(range(4), 0)
    for seed in range(4000):
        counts[shuffle_responses([1, 2, 3, 4], seed).index(1)] += 1
    # 1000 expected, standard deviation 27: five of them.
    assert all(abs(count - 1000) < 137 for count in counts.values())
