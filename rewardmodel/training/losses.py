"""Losses of a reward model: pure functions on tensors.

A comparison is a weak order over K responses. Everything here is written for one micro-batch of
comparisons whose responses are flattened one after another. Nothing here knows where the scores come from
or how rows are packed.

Suffixes: B comparisons, N responses of all comparisons, K responses of one comparison, M members of one
tier, P compared pairs of all comparisons, R tokens of one response.
Units: scores are reward units before the shift; every loss is in nats.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

import torch
import torch.nn.functional as F
from torch import Tensor

from learning.interface.usable_comparisons import RankingLossName
from rewardmodel.training.config import MarginTable, ObjectiveOptions, PairWeight
from rewardmodel.training.rating_losses import ordinal_losses, regression_losses

Thresholds = tuple[Tensor, Tensor]  # of the ordinal loss: thresholds (I,) and the gaps between them (H,)


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The judged preferences of one micro-batch, as indices into the flattened responses.

    Pairs are the compared ones, ties included. The first of an untied pair is the preferred response.
    """

    first_P: Tensor  # (P,) int64 into N
    second_P: Tensor  # (P,) int64 into N
    preference_P: Tensor  # (P,) weighted share of people for the first, 0.5 is a tie, never below 0.5
    # (P,) 0..3 of the first over the second, means of several people in between, NaN where nobody gave one
    strength_P: Tensor
    comparison_P: Tensor  # (P,) int64 into B
    comparison_N: Tensor  # (N,) int64 into B
    is_top_tier_N: Tensor  # (N,) True for the responses of the top tier
    # Per comparison (K,) int64, 0 best, equal is a tie; None when not a weak order.
    ranks: Sequence[Tensor | None]
    weight_B: Tensor  # (B,) how much a comparison counts
    rating_N: Tensor  # (N,) as the loss reads it (RatingScale.place), NaN where nobody rated

    @property
    def is_untied_P(self) -> Tensor:
        return self.preference_P > 0.5


@dataclass(frozen=True, kw_only=True)
class RankingLosses:
    """Per comparison, before weights and coefficients; tensors of shape (B,)."""

    ranking_B: Tensor
    centering_B: Tensor


def margins(strength_P: Tensor, table: MarginTable) -> Tensor:
    """Margin m(strength) of each pair, (P,), in reward units.

    small {3: 1, 2: 2/3, 1: 1/3, 0: 0}, large {3: 3, 2: 2, 1: 1, 0: 0}; the mean strength of several people
    falls on the line between two entries (ours; both tables are straight lines). No strength given (NaN), no
    margin. Source: Llama 2, table 27.
    """
    strength_P = strength_P.nan_to_num(nan=0.0)
    if table == "none":
        return torch.zeros_like(strength_P)
    if table == "small":
        return strength_P / 3
    if table == "large":
        return strength_P
    raise ValueError(f"unknown margin table {table!r}")


def strength_weights(strength_P: Tensor) -> Tensor:
    """Weight of each pair by its strength, (P,): 1, 2, 3 for the strengths 1, 2, 3 and, ours, 1/2 for 0.

    A pair without a strength (NaN) has the weight 1, as without weights. Source: scaled Bradley-Terry of
    HelpSteer2-Preference (arXiv 2410.01257), which has no strength 0.
    """
    return torch.maximum(strength_P, (1 + strength_P) / 2).nan_to_num(nan=1.0)


def pairwise_losses(preferred_P: Tensor, other_P: Tensor, margin_P: Tensor | float = 0.0) -> Tensor:
    """-logsigmoid(r_w - r_l - m), (P,).

    Source: Llama 2, 3.2.2; without margin Stiennon 2020 and InstructGPT, 3.5.
    """
    return -F.logsigmoid(preferred_P - other_P - margin_P)


def soft_label_losses(first_P: Tensor, second_P: Tensor, preference_P: Tensor) -> Tensor:
    """Binary cross-entropy of sigmoid(r_1 - r_2) against the share of people for the first, (P,).

    -p logsigmoid(d) - (1 - p) logsigmoid(-d). A tie is p = 1/2: it pulls the two rewards together.
    """
    difference_P = first_P - second_P
    return -preference_P * F.logsigmoid(difference_P) - (1 - preference_P) * F.logsigmoid(-difference_P)


def centering_penalties(first_P: Tensor, second_P: Tensor) -> Tensor:
    """(r_w + r_l)^2, (P,), in squared reward units.

    Source: Eisenstein et al. 2023 (arXiv 2312.09244), with a coefficient of 0.01.
    """
    return (first_P + second_P) ** 2


def plackett_luce_loss(scores_K: Tensor, ranks_K: Tensor) -> Tensor:
    """-log probability, under Plackett-Luce, that the responses fall into the observed tiers; a scalar.

    The order inside a tier is unknown, so it is summed out: for a tier A above a remainder of total
    strength c, f(S) = sum over i in S of e^{r_i} / (sum over S of e^{r_j} + c) f(S without i), f(empty) =
    1, and the tier contributes f(A). Exact, and never more than K! orders in 2^M steps. Two responses give
    the pairwise loss, no ties give ListMLE, one tier gives 0. Source: Plackett 1975 (the choice axiom); the
    sum over tied orders is the exact method of Allison and Christakis 1994.
    """
    order = torch.argsort(ranks_K, stable=True)
    tiers = scores_K[order].split(torch.unique(ranks_K, return_counts=True)[1].tolist())
    loss = scores_K.new_zeros(())
    for position, tier_M in enumerate(tiers[:-1]):  # the last tier comes last with probability 1
        loss = loss - _tier_log_probability(tier_M, torch.cat(tiers[position + 1 :]).logsumexp(0))
    return loss


@lru_cache(maxsize=16)
def _subset_levels(size: int) -> list[tuple[list[list[int]], list[list[int]]]]:
    """For n = 1..size: the members of each subset of n, and the index, among the subsets of n - 1, of the
    subset without that member.
    """
    levels = []
    position = {0: 0}
    for count in range(1, size + 1):
        subsets = [subset for subset in range(1 << size) if subset.bit_count() == count]
        members = [[item for item in range(size) if subset >> item & 1] for subset in subsets]
        smaller = [
            [position[subset ^ (1 << item)] for item in subset_members]
            for subset, subset_members in zip(subsets, members, strict=True)
        ]
        levels.append((members, smaller))
        position = {subset: index for index, subset in enumerate(subsets)}
    return levels


def _tier_log_probability(tier_M: Tensor, below: Tensor) -> Tensor:
    """log f(tier) of plackett_luce_loss; `below` is the log of the total strength of all lower tiers."""
    log_f = tier_M.new_zeros(1)
    for members, smaller in _subset_levels(len(tier_M)):
        member_scores = tier_M[torch.tensor(members)]  # (subsets, n)
        below_column = below.expand(len(members), 1)
        log_total = torch.cat([member_scores, below_column], dim=1).logsumexp(1)
        log_f = (member_scores + log_f[torch.tensor(smaller)]).logsumexp(1) - log_total
    return log_f.squeeze(0)


def best_of_k_loss(scores_K: Tensor, ranks_K: Tensor) -> Tensor:
    """Softmax cross-entropy of the best response against all lower ones; a scalar.

    Responses that share the top tier do not compete with each other: the loss is their mean. One tier gives
    0. Source: Ziegler 2019, 2.2 (the best of four); the rule for ties is ours.
    """
    is_top_tier_K = ranks_K == ranks_K.min()
    if bool(is_top_tier_K.all()):
        return scores_K.sum() * 0
    top_M = scores_K[is_top_tier_K]
    below = scores_K[~is_top_tier_K].logsumexp(0)
    return (torch.logaddexp(top_M, below) - top_M).mean()


def ranking_losses(
    scores_N: Tensor,
    targets: Targets,
    objective: ObjectiveOptions,
    thresholds: Thresholds | None = None,
) -> RankingLosses:
    """Ranking loss and centering penalty of every comparison.

    pairwise: mean over the comparison's untied pairs of -logsigmoid(r_w - r_l - m(strength)); with
    pair_weight "all" their sum over C(K, 2) instead, so that a comparison with ties counts less.
    soft_labels: the same mean over all compared pairs, ties included. The centering penalty uses the pairs
    and weights of the ranking loss; for plackett_luce and best_of_k those of pairwise. Source: InstructGPT,
    3.5 (all C(K, 2) pairs are one batch element); Llama 2, 3.2.2.
    regression, ordinal: the mean over the row's rated responses; ordinal needs its `thresholds`.

    Raises ValueError when a comparison that is no weak order meets a loss that needs one.
    """
    is_counted_P = targets.is_untied_P | torch.tensor(objective.ranking_loss == "soft_labels")
    first_P, second_P = scores_N[targets.first_P], scores_N[targets.second_P]
    pair_weight_P = _pair_weights(targets, is_counted_P, objective.pair_weight).to(scores_N.dtype)
    scale_P = strength_weights(targets.strength_P).to(scores_N.dtype) if objective.strength_weighted else 1.0
    centering_B = _sum_by_comparison(pair_weight_P * centering_penalties(first_P, second_P), targets)
    match objective.ranking_loss:
        case "pairwise":
            margin_P = margins(targets.strength_P, objective.margin).to(scores_N.dtype)
            loss_P = pairwise_losses(first_P, second_P, margin_P) * scale_P
            ranking_B = _sum_by_comparison(pair_weight_P * loss_P, targets)
        case "soft_labels":
            loss_P = soft_label_losses(first_P, second_P, targets.preference_P.to(scores_N.dtype)) * scale_P
            ranking_B = _sum_by_comparison(pair_weight_P * loss_P, targets)
        case "plackett_luce":
            ranking_B = _listwise_losses(scores_N, targets, plackett_luce_loss, "plackett_luce")
        case "best_of_k":
            ranking_B = _listwise_losses(scores_N, targets, best_of_k_loss, "best_of_k")
        case "regression":
            loss_N = regression_losses(scores_N, targets.rating_N.to(scores_N.dtype))
            ranking_B = _mean_by_comparison(loss_N, targets)
        case "ordinal":
            if thresholds is None:
                raise ValueError("the ordinal loss needs its thresholds")
            thresholds_I, gaps_H = (tensor.to(scores_N.dtype) for tensor in thresholds)
            loss_N = ordinal_losses(scores_N, targets.rating_N.long(), thresholds_I, gaps_H)
            ranking_B = _mean_by_comparison(loss_N, targets)
        case unknown:
            assert_never(unknown)
    return RankingLosses(ranking_B=ranking_B, centering_B=centering_B)


def _listwise_losses(
    scores_N: Tensor, targets: Targets, loss: Callable[[Tensor, Tensor], Tensor], name: RankingLossName
) -> Tensor:
    """(B,), each comparison by a loss of its scores and ranks."""
    losses = []
    for index, ranks_K in enumerate(targets.ranks):
        if ranks_K is None:
            raise ValueError(f"comparison {index} is not a weak order, which {name} needs")
        losses.append(loss(scores_N[targets.comparison_N == index], ranks_K))
    return torch.stack(losses)


def lm_losses(logprobs_NR: Tensor, is_response_NR: Tensor, targets: Targets) -> Tensor:
    """Mean token negative log-likelihood of each comparison's top-tier responses, (B,), nats a token.

    0 for a comparison without a top tier. Source: Secrets of RLHF I, 3.1, equation 2. It prints "+ beta_rm
    E[log r'(x, y_w)]" in a loss; the minus sign is ours (else the response is unlearned), and so are the mean over
    tokens (there the whole sequence) and, of several responses, the top tier alone (there the first of each pair).
    """
    counted_NR = (is_response_NR & targets.is_top_tier_N[:, None]).to(logprobs_NR.dtype)
    # where() instead of a product: positions that are padding may hold infinities, and 0 * inf is not 0.
    loss_N = -torch.where(counted_NR.bool(), logprobs_NR, logprobs_NR.new_zeros(())).sum(1)
    tokens_B = _sum_responses_by_comparison(counted_NR.sum(1), targets)
    return _sum_responses_by_comparison(loss_N, targets) / tokens_B.clamp(min=1)


def _pair_weights(targets: Targets, is_counted_P: Tensor, pair_weight: PairWeight) -> Tensor:
    """Weight of each pair inside its comparison, (P,) float64, 0 for the pairs that do not count."""
    counted_P = is_counted_P.double()
    if pair_weight == "untied":
        total_B = _sum_by_comparison(counted_P, targets)
    else:
        n_responses_B = torch.bincount(targets.comparison_N, minlength=len(targets.weight_B))
        total_B = (n_responses_B * (n_responses_B - 1) / 2).double()
    return counted_P / total_B.clamp(min=1)[targets.comparison_P]


def _sum_by_comparison(value_P: Tensor, targets: Targets) -> Tensor:
    """(P,) -> (B,)"""
    return value_P.new_zeros(len(targets.weight_B)).index_add(0, targets.comparison_P, value_P)


def _mean_by_comparison(value_N: Tensor, targets: Targets) -> Tensor:
    """(N,) -> (B,)"""
    n_responses_B = torch.bincount(targets.comparison_N, minlength=len(targets.weight_B))
    return _sum_responses_by_comparison(value_N, targets) / n_responses_B


def _sum_responses_by_comparison(value_N: Tensor, targets: Targets) -> Tensor:
    """(N,) -> (B,)"""
    return value_N.new_zeros(len(targets.weight_B)).index_add(0, targets.comparison_N, value_N)
