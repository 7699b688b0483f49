"""Losses of a reward model that learns from ratings: pure functions on tensors, and the thresholds of the ordinal one.

Suffixes: N responses of all rows, J levels of the ratings, I = J - 1 thresholds between them, H = J - 2 gaps.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def regression_losses(scores_N: Tensor, rating_N: Tensor) -> Tensor:
    """(r - y)^2, (N,), in squared standard deviations of the ratings; y is the rating less the mean of the training
    split's ratings, divided by their standard deviation.

    Source: HelpSteer2 (arXiv 2406.08673): a linear head with a mean squared error loss, there on the points 0 to 4 as
    they are. The normalisation is ours: one learning rate fits scales of 5 and of 100 points.
    """
    return (scores_N - rating_N) ** 2


def ordinal_losses(scores_N: Tensor, level_N: Tensor, thresholds_I: Tensor, gaps_H: Tensor) -> Tensor:
    """-log P(y), (N,), nats, of the cumulative logit (proportional odds) model: P(y <= j) = sigmoid(t_j - r), so that
    P(y) = sigmoid(t_y - r) - sigmoid(t_(y-1) - r), with t_(-1) = -inf and t_(J-1) = inf.

    `level_N`: (N,) int64, 0 the lowest; `gaps_H`: t_j - t_(j-1), above 0. Source: McCullagh 1980, Regression models for
    ordinal data, 2.1 (there theta_j - beta'x). The difference of two sigmoids is taken as
    log(sigmoid(b) - sigmoid(a)) = logsigmoid(b) + logsigmoid(-a) + log(1 - e^(a - b)), which no score makes 0.
    """
    infinity = thresholds_I.new_full((1,), torch.inf)
    bounds = torch.cat([-infinity, thresholds_I, infinity])
    width_J = torch.cat([infinity, gaps_H, infinity])  # of the outer levels: without end
    below_N, above_N = bounds[level_N] - scores_N, bounds[level_N + 1] - scores_N
    log_width_J = torch.log(-torch.expm1(-width_J))
    return -(F.logsigmoid(above_N) + F.logsigmoid(-below_N) + log_width_J[level_N])


class RatingThresholds(nn.Module):
    """The increasing thresholds of the ordinal loss, learned with the model: the first, then logarithms of the gaps."""

    def __init__(self, initial: Sequence[float]) -> None:
        super().__init__()
        start = torch.tensor(initial, dtype=torch.float64)
        self.first_and_log_gaps = nn.Parameter(torch.cat([start[:1], start.diff().log()]).float())

    def forward(self) -> tuple[Tensor, Tensor]:
        """Thresholds (I,) and the gaps between them (H,)."""
        raw = self.first_and_log_gaps.float()
        gaps_H = raw[1:].exp()
        return torch.cat([raw[:1], raw[:1] + gaps_H.cumsum(0)]), gaps_H


def attach_thresholds(model: Any, initial: Sequence[float]) -> None:
    """Beside the score head, so that they are trained, saved in checkpoints and resumed with it."""
    model.rating_thresholds = RatingThresholds(initial)


def detach_thresholds(model: Any) -> None:
    """Leaves a plain reward model, as transformers knows it."""
    if hasattr(model, "rating_thresholds"):
        del model.rating_thresholds


def thresholds_of(model: Any) -> tuple[Tensor, Tensor] | None:
    """As they stand, float64 on the CPU; None where the loss has none."""
    if not hasattr(model, "rating_thresholds"):
        return None
    with torch.no_grad():
        thresholds_I, gaps_H = model.rating_thresholds()
    return thresholds_I.double().cpu(), gaps_H.double().cpu()
