"""What PPO logs of its responses beside the losses: perplexity, values, advantages, returns, repeated words.

Suffixes: M response tokens of several micro-batches in one row.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from policy_training.training.rollouts.advantages import AllReduceSum, no_reduce

N_GRAMS = (1, 2, 3)
HISTOGRAM_SCORES = 512  # of one evaluation that are written at most


def distinct_n_grams(responses: Sequence[Sequence[int]], n: int) -> float | None:
    """Different n-grams divided by all n-grams of the responses together (Li et al. 2016: distinct-n), in tokens.

    None where no response has n tokens.
    """
    seen: set[tuple[int, ...]] = set()
    total = 0
    for ids in responses:
        for start in range(len(ids) - n + 1):
            seen.add(tuple(ids[start : start + n]))
            total += 1
    return len(seen) / total if total else None


def perplexity(logprob_sum: float, tokens: float) -> float:
    """exp(-mean log-probability of a token); the sum is in nats."""
    return math.exp(-logprob_sum / tokens) if tokens else 1.0


def distinct_metrics(responses: Sequence[Sequence[int]]) -> dict[str, float]:
    found = {f"distinct_{n}": distinct_n_grams(responses, n) for n in N_GRAMS}
    return {name: share for name, share in found.items() if share is not None}


def spread_metrics(
    values: Mapping[str, Tensor], *, all_reduce_sum: AllReduceSum = no_reduce
) -> dict[str, float]:
    """NAME_mean and NAME_std (of the population) of each (M,) over all ranks; nothing of no tokens.

    In two passes, so that a spread that is small beside its mean is not lost to rounding.
    """
    found: dict[str, float] = {}
    for name, values_M in values.items():
        exact_M = values_M.double()
        total = all_reduce_sum(torch.stack([exact_M.sum(), exact_M.new_tensor(float(exact_M.numel()))]))
        if not float(total[1]):
            continue
        mean = total[0] / total[1]
        variance = all_reduce_sum((exact_M - mean).square().sum()) / total[1]
        found |= {f"{name}_mean": float(mean), f"{name}_std": math.sqrt(float(variance))}
    return found


def thinned(scores: Sequence[float], limit: int = HISTOGRAM_SCORES) -> list[float]:
    """The scores in ascending order, to 4 digits; of more than `limit` evenly spaced ones, the ends among them."""
    ordered = sorted(scores)
    if len(ordered) > limit:
        places = torch.linspace(0, len(ordered) - 1, limit, dtype=torch.float64).round().long()
        ordered = [ordered[place] for place in places.tolist()]
    return [float(f"{score:.4g}") for score in ordered]
