"""The whole loss of a reward model on one micro-batch: from rows to a number for each comparison.

Suffixes: B comparisons, N responses, R tokens of a response.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from learning.batches.collation import TokenBatch
from learning.batches.forward import compute_scores
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.lm_head import scores_and_logprobs
from rewardmodel.training.losses import RankingLosses, Targets, lm_losses, ranking_losses


@dataclass(frozen=True, kw_only=True)
class LossBreakdown:
    """The loss of each comparison and its parts; tensors of shape (B,), nats."""

    total_B: Tensor
    ranking: RankingLosses
    lm_B: Tensor | None
    scores_N: Tensor


def comparison_losses(
    model: Any, batch: TokenBatch, targets: Targets, objective: ObjectiveOptions
) -> LossBreakdown:
    """lambda * ranking + c * centering + beta_rm * language-model loss (Secrets of RLHF I, equation 2: the first and
    the last). With beta_rm = 0 no logit is computed.
    """
    lm_B = None
    if objective.lm_coefficient > 0:
        values_N, logprobs_NR = scores_and_logprobs(model, batch, targets.is_top_tier_N)
        lm_B = lm_losses(logprobs_NR, batch.is_response_NR, targets)
    else:
        values_N = compute_scores(model, batch)
    ranking = ranking_losses(
        values_N,
        targets,
        objective,
        model.rating_thresholds() if objective.ranking_loss == "ordinal" else None,
    )
    total_B = objective.ranking_coefficient * ranking.ranking_B
    if objective.center_rewards_coefficient > 0:
        total_B = total_B + objective.center_rewards_coefficient * ranking.centering_B
    if lm_B is not None:
        total_B = total_B + objective.lm_coefficient * lm_B
    return LossBreakdown(total_B=total_B, ranking=ranking, lm_B=lm_B, scores_N=values_N.detach())
