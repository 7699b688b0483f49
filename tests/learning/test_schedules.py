import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.interface.training_options import OptimizerOptions
from learning.schedules import learning_rate_at, warmup_steps


def rates(total, **options):
    optimizer = OptimizerOptions(learning_rate=2.0, **options)
    return [learning_rate_at(optimizer, step, total) for step in range(total)]


def test_constant_after_warm_up_from_a_tenth_as_instructgpt():
    found = rates(14, schedule="constant", warmup_steps=10, warmup_start_ratio=0.1)
    assert found[0] == pytest.approx(2.0 * (0.1 + 0.9 * 0.1))
    assert found[9:] == [2.0] * 5
    assert all(b > a for a, b in zip(found[:9], found[1:10], strict=True))


def test_linear_goes_down_to_its_fraction():
    found = rates(11, schedule="linear", min_lr_ratio=0.0)
    assert found[0] == 2.0
    assert found[5] == pytest.approx(2.0 * (1 - 5 / 11))
    assert (
        learning_rate_at(OptimizerOptions(learning_rate=2.0, schedule="linear", min_lr_ratio=0.0), 11, 11)
        == 0
    )


def test_cosine_ends_at_a_tenth_and_passes_the_middle_halfway():
    optimizer = OptimizerOptions(learning_rate=2.0)
    assert learning_rate_at(optimizer, 0, 100) == 2.0
    assert learning_rate_at(optimizer, 50, 100) == pytest.approx(2.0 * 0.55)
    assert learning_rate_at(optimizer, 100, 100) == pytest.approx(0.2)
    assert learning_rate_at(optimizer, 5000, 100) == pytest.approx(0.2)


def test_the_larger_warm_up_counts():
    optimizer = OptimizerOptions(learning_rate=1.0, warmup_steps=5, warmup_ratio=0.03)
    assert warmup_steps(optimizer, 100) == 5
    assert warmup_steps(optimizer, 1000) == 30
    assert warmup_steps(OptimizerOptions(learning_rate=1.0, warmup_ratio=0.03), 10) == 1


@given(
    st.sampled_from(["constant", "linear", "cosine"]),
    st.integers(1, 300),
    st.integers(0, 400),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_rates_stay_between_zero_and_the_peak_and_only_fall_after_the_warm_up(
    kind, total, warm, start, final
):
    optimizer = OptimizerOptions(
        learning_rate=1.0,
        schedule=kind,
        warmup_steps=warm,
        warmup_start_ratio=start,
        min_lr_ratio=final,
    )
    found = [learning_rate_at(optimizer, step, total) for step in range(total)]
    assert all(0 < rate <= 1.0 + 1e-12 or (rate == 0 and final == 0) for rate in found)
    after = found[warm:]
    assert all(b <= a + 1e-12 for a, b in zip(after, after[1:], strict=False))
    assert all(math.isfinite(rate) for rate in found)
