import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from annotation.quality.rank_correlation import kendall_tau_b


@given(
    st.integers(2, 9).flatmap(
        lambda k: st.tuples(*[st.lists(st.integers(0, 4), min_size=k, max_size=k) for _ in range(2)])
    )
)
def test_tau_b_is_that_of_scipy(pair):
    one, other = map(np.array, pair)
    found = kendall_tau_b(one[None], other[None])[0]
    assert found == pytest.approx(kendalltau(one, other, variant="b").statistic, nan_ok=True)


def test_several_pairs_at_once():
    one = np.array([[0, 1, 2], [0, 1, 2], [0, 0, 0]])
    other = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 2]])
    assert kendall_tau_b(one, other).tolist() == pytest.approx([1, -1, np.nan], nan_ok=True)
