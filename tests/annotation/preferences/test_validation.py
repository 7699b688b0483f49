import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.errors import InvalidJudgment
from annotation.preferences.validation import validate_tiers
from tests.annotation.preferences.strategies import weak_orders


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


def test_a_strength_that_nobody_gave_is_for_files_only():
    order = [["A"], ["B"], ["C"]]
    _, strengths = validate_tiers(order, [None, 2], "ABC", allow_ties=True, allow_missing_strengths=True)
    assert strengths == [None, 2]
    with pytest.raises(InvalidJudgment, match="A strength is 0, 1, 2 or 3"):
        validate_tiers(order, [None, 2], "ABC", allow_ties=True)
