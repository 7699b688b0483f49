import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.errors import InvalidJudgment
from annotation.preferences.scale import (
    RESPONSE_LABELS,
    labels_to_responses,
    order_to_scale,
    scale_to_order,
    shuffle_responses,
    tiers_to_labels,
)
from annotation.preferences.validation import validate_tiers
from annotation.rendering.judgments import describe_judgment


@st.composite
def weak_orders(draw):
    """(items, tiers, strengths) of 2 to 9 responses."""
    k = draw(st.integers(2, 9))
    items = list(RESPONSE_LABELS[:k])
    ranks = draw(st.lists(st.integers(0, k - 1), min_size=k, max_size=k))
    tiers = [[i for i, r in zip(items, ranks, strict=True) if r == rank] for rank in sorted(set(ranks))]
    strengths = draw(st.lists(st.integers(0, 3), min_size=len(tiers) - 1, max_size=len(tiers) - 1))
    return items, tiers, strengths


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
def test_the_scale_runs_from_a_significantly_better_to_b_significantly_better(value, tiers, strengths):
    assert scale_to_order(value) == (tiers, strengths)
    assert order_to_scale(tiers, strengths) == value


@pytest.mark.parametrize("value", [-1, 9])
def test_nothing_is_beside_the_scale(value):
    with pytest.raises(InvalidJudgment):
        scale_to_order(value)


@given(weak_orders(), st.randoms())
def test_every_weak_order_passes_however_its_ties_are_written(order, chance):
    items, tiers, strengths = order
    mixed = [chance.sample(tier, len(tier)) for tier in tiers]
    assert validate_tiers(mixed, strengths, items, allow_ties=True) == (tiers, strengths)


@given(weak_orders())
def test_without_ties_exactly_the_strict_orders_pass(order):
    items, tiers, strengths = order
    if all(len(tier) == 1 for tier in tiers):
        assert validate_tiers(tiers, strengths, items, allow_ties=False) == (tiers, strengths)
    else:
        with pytest.raises(InvalidJudgment):
            validate_tiers(tiers, strengths, items, allow_ties=False)


@given(weak_orders(), st.data())
def test_a_missing_a_doubled_or_a_foreign_response_is_refused(order, data):
    items, tiers, strengths = order
    victim = data.draw(st.sampled_from(items))
    missing = [[i for i in tier if i != victim] for tier in tiers]
    doubled = [*tiers[:-1], [*tiers[-1], victim]]
    foreign = [[("Z" if i == victim else i) for i in tier] for tier in tiers]
    for wrong in (missing, doubled, foreign):
        with pytest.raises(InvalidJudgment):
            validate_tiers(wrong, strengths, items, allow_ties=True)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=9, unique=True), st.integers(0, 2**62))
def test_the_order_shown_is_a_permutation_fixed_by_its_seed(keys, seed):
    shown = shuffle_responses(keys, seed)
    assert sorted(shown) == sorted(keys)
    assert shuffle_responses(keys, seed) == shown
    assert tiers_to_labels(shown, [[key] for key in shown]) == [
        [handle] for handle in labels_to_responses(shown)
    ]


def test_every_place_is_as_likely_for_every_response():
    counts = dict.fromkeys(range(4), 0)
    for seed in range(4000):
        counts[shuffle_responses([1, 2, 3, 4], seed).index(1)] += 1
    # 1000 expected, standard deviation 27: five of them.
    assert all(abs(count - 1000) < 137 for count in counts.values())


def test_a_judgment_is_said_in_words():
    assert describe_judgment([["B"], ["A"]], [2]) == "B better than A"
    assert (
        describe_judgment([["A", "C"], ["B"], ["D"]], [1, 3])
        == "A = C slightly better than B, significantly better than D"
    )
    assert describe_judgment([["A", "B"]], []) == "A = B (a tie)"
