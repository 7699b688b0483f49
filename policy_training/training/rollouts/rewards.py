"""From reward-model scores to per-token rewards: missing-EOS rules, normalisation, clipping, KL penalty.

Pure functions on tensors, and two small states (running moments, adaptive KL) that a checkpoint carries.
Suffixes: N responses, R response tokens (right-padded); `is_response_NR` is True on real response tokens,
made from lengths.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from policy_training.training.rollouts.advantages import AllReduceSum, no_reduce

KLEstimator = Literal["k1", "k2", "k3"]


def kl_estimates(log_ratio: Tensor, estimator: KLEstimator) -> Tensor:
    """Per-token estimates of KL(policy || reference) from tokens the policy sampled, in nats.

    With x = log policy - log reference: k1 = x (unbiased), k2 = x^2 / 2 (biased in value, unbiased in
    gradient when it stands in the loss), k3 = exp(-x) - 1 + x (unbiased, never negative). Source: Schulman,
    "Approximating KL divergence" (2020). Raises ValueError for another name.
    """
    if estimator == "k1":
        return log_ratio
    if estimator == "k2":
        return 0.5 * log_ratio.square()
    if estimator == "k3":
        return torch.expm1(-log_ratio) + log_ratio
    raise ValueError(f"estimator is {estimator!r}; it must be 'k1', 'k2' or 'k3'")


def compute_token_rewards(
    scores_N: Tensor,
    logprobs_NR: Tensor,
    reference_logprobs_NR: Tensor,
    is_response_NR: Tensor,
    *,
    kl_coefficient: float,
    step_rewards_NR: Tensor | None = None,
) -> Tensor:
    """-kl_coefficient (log policy - log reference) on every token, plus the score on the last one, plus the rewards of
    steps where they stand: (N, R).

    The last token is the EOS, or the final token of a response that was cut off. Off the response the reward is
    zero. The rewards of a response sum to score - kl_coefficient * sum of log-ratios (InstructGPT, equation 2). The
    score is the processed one: the penalty comes after normalisation and is not clipped.
    """
    log_ratio_NR = torch.where(
        is_response_NR, logprobs_NR - reference_logprobs_NR, torch.zeros_like(logprobs_NR)
    )
    rewards_NR = -kl_coefficient * log_ratio_NR
    if step_rewards_NR is not None:
        rewards_NR = rewards_NR + step_rewards_NR.to(rewards_NR.dtype)
    last_N = is_response_NR.sum(dim=1) - 1
    rows_N = torch.arange(len(scores_N), device=scores_N.device)
    has_tokens_N = last_N >= 0
    rewards_NR[rows_N[has_tokens_N], last_N[has_tokens_N]] += scores_N[has_tokens_N].to(rewards_NR.dtype)
    return rewards_NR


def replace_score_without_eos(scores_N: Tensor, has_eos_N: Tensor, *, score: float) -> Tensor:
    """The rule `replace`: a response that never ended gets `score` whatever the reward model said.

    Applied to the raw scores, before any whitening or normalisation (N+ implementation details: -1).
    """
    return torch.where(has_eos_N, scores_N, torch.full_like(scores_N, score))


def subtract_score_without_eos(scores_N: Tensor, has_eos_N: Tensor, *, penalty: float) -> Tensor:
    """The rule `subtract`: a response that never ended loses `penalty`, in units of the normalised reward.

    Applied after normalisation and clipping, so that the clip cannot swallow it.
    """
    return torch.where(has_eos_N, scores_N, scores_N - penalty)


@dataclass
class RunningMoments:
    """Mean and variance of everything seen so far, in float64, over batches and ranks.

    Chan et al. (1979): however a stream is split into batches and ranks, the state is that of the whole stream.
    """

    count: float = 0.0
    mean: float = 0.0
    squared_deviations: float = 0.0

    def update(self, values: Tensor, *, all_reduce_sum: AllReduceSum = no_reduce) -> None:
        """Add one batch. Every rank calls this at the same time, each with its own values (none is allowed)."""
        exact = values.detach().double().flatten()
        total = all_reduce_sum(torch.stack([exact.sum(), exact.new_tensor(float(exact.numel()))]))
        batch_count = float(total[1])
        if batch_count == 0.0:
            return
        batch_mean = float(total[0]) / batch_count
        batch_deviations = float(all_reduce_sum((exact - batch_mean).square().sum()))
        whole_count = self.count + batch_count
        distance = batch_mean - self.mean
        self.mean += distance * batch_count / whole_count
        self.squared_deviations += batch_deviations + distance**2 * self.count * batch_count / whole_count
        self.count = whole_count

    @property
    def standard_deviation(self) -> float:
        """Of the population. 1 until two values differ, so that dividing by it is always safe."""
        if self.count == 0.0:
            return 1.0
        deviation = math.sqrt(max(self.squared_deviations, 0.0) / self.count)
        return deviation if deviation > 1e-12 * max(1.0, abs(self.mean)) else 1.0

    def normalize(self, values: Tensor, *, clip: float | None) -> Tensor:
        """(values - mean) / standard deviation, then cut to [-clip, clip] (Secrets of RLHF I, 5.3.1)."""
        normalized = ((values.double() - self.mean) / self.standard_deviation).to(values.dtype)
        return normalized if clip is None else normalized.clamp(-clip, clip)

    def scale(self, values: Tensor, *, clip: float | None) -> Tensor:
        """values / standard deviation, then cut to [-clip, clip]: reward scaling (Engstrom et al. 2020; Secrets of RLHF
        I, 5.3.1). An episode is one response whose reward comes at its end, so the rolling discounted sum of rewards
        that the deviation is of is the score itself.
        """
        scaled = (values.double() / self.standard_deviation).to(values.dtype)
        return scaled if clip is None else scaled.clamp(-clip, clip)

    def state_dict(self) -> dict[str, float]:
        return {"count": self.count, "mean": self.mean, "squared_deviations": self.squared_deviations}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = float(state["count"])
        self.mean = float(state["mean"])
        self.squared_deviations = float(state["squared_deviations"])


@dataclass
class KLController:
    """The KL coefficient over time. Fixed when `target` is None.

    `ziegler_paper` (Ziegler et al. 2019, 2.2): beta <- beta (1 + 0.1 clip(KL / target - 1, -0.2, 0.2)) an update.
    `ziegler_code` (their repository): beta <- beta (1 + clip(KL / target - 1, -0.2, 0.2) n / 10000), n = responses of
    the update. KL and target are nats a response.
    """

    coefficient: float
    target: float | None = None
    rule: Literal["ziegler_paper", "ziegler_code"] = "ziegler_code"

    def update(self, kl: float, *, n_responses: int) -> None:
        if self.target is None:
            return
        error = min(max(kl / self.target - 1.0, -0.2), 0.2)
        proportional_gain = 0.1 if self.rule == "ziegler_paper" else n_responses / 10_000
        self.coefficient *= 1.0 + proportional_gain * error

    def state_dict(self) -> dict[str, float]:
        return {"coefficient": self.coefficient}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.coefficient = float(state["coefficient"])
