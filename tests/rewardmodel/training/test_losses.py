"""Losses against an independent NumPy reference, finite differences, and the properties they promise."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.interface.usable_comparisons import RankingLossName
from rewardmodel.training.comparisons import build_targets, comparison_from_row
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.losses import (
    best_of_k_loss,
    centering_penalties,
    lm_losses,
    margins,
    pairwise_losses,
    plackett_luce_loss,
    strength_weights,
)
from rewardmodel.training.losses import ranking_losses as losses_by_objective
from tests.rewardmodel.training import reference

STRENGTHS = (0, 1, 2, 3)


def weak_order(ranks, strengths=None):
    """The preference and grade matrices of one person's tiers; `strengths` are those between tiers."""
    size, steps = len(ranks), strengths or [1] * max(ranks)
    preference = [[None if i == j else 0.5 for j in range(size)] for i in range(size)]
    grade = [[None] * size for _ in range(size)]
    for i in range(size):
        for j in range(size):
            if ranks[i] < ranks[j]:
                preference[i][j], preference[j][i] = 1.0, 0.0
                grade[i][j] = float(min(3, sum(steps[ranks[i] : ranks[j]])))
    return preference, grade


def comparison(order, strengths=None, **changes):
    preference, grade = weak_order(order, strengths)
    row = {
        "group_id": "g1",
        "prompt": [{"role": "user", "content": "Say something."}],
        "responses": [f"response {index}" for index in range(len(order))],
        "ranks": list(order),
        "grade": grade,
        "soft_preference": preference,
        "weight": 1.0,
        "split": "train",
    }
    return comparison_from_row({**row, **changes})


def tiers(draw, size):
    """A weak order of `size` responses: ranks without gaps."""
    raw = draw(st.lists(st.integers(0, size - 1), min_size=size, max_size=size))
    return [sorted(set(raw)).index(value) for value in raw]


def ranking_losses(scores, targets, **options):
    return losses_by_objective(scores, targets, ObjectiveOptions(**options))


@st.composite
def comparisons_with_scores(draw):
    size = draw(st.integers(2, 5))
    ranks = tiers(draw, size)
    steps = draw(st.lists(st.sampled_from(STRENGTHS), min_size=max(ranks), max_size=max(ranks)))
    scores = draw(st.lists(st.floats(-8, 8), min_size=size, max_size=size))
    return ranks, steps, scores


def ranking(scores, comparisons, **options):
    return ranking_losses(
        torch.tensor(scores, dtype=torch.float64), build_targets(comparisons), **options
    ).ranking_B


def close(ours, theirs, tolerance=1e-6):
    return abs(float(ours) - float(theirs)) <= tolerance * max(1.0, abs(float(theirs)))


@settings(max_examples=60, deadline=None)
@given(comparisons_with_scores())
def test_every_loss_equals_the_reference(drawn):
    ranks, steps, scores = drawn
    preference, grade = weak_order(ranks, steps)
    comparisons = [comparison(ranks, steps)]
    cases = [
        ({}, reference.pairwise(scores, preference, grade)),
        ({"margin": "small"}, reference.pairwise(scores, preference, grade, "small")),
        ({"margin": "large"}, reference.pairwise(scores, preference, grade, "large")),
        ({"pair_weight": "all"}, reference.pairwise(scores, preference, grade, divide_by_all=True)),
        ({"strength_weighted": True}, reference.pairwise(scores, preference, grade, strength_weighted=True)),
        ({"ranking_loss": "soft_labels"}, reference.soft_labels(scores, preference)),
        ({"ranking_loss": "plackett_luce"}, reference.plackett_luce(scores, ranks)),
        ({"ranking_loss": "best_of_k"}, reference.best_of_k(scores, ranks)),
    ]
    for options, expected in cases:
        assert close(ranking(scores, comparisons, **options)[0], expected), options


def test_single_precision_losses_are_within_a_millionth_of_the_reference():
    random = np.random.default_rng(0)
    for _ in range(50):
        scores = random.normal(size=4)
        ranks, steps = [1, 0, 2, 1], [2, 1]
        preference, grade = weak_order(ranks, steps)
        ours = ranking_losses(
            torch.tensor(scores, dtype=torch.float32),
            build_targets([comparison(ranks, steps)]),
            margin="large",
        ).ranking_B
        assert ours.dtype == torch.float32
        assert close(ours[0], reference.pairwise(np.float32(scores), preference, grade, "large"))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"margin": "small"},
        {"margin": "large"},
        {"pair_weight": "all"},
        {"strength_weighted": True},
        {"ranking_loss": "soft_labels"},
        {"ranking_loss": "plackett_luce"},
        {"ranking_loss": "best_of_k"},
    ],
    ids=str,
)
def test_gradients_equal_finite_differences(options):
    comparisons = [comparison([0, 1, 1, 2], [3, 1]), comparison([1, 0]), comparison([0, 0, 1])]
    scores = torch.randn(
        9, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True
    )
    targets = build_targets(comparisons)
    (gradient,) = torch.autograd.grad(ranking_losses(scores, targets, **options).ranking_B.sum(), scores)
    step = 1e-5
    for index in range(9):
        shift = torch.zeros(9, dtype=torch.float64)
        shift[index] = step
        up, down = (
            ranking_losses(scores.detach() + sign * shift, targets, **options).ranking_B.sum()
            for sign in (1, -1)
        )
        numeric = float((up - down) / (2 * step))
        assert abs(float(gradient[index]) - numeric) <= 1e-3 * max(abs(numeric), 1e-3)


@pytest.mark.parametrize("ranking_loss", get_args(RankingLossName))
def test_extreme_scores_give_no_nan(ranking_loss):
    comparisons = [comparison([0, 1, 1]), comparison([1, 1, 0])]
    for sign in (1, -1):
        scores = (sign * torch.tensor([1000.0, -1000.0, 0.0, 1000.0, 1000.0, -1000.0])).requires_grad_()
        losses = ranking_losses(scores, build_targets(comparisons), ranking_loss=ranking_loss)
        (losses.ranking_B.sum() + losses.centering_B.sum()).backward()
        assert torch.isfinite(losses.ranking_B).all() and torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("ranking_loss", get_args(RankingLossName))
def test_two_responses_give_the_pairwise_loss_under_every_likelihood(ranking_loss):
    scores = [0.3, -1.2, 0.5, 2.0]
    comparisons = [comparison([0, 1]), comparison([1, 0])]
    assert torch.allclose(
        ranking(scores, comparisons, ranking_loss=ranking_loss),
        pairwise_losses(
            torch.tensor([0.3, 2.0], dtype=torch.float64), torch.tensor([-1.2, 0.5], dtype=torch.float64)
        ),
        atol=1e-12,
    )


def test_the_gradient_of_a_ranking_is_the_mean_of_its_pairs():
    scores = torch.tensor([0.2, -0.7, 1.1, 0.4], dtype=torch.float64, requires_grad=True)
    ranks = [0, 2, 1, 1]
    (ours,) = torch.autograd.grad(
        ranking_losses(scores, build_targets([comparison(ranks)])).ranking_B.sum(), scores
    )
    pairs = [(i, j) for i in range(4) for j in range(4) if ranks[i] < ranks[j]]
    each = [
        torch.autograd.grad(
            ranking_losses(scores[[i, j]], build_targets([comparison([0, 1])])).ranking_B.sum(),
            scores,
        )[0]
        for i, j in pairs
    ]
    assert len(pairs) == 5
    assert torch.allclose(ours, torch.stack(each).mean(0), atol=1e-12)


def test_tied_pairs_contribute_nothing_to_the_pairwise_loss():
    scores = torch.tensor([0.5, 0.9, -3.0], dtype=torch.float64, requires_grad=True)
    tied = ranking_losses(scores, build_targets([comparison([0, 0, 0])])).ranking_B
    assert tied.item() == 0
    assert torch.autograd.grad(tied.sum(), scores)[0].abs().max() == 0
    # Two tied winners over one loser: the same as the mean of the two separate pairs.
    half_tied = ranking([0.5, 0.9, -3.0], [comparison([0, 0, 1])])
    apart = ranking([0.5, -3.0, 0.9, -3.0], [comparison([0, 1]), comparison([0, 1])])
    assert torch.allclose(half_tied[0], apart.mean())


def test_a_pair_that_nobody_compared_is_left_out():
    preference, grade = weak_order([0, 1, 2])
    preference[0][2] = preference[2][0] = None
    item = comparison([0, 1, 2], soft_preference=preference, grade=grade)
    apart = ranking([0.5, 0.1, 0.1, -3.0], [comparison([0, 1]), comparison([0, 1])])
    assert torch.allclose(ranking([0.5, 0.1, -3.0], [item])[0], apart.mean())


def test_merged_pairs_that_are_no_weak_order_still_count_as_pairs():
    preference = [[None, 0.8, 0.2], [0.2, None, 0.8], [0.8, 0.2, None]]  # a circle
    item = comparison([0, 1, 2], ranks=None, soft_preference=preference, grade=[[1.0] * 3] * 3)
    scores = [0.5, 0.1, -3.0]
    expected = reference.pairwise(scores, preference, [[1] * 3] * 3)
    assert close(ranking(scores, [item])[0], expected)
    with pytest.raises(ValueError, match="not a weak order"):
        ranking(scores, [item], ranking_loss="plackett_luce")
    assert not item.is_usable("best_of_k") and item.is_usable("pairwise") and item.is_top_tier == (False,) * 3


def test_soft_labels_pull_a_tie_together_and_a_share_to_its_log_odds():
    tie = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    shifted = tie + torch.tensor([1.0, 0.0], dtype=torch.float64)
    loss = ranking_losses(
        shifted, build_targets([comparison([0, 0])]), ranking_loss="soft_labels"
    ).ranking_B.sum()
    assert torch.autograd.grad(loss, tie)[0][0] > 0
    share = comparison([0, 1], soft_preference=[[None, 0.8], [0.2, None]])
    at_odds = torch.tensor([math.log(4), 0.0], dtype=torch.float64, requires_grad=True)
    loss = ranking_losses(at_odds, build_targets([share]), ranking_loss="soft_labels").ranking_B.sum()
    assert torch.autograd.grad(loss, at_odds)[0].abs().max() < 1e-12


def test_the_loss_of_a_soft_label_by_hand():
    """p = 0.8 for the first of two, rewards 1 and 0.25: sigmoid(0.75) = 0.6791786991753930, and
    -0.8 ln 0.6791786991753930 - 0.2 ln 0.3208213008246070 = 0.536871006114900 (in decimals, to 30 digits).
    """
    item = comparison([0, 1], soft_preference=[[None, 0.8], [0.2, None]])
    scores = torch.tensor([1.0, 0.25], dtype=torch.float64)
    loss = ranking_losses(scores, build_targets([item]), ranking_loss="soft_labels").ranking_B
    assert loss.tolist() == pytest.approx([0.536871006114900], abs=1e-14)
    # Known the other way round: p = 0.2.
    turned = comparison([1, 0], soft_preference=[[None, 0.2], [0.8, None]])
    loss = ranking_losses(scores, build_targets([turned]), ranking_loss="soft_labels").ranking_B
    assert loss.tolist() == pytest.approx([0.536871006114900 + 0.6 * 0.75], abs=1e-14)


def test_strength_nought_gives_the_plain_loss_and_margins_follow_the_published_tables():
    scores = [0.4, -0.2, 0.3]
    comparisons = [comparison([0, 1, 2], [0, 0])]
    for table in ("small", "large"):
        assert torch.equal(ranking(scores, comparisons, margin=table), ranking(scores, comparisons))
        published = reference.LLAMA2_TABLE_27[table]
        ours = margins(torch.tensor(list(map(float, STRENGTHS)), dtype=torch.float64), table)
        assert torch.allclose(
            ours, torch.tensor([published[strength] for strength in STRENGTHS], dtype=torch.float64)
        )


def test_steps_between_tiers_add_up_to_at_most_three_as_stored():
    item = comparison([0, 1, 2], [2, 2])
    assert {(pair.first, pair.second): pair.strength for pair in item.pairs} == {
        (0, 1): 2.0,
        (1, 2): 2.0,
        (0, 2): 3.0,
    }


def test_strength_weights_are_one_two_three_and_a_half():
    assert strength_weights(torch.tensor([0.0, 1.0, 2.0, 3.0])).tolist() == [0.5, 1.0, 2.0, 3.0]


def test_centering_is_the_mean_squared_sum_of_the_untied_pairs():
    scores, ranks = [0.4, -1.2, 0.3, 2.0], [0, 1, 1, 2]
    losses = ranking_losses(torch.tensor(scores, dtype=torch.float64), build_targets([comparison(ranks)]))
    assert close(losses.centering_B[0], reference.centering(scores, weak_order(ranks)[0]))
    assert centering_penalties(torch.tensor(1.5), torch.tensor(-1.5)) == 0


def test_a_plackett_luce_likelihood_of_all_outcomes_adds_up_to_one():
    scores = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    assert sum(
        torch.exp(-plackett_luce_loss(scores, torch.tensor(o))) for o in orders
    ).item() == pytest.approx(1)
    # "Which of them is worst" as tiers: two tied above one.
    worst = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert sum(
        torch.exp(-plackett_luce_loss(scores, torch.tensor(o))) for o in worst
    ).item() == pytest.approx(1)


def test_nine_responses_with_a_large_tie_are_quick_and_exact():
    scores = torch.zeros(9, dtype=torch.float64)
    ranks = torch.tensor([0] * 8 + [1])
    assert plackett_luce_loss(scores, ranks).item() == pytest.approx(math.log(9))  # the ninth is last: 1 in 9


def test_one_tier_teaches_nothing_to_listwise_losses():
    scores = torch.tensor([0.3, -1.0], dtype=torch.float64, requires_grad=True)
    for loss in (plackett_luce_loss, best_of_k_loss):
        assert float(loss(scores, torch.tensor([0, 0])).detach()) == 0


def test_the_lm_loss_is_the_mean_over_the_tokens_of_the_top_tier():
    comparisons = [comparison([0, 1]), comparison([1, 0, 0])]
    logprobs = -torch.arange(1.0, 16.0, dtype=torch.float64).reshape(5, 3)
    is_response = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1], [1, 0, 0]]).bool()
    ours = lm_losses(logprobs, is_response, build_targets(comparisons))
    rows = [
        [float(v) for v, real in zip(line, mask, strict=True) if real]
        for line, mask in zip(logprobs, is_response, strict=True)
    ]
    assert ours.tolist() == pytest.approx([reference.lm(rows, [0]), reference.lm(rows, [3, 4])])


def test_the_lm_loss_ignores_rejected_responses_and_padding_even_when_it_holds_infinities():
    comparisons = [comparison([0, 1])]
    is_response = torch.tensor([[True, False], [True, True]])
    clean = torch.tensor([[-1.0, 0.0], [-2.0, -3.0]])
    dirty = torch.tensor([[-1.0, -math.inf], [-9.0, -math.inf]])
    assert torch.equal(
        lm_losses(clean, is_response, build_targets(comparisons)),
        lm_losses(dirty, is_response, build_targets(comparisons)),
    )


def test_the_gradient_of_an_untied_pair_never_reaches_another_comparison():
    scores = torch.randn(4, dtype=torch.float64, requires_grad=True)
    losses = ranking_losses(scores, build_targets([comparison([0, 1]), comparison([1, 0])]))
    (gradient,) = torch.autograd.grad(losses.ranking_B[0], scores)
    assert gradient[2:].abs().max() == 0 and gradient[:2].abs().min() > 0


def test_a_pair_without_a_strength_has_no_margin_and_the_weight_one():
    """-ln sigmoid(0.7) = 0.403186...; with the margin 1 of "significantly better", -ln sigmoid(-0.3) = 0.854355..."""
    strength_P = torch.tensor([math.nan, 3.0], dtype=torch.float64)
    preferred, other = torch.tensor([0.7, 0.7], dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    losses = pairwise_losses(preferred, other, margins(strength_P, "small"))
    assert losses.tolist() == pytest.approx([0.40318604888546, 0.85435524446853], abs=1e-12)
    assert margins(strength_P, "large").tolist() == [0.0, 3.0]
    assert strength_weights(strength_P).tolist() == [1.0, 3.0]
