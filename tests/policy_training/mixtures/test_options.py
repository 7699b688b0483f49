"""Quotas against every possible division of small totals, and their properties for any."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.interface.options import UserError, load_options, options_to_dict
from policy_training.mixtures.options import (
    PromptMixture,
    SetShare,
    interleaved,
    largest_total,
    quotas,
    topped_up,
)

WEIGHTS = st.lists(st.integers(1, 10**6).map(lambda n: Fraction(n, 997)), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [
        (28_000, (5, 2), [20_000, 8_000]),  # Secrets of RLHF I, 5.1
        (10, (1, 1, 1), [4, 3, 3]),
        (5, (1, 1), [3, 2]),
        # By hand: 100 x 47/109.. of the largest-remainder method: 43.119, 14.679, 14.495, 11.009, 11.009, 5.688
        (100, (47_000, 16_000, 15_800, 12_000, 12_000, 6_200), [43, 15, 14, 11, 11, 6]),
        (1, (1, 3), [0, 1]),
        (0, (1, 3), [0, 0]),
    ],
)
def test_quotas_worked_by_hand(total, weights, expected):
    assert quotas(total, [Fraction(weight) for weight in weights]) == expected


@pytest.mark.parametrize(
    ("total", "weights"), [(7, (3, 2, 2)), (11, (1, 5, 6)), (9, (10, 1, 1)), (6, (1, 1, 4))]
)
def test_no_other_division_is_nearer_to_the_shares(total, weights):
    exact = [Fraction(total * weight, sum(weights)) for weight in weights]

    def distance(parts):
        return sum((part - share) ** 2 for part, share in zip(parts, exact, strict=True))

    others = [parts for parts in product(range(total + 1), repeat=3) if sum(parts) == total]
    assert distance(quotas(total, [Fraction(w) for w in weights])) == min(map(distance, others))


@given(total=st.integers(0, 10**5), weights=WEIGHTS)
def test_quotas_sum_exactly_and_are_less_than_one_from_the_share(total, weights):
    parts = quotas(total, weights)
    assert sum(parts) == total
    assert all(
        abs(part - total * weight / sum(weights)) < 1 for part, weight in zip(parts, weights, strict=True)
    )


@given(
    total=st.integers(0, 300),
    sets=st.lists(st.tuples(st.integers(1, 1000).map(Fraction), st.integers(0, 80)), min_size=1, max_size=6),
)
def test_the_others_give_what_a_set_lacks_in_their_own_shares(total, sets):
    weights, available = zip(*sets, strict=True)
    parts = topped_up(total, weights, available)
    assert sum(parts) == min(total, sum(available))
    assert all(0 <= part <= has for part, has in zip(parts, available, strict=True))
    free = [i for i, part in enumerate(parts) if part < available[i]]
    # Those that are not exhausted stand to each other as their weights, within a row each.
    given_by_free, in_all = sum(parts[i] for i in free), sum(weights[i] for i in free)
    assert all(abs(parts[i] - given_by_free * weights[i] / in_all) < 1 for i in free)
    if not any(part == has for part, has in zip(parts, available, strict=True)):
        assert parts == quotas(total, weights)


def test_a_set_that_is_exhausted_is_topped_up():
    thirds = [Fraction(1)] * 3
    assert topped_up(12, thirds, [2, 100, 100]) == [2, 5, 5]
    assert topped_up(12, thirds, [2, 4, 100]) == [2, 4, 6]
    assert topped_up(12, thirds, [0, 1, 3]) == [0, 1, 3]


@given(
    sets=st.lists(st.tuples(st.integers(1, 1000).map(Fraction), st.integers(0, 500)), min_size=1, max_size=6)
)
def test_the_largest_total_is_held_by_every_set_and_one_more_is_not(sets):
    weights, available = zip(*sets, strict=True)
    total = largest_total(weights, available)
    assert all(part <= has for part, has in zip(quotas(total, weights), available, strict=True))
    assert any((total + 1) * w / sum(weights) > has for w, has in zip(weights, available, strict=True))


@given(counts=st.lists(st.integers(0, 60), min_size=1, max_size=6))
def test_every_beginning_has_about_the_shares_of_the_whole(counts):
    order = interleaved(counts)
    assert [order.count(i) for i in range(len(counts))] == counts
    taken, total = [0] * len(counts), len(order)
    for place, chosen in enumerate(order, 1):
        taken[chosen] += 1
        for has, count in zip(taken, counts, strict=True):
            # Half a row of its own, and its share of half a row of each set.
            assert abs(has - place * count / total) <= 0.5 + len(counts) / 2 * count / total + 1e-9


def test_two_to_one_takes_turns():
    assert interleaved([4, 2]) == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"sets": [{"prompt_set": "a", "weight": 1, "prompts": 2}]}, "not both"),
        ({"sets": [{"prompt_set": "a"}]}, "needs a weight or a number"),
        ({"sets": [{"prompt_set": "", "weight": 1}]}, "prompt_set is empty"),
        ({"sets": [{"prompt_set": "a", "weight": 0}]}, "must be above 0"),
        ({"sets": [{"prompt_set": "a", "prompts": 0}]}, "at least 1"),
        ({"sets": [{"prompt_set": "a", "weight": 1}, {"prompt_set": "a", "weight": 2}]}, "twice"),
        ({"sets": [{"prompt_set": "a", "weight": 1}, {"prompt_set": "b", "prompts": 2}]}, "weights to all"),
        ({"sets": [{"prompt_set": "a", "prompts": 1}], "prompts": 5}, "by weights"),
        ({"prompts": 5}, "by weights"),
        ({"sets": [{"prompt_set": "a", "weight": 1}], "prompts": 0}, "at least 1"),
        ({"sets": [{"prompt_set": "a", "weight": 1}], "when_short": "guess"}, "when_short"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(mapping, said):
    with pytest.raises(UserError, match=said):
        load_options(PromptMixture, mapping)


def test_a_mixture_survives_the_round_trip():
    mixture = PromptMixture(
        sets=(SetShare(prompt_set="helpful", prompts=20_000), SetShare(prompt_set="harmless", prompts=8_000)),
        when_short="top_up",
    )
    assert load_options(PromptMixture, options_to_dict(mixture)) == mixture
    assert mixture.total == 28_000
    assert not PromptMixture()
