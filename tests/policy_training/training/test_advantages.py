"""CHECKS 9 and 17. References are NumPy float64 and follow the definitions, not the recursion."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_training.training.rollouts.advantages import compute_gae, explained_variance, whiten


def quadratic_gae(rewards: np.ndarray, values: np.ndarray, gamma: float, gae_lambda: float) -> np.ndarray:
    """A_t = sum over l >= 0 of (gamma lambda)^l delta_{t+l}, each delta from its definition."""
    length = len(rewards)
    deltas = [
        rewards[t] + (gamma * values[t + 1] if t + 1 < length else 0.0) - values[t] for t in range(length)
    ]
    return np.array(
        [sum((gamma * gae_lambda) ** (s - t) * deltas[s] for s in range(t, length)) for t in range(length)]
    )


def ragged(seed: int, rows: int = 6, width: int = 11) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rewards = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    values = torch.randn(rows, width, dtype=torch.float64, generator=generator)
    lengths = torch.randint(1, width + 1, (rows,), generator=generator)
    return rewards, values, torch.arange(width)[None, :] < lengths[:, None]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 1))
def test_advantages_equal_the_quadratic_sum_on_ragged_rows(seed, gamma, gae_lambda):
    rewards, values, mask = ragged(seed)
    advantages, returns = compute_gae(rewards, values, mask, gamma=gamma, gae_lambda=gae_lambda)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        expected = quadratic_gae(
            rewards[row, :length].numpy(), values[row, :length].numpy(), gamma, gae_lambda
        )
        np.testing.assert_allclose(advantages[row, :length].numpy(), expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(
            returns[row, :length].numpy(), expected + values[row, :length].numpy(), rtol=0, atol=1e-9
        )
        assert (advantages[row, length:] == 0).all() and (returns[row, length:] == 0).all()


def test_lambda_zero_is_the_td_error_and_lambda_one_is_return_minus_value():
    rewards, values, mask = ragged(3)
    td, _ = compute_gae(rewards, values, mask, gamma=0.9, gae_lambda=0.0)
    full, _ = compute_gae(rewards, values, mask, gamma=0.9, gae_lambda=1.0)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        r, v = rewards[row, :length].numpy(), values[row, :length].numpy()
        np.testing.assert_allclose(td[row, :length].numpy(), r + 0.9 * np.append(v[1:], 0.0) - v, atol=1e-9)
        discounted = np.array([sum(0.9 ** (s - t) * r[s] for s in range(t, length)) for t in range(length)])
        np.testing.assert_allclose(full[row, :length].numpy(), discounted - v, atol=1e-9)


def test_a_ragged_batch_equals_one_row_at_a_time():
    rewards, values, mask = ragged(5)
    together, _ = compute_gae(rewards, values, mask, gamma=1.0, gae_lambda=0.95)
    for row in range(len(rewards)):
        length = int(mask[row].sum())
        alone, _ = compute_gae(
            rewards[row : row + 1, :length],
            values[row : row + 1, :length],
            mask[row : row + 1, :length],
            gamma=1.0,
            gae_lambda=0.95,
        )
        assert torch.equal(alone[0], together[row, :length])


@pytest.mark.parametrize("garbage", [1e9, float("nan"), float("inf")])
def test_garbage_after_the_eos_changes_nothing(garbage):
    rewards, values, mask = ragged(7)
    clean = compute_gae(rewards, values, mask, gamma=1.0, gae_lambda=0.95)
    rewards[~mask], values[~mask] = garbage, garbage
    dirty = compute_gae(rewards, values, mask, gamma=1.0, gae_lambda=0.95)
    assert torch.equal(clean[0], dirty[0]) and torch.equal(clean[1], dirty[1])


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        compute_gae(
            torch.zeros(2, 3),
            torch.zeros(2, 4),
            torch.ones(2, 3, dtype=torch.bool),
            gamma=1.0,
            gae_lambda=1.0,
        )


@pytest.mark.parametrize("offset", [0.0, 1e4, -1e6])
def test_whitening_gives_masked_mean_zero_and_variance_one(offset):
    values, _, mask = ragged(11, rows=20, width=30)
    values = values + offset
    values[~mask] = float("nan")
    white = whiten(values, mask)
    chosen = white[mask].numpy()
    assert abs(chosen.mean()) <= 1e-5 and abs(chosen.var() - 1.0) <= 1e-5
    assert (white[~mask] == 0).all()


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.7, 1e8])
def test_whitening_a_constant_gives_zero(constant):
    values = torch.full((3, 7), constant)
    assert (whiten(values, torch.ones(3, 7, dtype=torch.bool)) == 0).all()


def test_whitening_over_three_ranks_equals_whitening_everything():
    values, _, mask = ragged(13, rows=9, width=8)
    whole = whiten(values, mask)
    parts = [(values[i::3], mask[i::3]) for i in range(3)]

    # What each rank contributes to each of the two reductions, from the definition.
    totals = sum(torch.stack([v[m].sum(), m.sum().double()]) for v, m in parts)
    deviations = sum((v[m] - totals[0] / totals[1]).square().sum() for v, m in parts)
    for rank, (v, m) in enumerate(parts):
        answers = iter([totals, deviations])
        white = whiten(v, m, all_reduce_sum=lambda _, answers=answers: next(answers))
        torch.testing.assert_close(white, whole[rank::3], rtol=0, atol=1e-10)


def test_explained_variance_of_a_perfect_a_constant_and_a_useless_task():
    returns = torch.tensor([[1.0, 2.0, 5.0], [0.0, 7.0, 9.0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    assert explained_variance(returns.clone(), returns, mask) == pytest.approx(1.0)
    assert explained_variance(torch.full_like(returns, 4.0), returns, mask) == pytest.approx(0.0)
    assert np.isnan(explained_variance(returns, torch.ones_like(returns), mask))


def test_explained_variance_over_ranks_is_that_of_all_tokens_and_a_rank_may_have_none():
    """Three ranks with 4, 0 and 3 tokens: each adds its sums to those of the others, which are known here."""
    rng = np.random.default_rng(4)
    returns, values = rng.normal(size=7), rng.normal(size=7)
    expected = 1 - (returns - values).var() / returns.var()
    means = np.array([returns.mean(), (returns - values).mean()])
    sums = [np.array([returns.sum(), (returns - values).sum(), 7.0])]
    sums.append(((np.stack([returns, returns - values]) - means[:, None]) ** 2).sum(1))
    for part in (slice(0, 4), slice(4, 4), slice(4, 7)):
        answers = iter(sums)
        found = explained_variance(
            torch.tensor(values[part]),
            torch.tensor(returns[part]),
            torch.ones(len(values[part]), dtype=torch.bool),
            all_reduce_sum=lambda _, answers=answers: torch.tensor(next(answers)),
        )
        assert found == pytest.approx(expected, abs=1e-12)
