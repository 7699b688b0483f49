"""Advantages and returns of sampled responses: pure functions on tensors.

Suffixes: N responses, R response tokens (right-padded). `is_response_NR` is True on the tokens of a response; it is
made from lengths, so a pad token inside a response still counts. Nothing here knows models or files.
"""

from collections.abc import Callable

import torch
from torch import Tensor

AllReduceSum = Callable[[Tensor], Tensor]


def no_reduce(total: Tensor) -> Tensor:
    """The sum over ranks where there is one rank."""
    return total


def compute_gae(
    rewards_NR: Tensor, values_NR: Tensor, is_response_NR: Tensor, *, gamma: float, gae_lambda: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16) and the returns it implies.

    delta_t = r_t + gamma V_{t+1} - V_t with V = 0 after the last token,
    A_t = delta_t + gamma lambda A_{t+1}, return_t = A_t + V_t.

    `values_NR[:, t]` is the value of the state in which token t is chosen. Returns (advantages, returns),
    both (N, R) and zero off the response. Rewards and values off the response are never read, so garbage (NaN
    too) there is harmless. Raises ValueError when the shapes differ.
    """
    if not rewards_NR.shape == values_NR.shape == is_response_NR.shape:
        raise ValueError(
            f"rewards {tuple(rewards_NR.shape)}, values {tuple(values_NR.shape)} and mask "
            f"{tuple(is_response_NR.shape)} must have one shape"
        )
    zero = torch.zeros((), dtype=rewards_NR.dtype, device=rewards_NR.device)
    rewards_NR = torch.where(is_response_NR, rewards_NR, zero)
    values_NR = torch.where(is_response_NR, values_NR, zero)
    advantages_NR = torch.zeros_like(rewards_NR)
    next_value_N = torch.zeros_like(rewards_NR[:, 0])
    next_advantage_N = torch.zeros_like(next_value_N)
    for t in reversed(range(rewards_NR.shape[1])):
        delta_N = rewards_NR[:, t] + gamma * next_value_N - values_NR[:, t]
        # Past the end every delta is zero, so the recursion needs no mask of its own.
        next_advantage_N = delta_N + gamma * gae_lambda * next_advantage_N
        next_value_N = values_NR[:, t]
        advantages_NR[:, t] = next_advantage_N
    returns_NR = advantages_NR + values_NR
    return advantages_NR, returns_NR


def whiten(values: Tensor, is_counted: Tensor, *, all_reduce_sum: AllReduceSum = no_reduce) -> Tensor:
    """Scale to variance 1 and shift to mean 0, over the counted entries of all ranks.

    The variance is the population's (divided by the count). Computed in float64 in two passes, because one
    pass over E[x^2] - E[x]^2 loses everything when the mean is large. A constant input gives 0; off the mask
    the result is 0. `all_reduce_sum` adds a tensor over ranks.
    """
    exact = torch.where(
        is_counted, values.double(), torch.zeros((), dtype=torch.float64, device=values.device)
    )
    total = all_reduce_sum(torch.stack([exact.sum(), is_counted.sum().double()]))
    count = total[1].clamp(min=1.0)
    mean = total[0] / count
    centered = torch.where(is_counted, exact - mean, torch.zeros_like(exact))
    variance = all_reduce_sum(centered.square().sum()) / count
    # What is left of a constant after rounding must not be blown up to variance 1.
    is_constant = variance <= (1e-12 * mean.abs()).square() + 1e-30
    scale = torch.where(is_constant, torch.zeros_like(variance), variance.clamp(min=1e-30).rsqrt())
    return (centered * scale).to(values.dtype)


def explained_variance(
    values_NR: Tensor,
    returns_NR: Tensor,
    is_response_NR: Tensor,
    *,
    all_reduce_sum: AllReduceSum = no_reduce,
) -> float:
    """1 - Var(returns - values) / Var(returns) over the response tokens of all ranks: 1 is perfect, 0 a constant
    critic.

    NaN where the returns do not vary: then there is nothing to explain. A rank may have no token.
    """
    returns = returns_NR[is_response_NR].double()
    residual = returns - values_NR[is_response_NR].double()
    pair_2M = torch.stack([returns, residual])
    total = all_reduce_sum(torch.cat([pair_2M.sum(1), pair_2M.new_tensor([float(len(returns))])]))
    if not float(total[2]):
        return float("nan")
    means_2 = total[:2] / total[2]
    variance, left = all_reduce_sum((pair_2M - means_2[:, None]).square().sum(1)) / total[2]
    return float(1.0 - left / variance) if float(variance) > 1e-12 else float("nan")
