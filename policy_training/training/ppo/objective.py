"""What the best checkpoint of a run is chosen by: the score minus the KL penalty, on one scale for all of its steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from policy_training.training.ppo.config import RewardOptions
from policy_training.training.rollouts.rewards import replace_score_without_eos, subtract_score_without_eos
from policy_training.training.rollouts.rollouts import Rollout


def penalised_score(
    rollouts: Sequence[Rollout],
    *,
    kl: float,
    options: RewardOptions,
    deviation: float,
    kl_in_loss: float = 0.0,
) -> float:
    """Mean over responses of score / deviation after the missing-EOS rule, minus kl_coefficient times `kl` (nats a
    response), and `kl_in_loss` times it: the weight of a KL that stands in the loss (GRPO).

    `rlhf_reward`, what a step maximises, does not say which of two steps is better: the running mean that it subtracts
    follows the policy up, and an adaptive coefficient moves. Here both stay as they were at the start. Scores are not
    clipped, or the best answers would count as the good ones do.
    """
    scores_N = torch.tensor([rollout.end_score for rollout in rollouts], dtype=torch.float64)
    has_eos_N = torch.tensor([rollout.response.has_eos for rollout in rollouts])
    if options.missing_eos_rule == "replace":
        scores_N = replace_score_without_eos(scores_N, has_eos_N, score=options.missing_eos_score)
    scores_N = scores_N / deviation
    if options.missing_eos_rule == "subtract":
        scores_N = subtract_score_without_eos(scores_N, has_eos_N, penalty=-options.missing_eos_score)
    of_steps = math.fsum(rollout.score - rollout.end_score for rollout in rollouts) / len(rollouts)
    return float(scores_N.mean()) + of_steps - (options.kl_coefficient + kl_in_loss) * kl


def score_deviation(options: RewardOptions, initial_evaluation: Mapping[str, Any], *, whiten: bool) -> float:
    """What scores are divided by: where the training puts them on unit scale, their standard deviation before it."""
    deviation = float(initial_evaluation["score_std"])
    return deviation if (options.normalize or options.scale or whiten) and deviation > 1e-12 else 1.0


def kl_weight_in_loss(algorithm: Any, rollouts: Sequence[Rollout]) -> float:
    """By what a policy gradient's loss multiplies the KL of a whole response: `kl_loss_coefficient`, where tokens are
    averaged divided by a response's mean length. The ratio of PPO's loss to what is there before it is no such term.
    """
    weight = float(getattr(algorithm, "kl_loss_coefficient", 0.0))
    if not weight or algorithm.averaging == "responses":
        return weight
    tokens = sum(len(rollout.response.token_ids) for rollout in rollouts)
    return weight * len(rollouts) / max(tokens, 1)
