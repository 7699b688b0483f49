"""Rewards that a function gives to the steps of a response, at the tokens where these steps end.

Suffixes: N responses, R response tokens (right-padded).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from learning.models.tokenization import decode_response

CharacterReward = tuple[int, float]  # characters of the response's text up to the step's end, and its reward
TokenReward = tuple[int, float]  # place of a token in the response, and its reward


def at_tokens(
    tokenizer: Any, token_ids: Sequence[int], steps: Sequence[CharacterReward]
) -> list[TokenReward]:
    """Each reward at the token that completes its step: the first with which the text is so long."""
    if not steps:
        return []
    lengths = [len(decode_response(tokenizer, token_ids[: count + 1])) for count in range(len(token_ids))]
    last = len(token_ids) - 1
    return [
        (next((place for place, length in enumerate(lengths) if length >= end), last), reward)
        for end, reward in steps
    ]


def spread_over_tokens(rewards: Sequence[Sequence[TokenReward]], is_response_NR: Tensor) -> Tensor:
    """(N, R) float32: what the steps of each response give where they end, 0 elsewhere."""
    values_NR = torch.zeros(is_response_NR.shape, dtype=torch.float32)
    for row, own in enumerate(rewards):
        for place, reward in own:
            values_NR[row, place] += reward
    return values_NR.to(is_response_NR.device)
