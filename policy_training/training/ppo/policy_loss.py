"""The loss of one micro-batch's policy update, put together from the options, and the coefficients that move.

Suffixes: N responses, R response tokens (right-padded).
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from policy_training.training.losses import (
    PolicyLoss,
    clipped_policy_loss,
    kl_to_present_policy,
    log_probability_loss,
    summed_entropy,
)
from policy_training.training.ppo.config import PolicyLossOptions


@dataclass
class PenaltyController:
    """PPO-penalty's coefficient over time. Fixed when `target` is None.

    After the updates of a step, with KL(sampling policy || present policy) in nats a token: halved below target / 1.5,
    doubled above 1.5 target (Schulman et al. 2017, section 4).
    """

    coefficient: float
    target: float | None = None

    def update(self, kl: float) -> None:
        if self.target is None:
            return
        if kl < self.target / 1.5:
            self.coefficient /= 2.0
        elif kl > self.target * 1.5:
            self.coefficient *= 2.0

    def state_dict(self) -> dict[str, float]:
        return {"coefficient": self.coefficient}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.coefficient = float(state["coefficient"])


def entropy_weight(options: PolicyLossOptions, entropy: float) -> float:
    """What a token's entropy is multiplied by in the objective of a step whose responses have this mean entropy (nats a
    token): the coefficient below the threshold; at and above it 0 (`raise_below`), or minus the coefficient
    (`hold_at`, the slope of -|entropy - threshold|).
    """
    if options.entropy_threshold is None or entropy < options.entropy_threshold:
        return options.entropy_coefficient
    return 0.0 if options.entropy_rule == "raise_below" else -options.entropy_coefficient


def policy_loss(
    options: PolicyLossOptions,
    logprobs_NR: Tensor,
    advantages_NR: Tensor,
    is_response_NR: Tensor,
    *,
    sampling_logprobs_NR: Tensor,
    reference_logprobs_NR: Tensor,
    clip: float | None,
    penalty: float,
    entropy_NR: Tensor | None,
    entropy_weight: float,
    weights_NR: Tensor | None = None,
) -> PolicyLoss:
    """Surrogate + penalty * KL(sampling policy || present policy) - entropy_weight * entropy, each summed over response
    tokens. `entropy_NR` (nats, with its gradient) is read only where its weight is not 0.

    `approx_kl` is that KL, whatever the ratio's old policy is. `weights_NR`: importance weights of the tokens, where
    another sampler drew them; the "sampling policy" is then the trained one before the step's first update.
    """
    mask_NR = is_response_NR
    if options.objective == "log_probability":
        terms = log_probability_loss(
            logprobs_NR, sampling_logprobs_NR, advantages_NR, mask_NR, weights_NR=weights_NR
        )
    else:
        is_fixed = options.old_policy == "reference"
        old_logprobs_NR = reference_logprobs_NR if is_fixed else sampling_logprobs_NR
        terms = clipped_policy_loss(
            logprobs_NR, old_logprobs_NR, advantages_NR, mask_NR, clip=clip, weights_NR=weights_NR
        )
    loss, kl = terms.loss, terms.approx_kl
    if penalty or options.old_policy == "reference":
        with_gradient = kl_to_present_policy(logprobs_NR, sampling_logprobs_NR, mask_NR, weights_NR)
        kl = with_gradient.detach()
        if penalty:
            loss = loss + penalty * with_gradient
    if entropy_weight:
        assert entropy_NR is not None
        loss = loss - entropy_weight * summed_entropy(entropy_NR, mask_NR, weights_NR)
    return PolicyLoss(loss=loss, clipped_tokens=terms.clipped_tokens, approx_kl=kl)
