"""The whole loss of a reward model on one micro-batch: from rows to a number for each judgment.

Suffixes: B judgments, N responses, R tokens of a response.
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from learning.packing import Batch, scores_N
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.imitation import scores_and_logprobs
from rewardmodel.training.losses import LossTerms, Targets, imitation_losses, ranking_losses


@dataclass(frozen=True, kw_only=True)
class TrainingTerms:
    """The loss of each judgment and its parts; tensors of shape (B,), nats."""

    total_B: Tensor
    ranking: LossTerms
    lm_B: Tensor | None
    scores_N: Tensor


def judgment_losses(model: Any, batch: Batch, goal: Targets, objective: ObjectiveOptions) -> TrainingTerms:
    """Ranking + c * centring + beta_rm * imitation. With beta_rm = 0 no logit is computed."""
    lm_B = None
    if objective.lm_coefficient > 0:
        values_N, logprobs_NR = scores_and_logprobs(model, batch, goal.is_top_N)
        lm_B = imitation_losses(logprobs_NR, batch.is_response_NR, goal)
    else:
        values_N = scores_N(model, batch)
    ranking = ranking_losses(
        values_N,
        goal,
        objective=objective.ranking,
        margin=objective.margin,
        pair_weight=objective.pair_weight,
        strength_weighted=objective.strength_weighted,
    )
    total_B = ranking.ranking_B
    if objective.centring_coefficient > 0:
        total_B = total_B + objective.centring_coefficient * ranking.centring_B
    if lm_B is not None:
        total_B = total_B + objective.lm_coefficient * lm_B
    return TrainingTerms(total_B=total_B, ranking=ranking, lm_B=lm_B, scores_N=values_N.detach())
