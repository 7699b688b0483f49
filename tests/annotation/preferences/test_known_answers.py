import pytest

from annotation.preferences.known_answers import KnownAnswer, Order, is_right

# The scale from one end to the other, one place apart: A much better ... A barely, tie, B barely ... B much better.
SCALE = [
    *(Order([["A"], ["B"]], [strength]) for strength in (3, 2, 1, 0)),
    Order([["A", "B"]], []),
    *(Order([["B"], ["A"]], [strength]) for strength in (0, 1, 2, 3)),
]


@pytest.mark.parametrize("tolerance", range(5))
@pytest.mark.parametrize("known", range(9))
def test_a_pair_is_right_within_so_many_places_of_the_scale(known, tolerance):
    right = [is_right(said, KnownAnswer([SCALE[known]], tolerance)) for said in SCALE]
    assert right == [abs(place - known) <= tolerance for place in range(9)]


def test_without_a_tolerance_which_one_is_better_is_enough():
    right = [is_right(said, KnownAnswer([SCALE[1]])) for said in SCALE]
    assert right == [True] * 4 + [False] * 5
    assert [is_right(said, KnownAnswer([SCALE[4]])) for said in SCALE].count(True) == 1


def test_a_strength_that_nobody_gave_is_not_held_against_anybody():
    known = Order([["A"], ["B"]], [None])
    assert [is_right(said, KnownAnswer([known], 0)) for said in SCALE] == [True] * 4 + [False] * 5


def test_of_a_ranking_so_many_pairs_have_to_be_right_and_of_several_orders_one():
    known = Order([["A"], ["B"], ["C"]], [1, 1])
    swapped = Order([["B"], ["A"], ["C"]], [1, 1])  # one of its three pairs is wrong
    assert not is_right(swapped, KnownAnswer([known]))
    assert is_right(swapped, KnownAnswer([known], least_pairs=2 / 3))
    assert not is_right(swapped, KnownAnswer([known], least_pairs=0.7))
    assert is_right(swapped, KnownAnswer([known, swapped]))
