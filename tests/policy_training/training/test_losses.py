"""CHECK 18, and that sums do not depend on the cut into micro-batches (half of CHECK 19)."""

import math

import numpy as np
import pytest
import torch

from policy_training.training.losses import clipped_policy_loss, clipped_value_loss, language_model_loss

CLIP = 0.2


def one_token(ratio: float, advantage: float) -> tuple[float, float, int]:
    """(loss, gradient with respect to the log-prob, tokens counted as clipped)"""
    logprob = torch.tensor([[float(np.log(ratio))]], dtype=torch.float64, requires_grad=True)
    old, mask = torch.zeros(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.bool)
    terms = clipped_policy_loss(
        logprob, old, torch.tensor([[advantage]], dtype=torch.float64), mask, clip=CLIP
    )
    terms.loss.backward()
    return terms.loss.item(), logprob.grad.item(), int(terms.clipped_tokens)


@pytest.mark.parametrize(("ratio", "advantage"), [(1.21, 2.0), (3.0, 0.1), (0.79, -2.0), (0.1, -0.5)])
def test_the_gradient_is_exactly_zero_outside_on_the_side_the_advantage_pushes_to(ratio, advantage):
    loss, gradient, clipped = one_token(ratio, advantage)
    bound = 1 + CLIP if advantage > 0 else 1 - CLIP
    assert loss == pytest.approx(-bound * advantage) and gradient == 0.0 and clipped == 1


@pytest.mark.parametrize(
    ("ratio", "advantage"), [(1.0, 2.0), (1.19, 1.0), (0.81, -1.0), (0.5, 2.0), (1.7, -2.0), (1.0, 0.0)]
)
def test_inside_and_on_the_wrong_side_the_gradient_is_the_unclipped_one(ratio, advantage):
    loss, gradient, clipped = one_token(ratio, advantage)
    assert loss == pytest.approx(-ratio * advantage) and gradient == pytest.approx(-ratio * advantage)
    assert clipped == 0


def value_case(value: float, old: float, target: float, clip: float | None) -> tuple[float, float]:
    v = torch.tensor([[value]], dtype=torch.float64, requires_grad=True)
    fixed = (torch.tensor([[old]], dtype=torch.float64), torch.tensor([[target]], dtype=torch.float64))
    terms = clipped_value_loss(v, *fixed, torch.ones(1, 1, dtype=torch.bool), clip=clip)
    terms.loss.backward()
    return terms.loss.item(), v.grad.item()


@pytest.mark.parametrize(
    ("value", "old", "target", "loss", "gradient"),
    [
        (0.1, 0.0, 1.0, 0.405, -0.9),  # inside: plain squared error
        (0.5, 0.0, 1.0, 0.32, 0.0),  # moved too far towards the target: held at 0.2, no gradient
        (-0.5, 0.0, -1.0, 0.32, 0.0),  # the same on the other side
        (0.5, 0.0, -1.0, 1.125, 1.5),  # moved away from the target: nothing holds it back
    ],
)
def test_value_clip_geometry(value, old, target, loss, gradient):
    got_loss, got_gradient = value_case(value, old, target, clip=0.2)
    assert got_loss == pytest.approx(loss) and got_gradient == pytest.approx(gradient, abs=0)


def test_without_a_value_clip_the_loss_is_half_the_squared_error():
    assert value_case(0.5, 0.0, 1.0, clip=None) == (pytest.approx(0.125), pytest.approx(-0.5))


@pytest.mark.parametrize("distance", [0.0, 0.1, 1.0, 3.0])
def test_approx_kl_is_the_kl_of_the_sampling_policy_to_the_present_one_in_expectation(distance):
    """Over every token of a small vocabulary, each weighed by how often the old policy samples it."""
    generator = torch.Generator().manual_seed(1)
    old_V, direction_V = (torch.randn(12, dtype=torch.float64, generator=generator) for _ in range(2))
    old_V = old_V.log_softmax(-1)
    new_V = (old_V + distance * direction_V).log_softmax(-1)
    one = torch.ones(1, 1, dtype=torch.bool)
    expected = sum(
        float(old_V[token].exp())
        * clipped_policy_loss(
            new_V[token].reshape(1, 1), old_V[token].reshape(1, 1), torch.ones(1, 1), one, clip=CLIP
        ).approx_kl.item()
        for token in range(12)
    )
    exact = float(np.sum(np.exp(old_V.numpy()) * (old_V.numpy() - new_V.numpy())))
    assert expected == pytest.approx(exact, abs=1e-12)


def test_approx_kl_sums_over_the_tokens_and_is_zero_at_ratio_one():
    old = torch.randn(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(3, 4, dtype=torch.bool)
    same = clipped_policy_loss(old, old, torch.ones_like(old), mask, clip=CLIP)
    assert same.approx_kl.item() == 0.0 and int(same.clipped_tokens) == 0
    moved = clipped_policy_loss(old + 0.1, old, torch.ones_like(old), mask, clip=CLIP)
    # exp(0.1) - 1 - 0.1, by its series.
    assert moved.approx_kl.item() == pytest.approx(12 * 0.005170918075647624)


def test_nothing_behind_the_eos_reaches_loss_or_gradient():
    mask = torch.tensor([[True, True, False], [True, False, False]])
    logprobs = torch.full((2, 3), -1.0, dtype=torch.float64)
    logprobs[~mask] = float("nan")
    logprobs.requires_grad_()
    junk = torch.where(
        mask, torch.full((2, 3), 0.5, dtype=torch.float64), torch.tensor(float("inf")).double()
    )
    terms = clipped_policy_loss(logprobs, torch.where(mask, -1.0, junk), junk, mask, clip=CLIP)
    (terms.loss + clipped_value_loss(logprobs, junk, junk, mask, clip=0.2).loss).backward()
    assert terms.loss.item() == pytest.approx(-1.5)
    assert (logprobs.grad[~mask] == 0).all() and (logprobs.grad[mask] != 0).all()


def test_sums_over_micro_batches_equal_the_sum_over_the_batch():
    generator = torch.Generator().manual_seed(1)
    new, old, advantages = (torch.randn(8, 5, dtype=torch.float64, generator=generator) for _ in range(3))
    mask = torch.arange(5)[None, :] < torch.randint(1, 6, (8, 1), generator=generator)
    whole = clipped_policy_loss(new, old, advantages, mask, clip=CLIP).loss
    likelihood = language_model_loss(new, mask)
    for size in (1, 2, 4):
        micro_batches = zip(*(x.split(size) for x in (new, old, advantages, mask)), strict=True)
        cut = [
            (
                clipped_policy_loss(*micro_batch, clip=CLIP).loss,
                language_model_loss(micro_batch[0], micro_batch[3]),
            )
            for micro_batch in micro_batches
        ]
        torch.testing.assert_close(sum(a for a, _ in cut), whole, rtol=0, atol=1e-12)
        torch.testing.assert_close(sum(b for _, b in cut), likelihood, rtol=0, atol=1e-12)
    assert likelihood.item() == pytest.approx(-new[mask].sum().item())


@pytest.mark.parametrize("ratio", [0.1, 0.8, 1.0, 1.2, 5.0])
@pytest.mark.parametrize("advantage", [-2.0, 3.0])
def test_without_a_clip_the_loss_is_the_importance_sampled_objective(ratio, advantage):
    logprob = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    terms = clipped_policy_loss(
        logprob, torch.zeros_like(logprob), torch.full_like(logprob, advantage), mask, clip=None
    )
    terms.loss.backward()
    assert terms.loss.item() == pytest.approx(-ratio * advantage)
    assert logprob.grad.item() == pytest.approx(-ratio * advantage)  # d ratio / d logprob = ratio
    assert int(terms.clipped_tokens) == 0
