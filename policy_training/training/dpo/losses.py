"""The loss of DPO: pure functions on tensors. Nothing here knows models.

Suffixes as in rewardmodel.training.losses: B comparisons, N responses of all comparisons, P compared pairs, R tokens of
a response.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from learning.batches.collation import TokenBatch
from learning.batches.forward import compute_token_logprobs
from policy_training.training.attention import with_math_attention
from policy_training.training.dpo.config import DPOObjectiveOptions
from rewardmodel.training.losses import Targets, lm_losses, ranking_losses


@dataclass(frozen=True, kw_only=True)
class DPOLosses:
    """Of each comparison, (B,), nats; only `total_B` carries a gradient."""

    total_B: Tensor
    preference_B: Tensor
    sft_B: Tensor | None
    rewards_N: Tensor


def dpo_losses(
    logprobs_NR: Tensor,
    is_response_NR: Tensor,
    reference_logprob_N: Tensor,
    targets: Targets,
    objective: DPOObjectiveOptions,
) -> DPOLosses:
    """Rafailov et al. 2023 (arXiv 2305.18290), equation 7, for comparisons of any number of responses.

    reward(y) = beta (log pi(y|x) - log pi_ref(y|x)) over the whole response, its end included; a pair's loss is
    -logsigmoid(reward_w - reward_l). With label smoothing e: (1 - e) of that plus e of the pair the other way round
    (Mitchell 2023, "A note on DPO with noisy preferences"). Sums of log-probs are taken in float64.
    """
    logprob_N = torch.where(is_response_NR, logprobs_NR, torch.zeros_like(logprobs_NR)).double().sum(1)
    rewards_N = objective.beta * (logprob_N - reference_logprob_N)
    preference_B = preference_losses(rewards_N, targets, objective)
    sft_B = None
    total_B = preference_B
    if objective.sft_coefficient > 0:
        sft_B = lm_losses(logprobs_NR.double(), is_response_NR, targets)
        total_B = total_B + objective.sft_coefficient * sft_B
    return DPOLosses(
        total_B=total_B,
        preference_B=preference_B.detach(),
        sft_B=None if sft_B is None else sft_B.detach(),
        rewards_N=rewards_N.detach(),
    )


def preference_losses(rewards_N: Tensor, targets: Targets, objective: DPOObjectiveOptions) -> Tensor:
    """(B,), from implicit rewards."""
    losses_B = ranking_losses(rewards_N, targets, objective.ranking).ranking_B
    if objective.label_smoothing == 0:
        return losses_B
    # Of a pair, the loss of the negated rewards is the loss of the pair the other way round.
    turned_B = ranking_losses(-rewards_N, targets, objective.ranking).ranking_B
    return (1 - objective.label_smoothing) * losses_B + objective.label_smoothing * turned_B


def response_logprobs(model: Any, batch: TokenBatch) -> Tensor:
    """Log-probability of each whole response, nats, (N,) float64."""
    logprobs_NR: Tensor = with_math_attention(model, compute_token_logprobs, batch)
    return logprobs_NR.double().sum(1)


@dataclass
class PreferenceFigures:
    """Sums over comparisons, for metrics: how the implicit rewards agree with the judgments."""

    weight: float = 0.0
    preference: float = 0.0
    sft: float = 0.0
    correct: float = 0.0
    pairs: float = 0.0
    preferred_reward: float = 0.0
    other_reward: float = 0.0

    def add(self, losses: DPOLosses, targets: Targets) -> None:
        untied = targets.is_untied_P
        first_P, second_P = (losses.rewards_N[index][untied] for index in (targets.first_P, targets.second_P))
        self.weight += float(targets.weight_B.sum())
        self.preference += float((losses.preference_B * targets.weight_B).sum())
        if losses.sft_B is not None:
            self.sft += float((losses.sft_B * targets.weight_B).sum())
        self.correct += float((first_P > second_P).sum() + 0.5 * (first_P == second_P).sum())
        self.pairs += len(first_P)
        self.preferred_reward += float(first_P.sum())
        self.other_reward += float(second_P.sum())

    def sums(self) -> list[float]:
        return [
            self.weight,
            self.preference,
            self.sft,
            self.correct,
            self.pairs,
            self.preferred_reward,
            self.other_reward,
        ]

    def means(self, objective: DPOObjectiveOptions) -> dict[str, float | None]:
        """`preference_loss` is nats a comparison, the rewards are means over untied pairs (None without any)."""
        pairs = self.pairs or None
        preferred, other, correct = (
            None if pairs is None else total / pairs
            for total in (self.preferred_reward, self.other_reward, self.correct)
        )
        return {
            "preference_loss": self.preference / self.weight if self.weight else None,
            **(
                {"sft_loss": self.sft / self.weight if self.weight else None}
                if objective.sft_coefficient > 0
                else {}
            ),
            "accuracy": correct,
            "reward_margin": None if preferred is None or other is None else preferred - other,
            "preferred_reward": preferred,
            "other_reward": other,
        }
