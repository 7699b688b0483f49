"""Importance weights of responses that were drawn by other probabilities than those that are trained.

Pure functions on tensors. Suffixes: N responses, R response tokens (right-padded). `is_response_NR` is True on real
response tokens.

With mu the sampler's probability of a token and pi the trained policy's before the step's first update, E_mu[w f] is
E_pi[f] for w = the product of pi / mu over the response (Precup et al. 2000). The ratio of each token by itself is that
to first order in log pi - log mu, with far less variance (Yao et al. 2025, "Your efficient RL framework secretly brings
you off-policy RL training"; "On the rollout-training mismatch in modern RL systems"). Both are cut off at a cap, which
bounds the variance and biases towards the sampler (Ionides 2008; IMPALA's rho, Espeholt et al. 2018, equation 1).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from learning.distributed import DistributedContext
from policy_training.training.rollouts.config import ImportanceOptions
from policy_training.training.rollouts.rewards import kl_estimates

MAX_LOG_WEIGHT = 60.0  # without a cap a weight is finite still


@dataclass(frozen=True, kw_only=True)
class ImportanceWeights:
    """`weights_NR` is 0 off the response and carries no gradient. `capped`: how many of the `counted` (tokens, or
    responses) the cap has cut off.
    """

    weights_NR: Tensor
    capped: int
    counted: int


def padded_logprobs(logprobs: Sequence[Sequence[float]], is_response_NR: Tensor) -> Tensor:
    """The sampler's log-probs of each response's tokens as a tensor, (N, R) float32, 0 off the response. Raises
    ValueError where a response has not one for every token.
    """
    lengths = is_response_NR.sum(1).tolist()
    if [len(row) for row in logprobs] != lengths:
        raise ValueError(
            f"log-probs of {[len(row) for row in logprobs]} tokens for responses of {lengths} tokens"
        )
    padded_NR = torch.zeros(is_response_NR.shape, dtype=torch.float32)
    for row, values in enumerate(logprobs):
        padded_NR[row, : len(values)] = torch.tensor(values, dtype=torch.float32)
    return padded_NR.to(is_response_NR.device)


def importance_weights(
    trained_logprobs_NR: Tensor,
    sampled_logprobs_NR: Tensor,
    is_response_NR: Tensor,
    options: ImportanceOptions,
) -> ImportanceWeights:
    """min(pi / mu, cap) of each token, or of each response at all of its tokens. Options `none` are a ValueError."""
    if options.weights == "none":
        raise ValueError("importance weights of 'none' are no weights")
    log_ratio_NR = masked_log_ratio(trained_logprobs_NR, sampled_logprobs_NR, is_response_NR)
    if options.weights == "sequence":
        log_weight = log_ratio_NR.sum(1, keepdim=True)
        is_counted = is_response_NR.any(1, keepdim=True)
    else:
        log_weight, is_counted = log_ratio_NR, is_response_NR
    limit = MAX_LOG_WEIGHT if options.cap is None else math.log(options.cap)
    is_capped = is_counted & (log_weight > limit)
    weight = log_weight.clamp(max=limit).exp()
    weights_NR = torch.where(is_response_NR, weight.expand(is_response_NR.shape), 0.0)
    return ImportanceWeights(
        weights_NR=weights_NR.to(trained_logprobs_NR.dtype),
        capped=int(is_capped.sum()),
        counted=int(is_counted.sum()),
    )


def masked_log_ratio(
    trained_logprobs_NR: Tensor, sampled_logprobs_NR: Tensor, is_response_NR: Tensor
) -> Tensor:
    """log pi - log mu, 0 off the response; no gradient."""
    ratio_NR = (trained_logprobs_NR - sampled_logprobs_NR).detach()
    return torch.where(is_response_NR, ratio_NR, torch.zeros_like(ratio_NR))


@dataclass
class Mismatch:
    """How far sampler and trained policy are apart, summed over responses that the sampler drew."""

    tokens: float = 0.0
    log_ratio: float = 0.0  # of log pi - log mu
    kl: float = 0.0  # KL(mu || pi) by k3, nats: never negative
    largest: float = 0.0  # |log pi - log mu| of a token
    weights: float = 0.0  # over tokens
    squared_weights: float = 0.0
    capped: float = 0.0
    counted: float = 0.0

    def add(
        self,
        trained_logprobs_NR: Tensor,
        sampled_logprobs_NR: Tensor,
        is_response_NR: Tensor,
        weights: ImportanceWeights | None,
    ) -> None:
        ratio_M = masked_log_ratio(trained_logprobs_NR, sampled_logprobs_NR, is_response_NR)[is_response_NR]
        if not len(ratio_M):
            return
        exact_M = ratio_M.double()
        self.tokens += len(exact_M)
        self.log_ratio += float(exact_M.sum())
        self.kl += float(kl_estimates(-exact_M, "k3").sum())
        self.largest = max(self.largest, float(exact_M.abs().max()))
        if weights is not None:
            weights_M = weights.weights_NR[is_response_NR].double()
            self.weights += float(weights_M.sum())
            self.squared_weights += float(weights_M.square().sum())
            self.capped += weights.capped
            self.counted += weights.counted


def compare_with_sampler(
    trained_logprobs_NR: Tensor,
    sampled_logprobs: Sequence[Sequence[float]],
    is_response_NR: Tensor,
    options: ImportanceOptions,
) -> tuple[Tensor | None, Mismatch]:
    """(importance weights, None where the options ask for none; how far the sampler is away) of some responses."""
    sampled_NR = padded_logprobs(sampled_logprobs, is_response_NR)
    weights = None
    if options.weights != "none":
        weights = importance_weights(trained_logprobs_NR, sampled_NR, is_response_NR, options)
    mismatch = Mismatch()
    mismatch.add(trained_logprobs_NR, sampled_NR, is_response_NR, weights)
    return (weights.weights_NR if weights is not None else None), mismatch


def mean_mismatch(own: Sequence[Mismatch], distributed: DistributedContext) -> dict[str, float]:
    """Of all ranks' micro-batches together; nothing of none.

    `sampler_log_ratio`: mean of log pi - log mu; `sampler_kl`: nats a token; `importance_effective`:
    (sum w)^2 / sum w^2, as a share of the tokens (Kish's effective sample size).
    """
    if not distributed.any(bool(own)):
        return {}
    shares = [one for share in distributed.gather_objects(list(own)) for one in share]
    tokens, counted = (sum(getattr(share, name) for share in shares) for name in ("tokens", "counted"))
    if not tokens:
        return {}
    found = {
        "sampler_log_ratio": sum(share.log_ratio for share in shares) / tokens,
        "sampler_kl": sum(share.kl for share in shares) / tokens,
        "sampler_log_ratio_max": max(share.largest for share in shares),
    }
    if counted:
        weights, squares = (
            sum(getattr(share, name) for share in shares) for name in ("weights", "squared_weights")
        )
        found |= {
            "importance_weight": weights / tokens,
            "importance_capped": sum(share.capped for share in shares) / counted,
            "importance_effective": weights**2 / (squares * tokens) if squares else 0.0,
        }
    return found
