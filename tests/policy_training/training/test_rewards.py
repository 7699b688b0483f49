"""CHECKS 10 (the arithmetic), 11 (both rules), 14, 15 and 16."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_training.training.rollouts.rewards import (
    KLController,
    RunningMoments,
    compute_token_rewards,
    kl_estimates,
    replace_score_without_eos,
    subtract_score_without_eos,
)


def test_the_score_sits_on_the_last_token_and_the_rewards_sum_to_score_minus_penalty():
    generator = torch.Generator().manual_seed(0)
    logprobs = torch.randn(5, 7, dtype=torch.float64, generator=generator)
    reference = torch.randn(5, 7, dtype=torch.float64, generator=generator)
    scores = torch.randn(5, dtype=torch.float64, generator=generator)
    lengths = torch.tensor([1, 7, 3, 5, 2])
    mask = torch.arange(7)[None, :] < lengths[:, None]
    logprobs[~mask] = float("nan")  # what lies behind a response must not matter
    rewards = compute_token_rewards(scores, logprobs, reference, mask, kl_coefficient=0.3)
    for row, length in enumerate(lengths.tolist()):
        ratio = (logprobs[row, :length] - reference[row, :length]).numpy()
        assert abs(rewards[row].sum().item() - (scores[row].item() - 0.3 * ratio.sum())) <= 1e-6
        expected = -0.3 * ratio
        expected[-1] += scores[row].item()
        np.testing.assert_allclose(rewards[row, :length].numpy(), expected, atol=1e-12)
        assert (rewards[row, length:] == 0).all()


def test_missing_eos_rules_touch_only_the_responses_that_never_ended():
    scores, ended = torch.tensor([2.0, 3.0, -5.0]), torch.tensor([True, False, False])
    assert replace_score_without_eos(scores, ended, score=-1.0).tolist() == [2.0, -1.0, -1.0]
    assert subtract_score_without_eos(scores, ended, penalty=1.5).tolist() == [2.0, 1.5, -6.5]


V, L = 4, 3


def enumerated(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Of every sequence of 3 tokens over 4: log-probs of policy and reference, (64, 3), and the two tables."""
    generator = torch.Generator().manual_seed(seed)
    contexts = {
        prefix: i
        for i, prefix in enumerate(p for n in range(L) for p in itertools.product(range(V), repeat=n))
    }
    policy = torch.randn(len(contexts), V, dtype=torch.float64, generator=generator).requires_grad_()
    reference = torch.randn(len(contexts), V, dtype=torch.float64, generator=generator)
    sequences = list(itertools.product(range(V), repeat=L))
    rows = torch.tensor([[contexts[s[:t]] for t in range(L)] for s in sequences])
    tokens = torch.tensor(sequences)
    return policy.log_softmax(-1)[rows, tokens], reference.log_softmax(-1)[rows, tokens], policy, reference


@pytest.mark.parametrize("seed", range(3))
def test_k1_and_k3_have_the_exact_kl_as_their_expectation(seed):
    logprobs, reference, _, _ = enumerated(seed)
    logprobs = logprobs.detach()
    weight = logprobs.sum(1).exp().numpy()  # probability of each whole sequence
    exact = float((weight * (logprobs.sum(1) - reference.sum(1)).numpy()).sum())
    for estimator in ("k1", "k3"):
        per_sequence = kl_estimates(logprobs - reference, estimator).sum(1).numpy()
        assert abs(float((weight * per_sequence).sum()) - exact) <= 1e-9, estimator
    assert (kl_estimates(logprobs - reference, "k3") >= 0).all()


@pytest.mark.parametrize("seed", range(3))
def test_k2_in_the_loss_has_the_gradient_of_the_kl(seed):
    logprobs, reference, policy, _ = enumerated(seed)
    weight = logprobs.detach().sum(1).exp()  # sampling does not carry a gradient
    sampled = (weight * kl_estimates((logprobs - reference).sum(1), "k2")).sum()
    (estimated,) = torch.autograd.grad(sampled, policy, retain_graph=True)
    kl = (logprobs.sum(1).exp() * (logprobs.sum(1) - reference.sum(1))).sum()
    (exact,) = torch.autograd.grad(kl, policy)
    torch.testing.assert_close(estimated, exact, rtol=0, atol=1e-9)


def test_an_unknown_estimator_is_refused_by_name():
    with pytest.raises(ValueError, match="k4"):
        kl_estimates(torch.zeros(1), "k4")


def test_the_adaptive_coefficient_follows_both_published_rules_exactly():
    paper, code = KLController(0.15, 6.0, "ziegler_paper"), KLController(0.15, 6.0, "ziegler_code")
    expected_paper, expected_code = 0.15, 0.15
    for kl in [0.0, 3.0, 5.9, 6.0, 6.3, 8.0, 100.0]:
        paper.update(kl, n_responses=512)
        code.update(kl, n_responses=512)
        error = np.clip(kl / 6.0 - 1.0, -0.2, 0.2)
        expected_paper *= 1 + 0.1 * error
        expected_code *= 1 + error * 512 / 10000
        assert abs(paper.coefficient - expected_paper) <= 1e-12
        assert abs(code.coefficient - expected_code) <= 1e-12
    fixed = KLController(0.05)
    fixed.update(1e6, n_responses=512)
    assert fixed.coefficient == 0.05


@pytest.mark.parametrize(("rule", "start"), [("ziegler_paper", 1.0), ("ziegler_code", 0.01)])
def test_the_adaptive_coefficient_brings_a_toy_task_to_its_target(rule, start):
    """A softmax over 8 actions climbs E[r] - beta KL by gradient; beta must settle where KL is the target."""
    reward, target = torch.linspace(-1, 1, 8, dtype=torch.float64), 0.5
    reference = torch.zeros(8, dtype=torch.float64)
    logits = torch.zeros(8, dtype=torch.float64, requires_grad=True)
    controller, late = KLController(start, target, rule), []
    for step in range(4000):
        logp = logits.log_softmax(-1)
        kl = (logp.exp() * (logp - reference.log_softmax(-1))).sum()
        objective = (logp.exp() * reward).sum() - controller.coefficient * kl
        (gradient,) = torch.autograd.grad(objective, logits)
        with torch.no_grad():
            logits += 0.5 * gradient
        controller.update(kl.item(), n_responses=512)
        if step >= 3500:
            late.append(kl.item())
    assert abs(np.mean(late) - target) <= 0.1 * target


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 3),
)
def test_running_moments_do_not_depend_on_how_the_stream_is_cut(stream, cuts, n_ranks):
    edges = [0, *sorted(min(c, len(stream)) for c in cuts), len(stream)]
    ranks = [RunningMoments() for _ in range(n_ranks)]
    for begin, end in itertools.pairwise(edges):
        shards = [
            torch.tensor(stream[begin:end][rank::n_ranks], dtype=torch.float64) for rank in range(n_ranks)
        ]
        update_together(ranks, shards)
    for moments in ranks:
        assert moments.count == len(stream)
        assert moments.mean == pytest.approx(np.mean(stream), rel=0, abs=1e-10)
        spread = np.std(stream)
        expected = spread if spread > 1e-12 * max(1.0, abs(np.mean(stream))) else 1.0
        if spread > 1e-6 or spread == 0.0:
            assert moments.standard_deviation == pytest.approx(expected, rel=0, abs=1e-10)


def update_together(ranks: list[RunningMoments], shards: list[torch.Tensor]) -> None:
    """What a real all-reduce does: each rank's contribution is summed, every rank gets the sum."""
    totals = sum(torch.stack([s.sum(), torch.tensor(float(len(s)), dtype=torch.float64)]) for s in shards)
    mean = totals[0] / totals[1] if totals[1] else totals[0]
    deviations = sum((s - mean).square().sum() for s in shards)
    for moments, shard in zip(ranks, shards, strict=True):
        answers = iter([totals, deviations])
        moments.update(shard, all_reduce_sum=lambda _, answers=answers: next(answers))


def test_running_moments_of_a_constant_stream_never_give_a_nan():
    moments = RunningMoments()
    for _ in range(5):
        moments.update(torch.full((7,), 0.1))
        assert moments.normalize(torch.full((3,), 0.1), clip=0.8).abs().max() <= 1e-6
    assert RunningMoments().normalize(torch.tensor([2.0]), clip=None).item() == 2.0  # nothing seen yet


def test_normalised_scores_are_clipped_on_both_sides_and_state_survives():
    moments = RunningMoments()
    moments.update(torch.tensor([0.0, 2.0]))  # mean 1, deviation 1
    assert moments.normalize(torch.tensor([-9.0, 1.5, 9.0]), clip=0.8).tolist() == [
        pytest.approx(-0.8),
        0.5,
        pytest.approx(0.8),
    ]
    other = RunningMoments()
    other.load_state_dict(moments.state_dict())
    assert other == moments and math.isclose(other.standard_deviation, 1.0)
