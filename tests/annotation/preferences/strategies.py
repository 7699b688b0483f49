"""Weak orders as hypothesis draws them."""

from hypothesis import strategies as st

from annotation.preferences.scale import RESPONSE_LABELS


@st.composite
def weak_orders(draw):
    """(items, tiers, strengths) of 2 to 9 responses."""
    count = draw(st.integers(2, 9))
    items = list(RESPONSE_LABELS[:count])
    ranks = draw(st.lists(st.integers(0, count - 1), min_size=count, max_size=count))
    tiers = [[i for i, r in zip(items, ranks, strict=True) if r == rank] for rank in sorted(set(ranks))]
    strengths = draw(st.lists(st.integers(0, 3), min_size=len(tiers) - 1, max_size=len(tiers) - 1))
    return items, tiers, strengths
