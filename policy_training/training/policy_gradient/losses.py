"""Advantages and loss of the critic-free policy gradients: pure functions on tensors.

Suffixes: N responses, R response tokens (right-padded). `is_response_NR` is True on real response tokens.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from policy_training.training.losses import PolicyLoss, clipped_policy_loss, log_probability_loss
from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.rollouts.advantages import compute_gae
from policy_training.training.rollouts.rewards import kl_estimates


def response_advantages(
    returns_N: Tensor, options: PolicyGradientOptions, *, samples_per_prompt: int
) -> Tensor:
    """What the log-likelihood of each whole response is multiplied by, (N,), from the returns of a step's responses.

    The samples of a prompt stand together. return: G_i, or with the baseline batch_mean G_i - mean(G) (the sample is
    in the mean, which makes the gradient 1 - 1/N times as long and turns it nowhere). leave_one_out: G_i minus the
    mean of the prompt's other samples (Ahmadian et al. 2024, "Back to Basics", 2.3). group_standardized: G_i
    minus the prompt's mean, divided by its population standard deviation (Shao et al. 2024, DeepSeekMath, 4.1.2); 0
    where all are equal. reward_to_go is made of tokens: see `rewards_to_go`.
    """
    groups_PK = returns_N.view(-1, samples_per_prompt)
    match options.advantage:
        case "leave_one_out":
            others_PK = (groups_PK.sum(1, keepdim=True) - groups_PK) / (samples_per_prompt - 1)
            return (groups_PK - others_PK).view(-1)
        case "group_standardized":
            centred_PK = groups_PK - groups_PK.mean(1, keepdim=True)
            spread_P1 = centred_PK.square().mean(1, keepdim=True).sqrt()
            # Rounding alone must not become a difference: scores are made in float32.
            rounding_P1 = 4 * torch.finfo(torch.float32).eps * groups_PK.abs().amax(1, keepdim=True)
            is_constant_P1 = spread_P1 <= rounding_P1
            scaled_PK = centred_PK / torch.where(is_constant_P1, torch.ones_like(spread_P1), spread_P1)
            return torch.where(is_constant_P1, torch.zeros_like(scaled_PK), scaled_PK).view(-1)
        case _:
            return returns_N - baseline(returns_N, options)


def baseline(returns_N: Tensor, options: PolicyGradientOptions) -> Tensor:
    """Of the forms `return` and `reward_to_go`: one number for all responses of a step."""
    return returns_N.mean() if options.baseline == "batch_mean" else torch.zeros_like(returns_N.mean())


def rewards_to_go(rewards_NR: Tensor, is_response_NR: Tensor) -> Tensor:
    """The sum of the rewards from each token on, (N, R) (Secrets of RLHF I, equation 5, second form)."""
    nothing_NR = torch.zeros_like(rewards_NR)
    return compute_gae(rewards_NR, nothing_NR, is_response_NR, gamma=1.0, gae_lambda=1.0)[0]


def token_advantages(
    rewards_NR: Tensor,
    is_response_NR: Tensor,
    options: PolicyGradientOptions,
    *,
    advantages_N: Tensor,
    baseline: Tensor,
) -> Tensor:
    """What each token's log-probability is multiplied by, (N, R), 0 off the response: the response's own advantage, or
    with `reward_to_go` the rewards from the token on less the baseline of all responses.
    """
    if options.advantage == "reward_to_go":
        values_NR = rewards_to_go(rewards_NR, is_response_NR) - baseline.float()
    else:
        values_NR = advantages_N.float()[:, None].expand(is_response_NR.shape)
    return torch.where(is_response_NR, values_NR, torch.zeros_like(values_NR))


@dataclass(frozen=True, kw_only=True)
class PolicyGradientLoss:
    """Sums; only `loss` carries a gradient. The caller divides it by the update's `count_units`."""

    loss: Tensor
    policy: PolicyLoss  # `loss` is weighted by `averaging`; clipped tokens and KL are counted over tokens
    reference_kl: Tensor  # k3, nats, over tokens


def policy_gradient_loss(
    logprobs_NR: Tensor,
    old_logprobs_NR: Tensor,
    reference_logprobs_NR: Tensor,
    advantages_NR: Tensor,
    is_response_NR: Tensor,
    options: PolicyGradientOptions,
    weights_NR: Tensor | None = None,
) -> PolicyGradientLoss:
    """-A_t log pi_t, or minus the (clipped) ratio times A_t, plus the KL term, weighted by `averaging`.

    The KL term is DeepSeekMath's equation 4, pi_ref/pi - log(pi_ref/pi) - 1 a token, with its gradient.
    `weights_NR`: importance weights of the tokens, where another sampler than the policy drew them.
    """
    tokens_N1 = is_response_NR.sum(1, keepdim=True).clamp(min=1).to(logprobs_NR.dtype)
    weight_N1 = 1.0 / tokens_N1 if options.averaging == "tokens_of_each" else torch.ones_like(tokens_N1)
    if options.objective == "ratio":
        # The weights are positive, so that they may go through the minimum of the clipped objective.
        terms = clipped_policy_loss(
            logprobs_NR,
            old_logprobs_NR,
            advantages_NR * weight_N1,
            is_response_NR,
            clip=options.clip_range,
            weights_NR=weights_NR,
        )
    else:
        terms = log_probability_loss(
            logprobs_NR, old_logprobs_NR, advantages_NR * weight_N1, is_response_NR, weights_NR=weights_NR
        )
    log_ratio_NR = torch.where(
        is_response_NR, logprobs_NR - reference_logprobs_NR, torch.zeros_like(logprobs_NR)
    )
    kl_NR = kl_estimates(log_ratio_NR, "k3")
    if weights_NR is not None:
        kl_NR = kl_NR * weights_NR
    loss = terms.loss
    if options.kl_loss_coefficient > 0:
        loss = loss + options.kl_loss_coefficient * (kl_NR * weight_N1).sum()
    return PolicyGradientLoss(loss=loss, policy=terms, reference_kl=kl_NR.detach().sum())


def count_units(is_response_NR: Tensor, options: PolicyGradientOptions) -> float:
    """What an update's sum of losses is divided by: its tokens, or its responses."""
    return float(is_response_NR.sum()) if options.averaging == "tokens" else float(len(is_response_NR))
