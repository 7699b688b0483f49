"""What GRPO is beside the other policy gradients: advantages of a group, and a KL term in the loss."""

import math

import numpy as np
import pytest
import torch

from policy_training.training.policy_gradient.config import PolicyGradientOptions
from policy_training.training.policy_gradient.losses import (
    count_units,
    policy_gradient_loss,
    response_advantages,
)


def test_group_advantages_are_those_of_the_paper_and_equal_rewards_teach_nothing():
    """DeepSeekMath, 4.1.2: A_i = (r_i - mean(r)) / std(r), in each group."""
    almost = float(
        np.nextafter(np.float32(2.3456789), np.float32(3))
    )  # the next float32: rounding, no difference
    rewards = np.array(
        [
            [1.0, 2.0, 4.0],
            [0.3, 0.3, 0.3],
            [-1e6, -1e6 + 1, -1e6 + 2],
            [2.3456789, 2.3456789, almost],
            [1e-6, 2e-6, 4e-6],
        ]
    )
    options = PolicyGradientOptions(advantage="group_standardized")
    found = response_advantages(torch.tensor(rewards.ravel()), options, samples_per_prompt=3).view(5, 3)
    for row in (0, 2, 4):
        expected = (rewards[row] - rewards[row].mean()) / rewards[row].std()
        assert found[row].numpy() == pytest.approx(expected, abs=1e-9)
    assert found[1].tolist() == found[3].tolist() == [0.0, 0.0, 0.0]


def test_the_grpo_loss_is_equation_3_with_the_kl_of_equation_4():
    rng = np.random.default_rng(1)
    lengths, clip, beta = [3, 1, 4], 0.2, 0.04
    old, new, reference = (rng.normal(-1.5, 0.4, (3, 4)) for _ in range(3))
    advantages = np.array([1.2, -0.7, 0.4])
    mask_NR = torch.arange(4) < torch.tensor(lengths)[:, None]
    options = PolicyGradientOptions(
        advantage="group_standardized",
        objective="ratio",
        clip_range=clip,
        averaging="tokens_of_each",
        kl_loss_coefficient=beta,
    )
    new_NR = torch.tensor(new, requires_grad=True)
    terms = policy_gradient_loss(
        torch.where(mask_NR, new_NR, torch.full_like(new_NR, math.nan)),
        torch.tensor(old),
        torch.tensor(reference),
        torch.tensor(advantages)[:, None].expand(3, 4),
        mask_NR,
        options,
    )
    objective = 0.0
    for i, length in enumerate(lengths):
        for t in range(length):
            ratio = math.exp(new[i, t] - old[i, t])
            surrogate = min(ratio * advantages[i], min(max(ratio, 1 - clip), 1 + clip) * advantages[i])
            to_reference = math.exp(reference[i, t] - new[i, t])
            kl = to_reference - math.log(to_reference) - 1
            objective += (surrogate - beta * kl) / length
    assert float(terms.loss.detach()) / count_units(mask_NR, options) == pytest.approx(
        -objective / 3, abs=1e-12
    )
    terms.loss.backward()
    assert torch.isfinite(new_NR.grad).all() and not new_NR.grad[~mask_NR].any()
