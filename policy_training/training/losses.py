"""Losses of policy training: pure functions on tensors that return SUMS over response tokens.

The caller divides by the number of response tokens of the whole optimizer step, over micro-batches and ranks,
so that how rows were cut into micro-batches never changes an update. Suffixes: N responses, R response tokens
(right-padded); `is_response_NR` is True on real response tokens. Nothing here knows models.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from policy_training.training.rollouts.rewards import kl_estimates


@dataclass(frozen=True, kw_only=True)
class PolicyLoss:
    """Sums over response tokens. Only `loss` carries a gradient."""

    loss: Tensor
    clipped_tokens: Tensor
    approx_kl: Tensor  # nats, of KL(sampling policy || present policy): never negative, little noise


@dataclass(frozen=True, kw_only=True)
class ValueLoss:
    """Sums over response tokens. Only `loss` carries a gradient."""

    loss: Tensor
    clipped_tokens: Tensor


def _mask_outside_response(is_response_NR: Tensor, values_NR: Tensor) -> Tensor:
    """Zero whatever lies off the response BEFORE any arithmetic: 0 * NaN in a backward pass is NaN."""
    return torch.where(is_response_NR, values_NR, torch.zeros_like(values_NR))


def _weighted(values_NR: Tensor, weights_NR: Tensor | None) -> Tensor:
    """Times the importance weights of the tokens (rollouts/importance.py), where there are any."""
    return values_NR if weights_NR is None else values_NR * weights_NR


def clipped_policy_loss(
    logprobs_NR: Tensor,
    old_logprobs_NR: Tensor,
    advantages_NR: Tensor,
    is_response_NR: Tensor,
    *,
    clip: float | None,
    weights_NR: Tensor | None = None,
) -> PolicyLoss:
    """PPO's clipped surrogate (Schulman et al. 2017, equation 7), negated, summed over response tokens.

    loss_t = -min(ratio_t A_t, clamp(ratio_t, 1 - clip, 1 + clip) A_t) with
    ratio_t = exp(logprob_t - old_logprob_t). `clip=None` leaves out the clamp: -ratio_t A_t (equation 6).

    `approx_kl` estimates KL(old || new) by k3 (Schulman, "Approximating KL divergence", 2020): exp(l) - 1 - l with
    l = logprob - old_logprob, unbiased over tokens that the old policy sampled.

    The gradient is exactly zero where the ratio has left the interval in the direction the advantage pushes
    it, and that of the unclipped loss everywhere else. `weights_NR`: what each token's terms are multiplied by, at
    least 0.
    """
    log_ratio_NR = _mask_outside_response(is_response_NR, logprobs_NR - old_logprobs_NR)
    # At least 0, so that they may go through the minimum.
    advantages_NR = _weighted(_mask_outside_response(is_response_NR, advantages_NR), weights_NR)
    ratio_NR = log_ratio_NR.exp()
    unclipped_NR = ratio_NR * advantages_NR
    clipped_NR = unclipped_NR if clip is None else ratio_NR.clamp(1.0 - clip, 1.0 + clip) * advantages_NR
    with torch.no_grad():
        is_clipped_NR = clipped_NR < unclipped_NR
        # The tokens come from the old policy, so its log-ratio to the new one is the negative: exp(l) - 1 - l.
        kl_NR = _weighted(kl_estimates(-log_ratio_NR, "k3"), weights_NR)
    return PolicyLoss(
        loss=-torch.minimum(unclipped_NR, clipped_NR).sum(),
        clipped_tokens=is_clipped_NR.sum(),
        approx_kl=kl_NR.sum(),
    )


def log_probability_loss(
    logprobs_NR: Tensor,
    old_logprobs_NR: Tensor,
    advantages_NR: Tensor,
    is_response_NR: Tensor,
    *,
    weights_NR: Tensor | None = None,
) -> PolicyLoss:
    """The policy gradient without importance sampling, negated: loss_t = -A_t logprob_t (A2C; Mnih et al. 2016).

    Its gradient is the ratio's at ratio 1, wherever the policy has gone since it sampled. `approx_kl` as above.
    """
    logprobs_NR, advantages_NR = (
        _mask_outside_response(is_response_NR, x_NR) for x_NR in (logprobs_NR, advantages_NR)
    )
    advantages_NR = _weighted(advantages_NR, weights_NR)
    with torch.no_grad():
        kl = kl_to_present_policy(logprobs_NR, old_logprobs_NR, is_response_NR, weights_NR)
    none = torch.zeros((), dtype=torch.long, device=logprobs_NR.device)
    return PolicyLoss(loss=-(logprobs_NR * advantages_NR).sum(), clipped_tokens=none, approx_kl=kl)


def kl_to_present_policy(
    logprobs_NR: Tensor,
    old_logprobs_NR: Tensor,
    is_response_NR: Tensor,
    weights_NR: Tensor | None = None,
) -> Tensor:
    """KL(old || present) in nats, summed over response tokens that the old policy sampled: PPO-penalty's term
    (Schulman et al. 2017, equation 8; Secrets of RLHF I, equation 14).

    By k3 (Schulman, "Approximating KL divergence", 2020), with its gradient: (ratio - 1) times that of the log-prob.
    Value and gradient are unbiased, because the tokens are the old policy's whatever the present one is, and at
    ratio 1 both are exactly 0; k1, just as unbiased, would push every sampled token up there. Tokens of another sampler
    than the old policy need their `weights_NR`.
    """
    log_ratio_NR = _mask_outside_response(is_response_NR, logprobs_NR - old_logprobs_NR)
    return _weighted(kl_estimates(-log_ratio_NR, "k3"), weights_NR).sum()


def summed_entropy(entropy_NR: Tensor, is_response_NR: Tensor, weights_NR: Tensor | None = None) -> Tensor:
    """Nats, over response tokens; its gradient is that of the entropy bonus (Schulman et al. 2017, equation 9)."""
    return _weighted(_mask_outside_response(is_response_NR, entropy_NR), weights_NR).sum()


def clipped_value_loss(
    values_NR: Tensor,
    old_values_NR: Tensor,
    returns_NR: Tensor,
    is_response_NR: Tensor,
    *,
    clip: float | None,
    weights_NR: Tensor | None = None,
) -> ValueLoss:
    """Half the squared error of the critic, summed over response tokens; a value may move by `clip` per step.

    loss_t = 1/2 max((V_t - G_t)^2, (clamp(V_t, V_old_t - clip, V_old_t + clip) - G_t)^2), the rule of
    OpenAI's baselines (ppo2) and of Secrets of RLHF I. `clip=None` leaves out the second term. `weights_NR`: what each
    token's error is multiplied by.
    """
    values_NR, old_values_NR, returns_NR = (
        _mask_outside_response(is_response_NR, x_NR) for x_NR in (values_NR, old_values_NR, returns_NR)
    )
    squared_error_NR = (values_NR - returns_NR).square()
    if clip is None:
        none = torch.zeros((), dtype=torch.long, device=values_NR.device)
        return ValueLoss(loss=0.5 * _weighted(squared_error_NR, weights_NR).sum(), clipped_tokens=none)
    values_clipped_NR = torch.maximum(torch.minimum(values_NR, old_values_NR + clip), old_values_NR - clip)
    clipped_squared_error_NR = (values_clipped_NR - returns_NR).square()
    larger_NR = torch.maximum(squared_error_NR, clipped_squared_error_NR)
    return ValueLoss(
        loss=0.5 * _weighted(larger_NR, weights_NR).sum(),
        clipped_tokens=(clipped_squared_error_NR > squared_error_NR).sum(),
    )


def language_model_loss(logprobs_NR: Tensor, is_response_NR: Tensor) -> Tensor:
    """Negative log-likelihood in nats, summed over the tokens that count: of pretraining, SFT and the ptx loss.

    InstructGPT's ptx objective adds coefficient * this, per token of the mixed-in text, to the policy loss.
    """
    return -_mask_outside_response(is_response_NR, logprobs_NR).sum()
