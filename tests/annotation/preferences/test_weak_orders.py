import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.preferences.weak_orders import (
    dense_ranks,
    pair_strength,
    ranks_from_pairs,
    ranks_to_tiers,
    tiers_to_ranks,
)

RANKS = st.lists(st.integers(0, 5), min_size=1, max_size=7)


def signs_of(ranks):
    return {
        (i, j): (ranks[i] < ranks[j]) - (ranks[i] > ranks[j])
        for i, j in itertools.combinations(range(len(ranks)), 2)
    }


@given(RANKS)
def test_tiers_and_ranks_are_two_spellings_of_one_order(ranks):
    assert tiers_to_ranks(ranks_to_tiers(ranks)) == dense_ranks(ranks)


@given(RANKS)
def test_the_signs_of_a_weak_order_give_it_back(ranks):
    assert ranks_from_pairs(len(ranks), signs_of(ranks)) == dense_ranks(ranks)


@given(st.integers(2, 4).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.sampled_from([-1, 0, 1]),
       min_size=k * (k - 1) // 2, max_size=k * (k - 1) // 2))))  # fmt: skip
def test_signs_are_an_order_exactly_when_some_ranks_have_those_signs(drawn):
    """The reference tries every ranking there is."""
    k, values = drawn
    signs = dict(zip(itertools.combinations(range(k), 2), values, strict=True))
    orders = {
        tuple(dense_ranks(ranks))
        for ranks in itertools.product(range(k), repeat=k)
        if signs_of(ranks) == signs
    }
    found = ranks_from_pairs(k, signs)
    assert (found is None) == (not orders)
    assert found is None or orders == {tuple(found)}


def test_a_cycle_and_a_missing_pair_are_no_order():
    assert ranks_from_pairs(3, {(0, 1): 1, (1, 2): 1, (0, 2): -1}) is None
    assert ranks_from_pairs(3, {(0, 1): 1, (1, 2): 1}) is None


@pytest.mark.parametrize("tiers", [[[0], [0]], [[0], []], [[1]], [[0, 2]]])
def test_tiers_that_are_no_partition_are_refused(tiers):
    with pytest.raises(ValueError, match="not a partition"):
        tiers_to_ranks(tiers)


@pytest.mark.parametrize(
    ("strengths", "upper", "lower", "grade"),
    [([2], 0, 1, 2), ([1, 1], 0, 2, 2), ([2, 2], 0, 2, 3), ([0, 0, 3], 0, 2, 0), ([3, 3, 3], 0, 3, 3)],
)
def test_strengths_between_tiers_add_up_to_at_most_3(strengths, upper, lower, grade):
    assert pair_strength(strengths, upper, lower) == grade


@pytest.mark.parametrize(
    ("strengths", "upper", "lower", "strength"),
    [
        ([None], 0, 1, None),
        ([None, None], 0, 2, None),
        ([2, None], 0, 2, 2),
        ([None, 0], 0, 2, 0),
        ([2, None, 2], 0, 3, 3),
        ([None, 1], 0, 1, None),
    ],
)
def test_a_step_whose_strength_nobody_gave_adds_nothing(strengths, upper, lower, strength):
    assert pair_strength(strengths, upper, lower) == strength


def test_a_pair_further_apart_is_never_weaker_and_null_is_no_nought():
    """Every order of up to four tiers, every step given or not."""
    for steps in itertools.product([None, 0, 1, 2, 3], repeat=3):
        for upper, lower in itertools.combinations(range(4), 2):
            found = pair_strength(steps, upper, lower)
            inside = [pair_strength(steps, step, step + 1) for step in range(upper, lower)]
            assert inside == list(steps[upper:lower])
            assert (found is None) == (set(inside) == {None})
            assert all(found >= strength for strength in inside if strength is not None)
