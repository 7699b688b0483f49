"""Reward functions that come with the program.

A reward function takes the prompts (each a list of {"role", "content"} messages) and as many response texts, and
returns one finite number a response, in their order. It runs in a process of its own, without torch. For rewards of the
steps of a response it returns, in place of the number, a list of pairs: how many characters of the response there are
up to the end of the step, and the step's reward.
"""

from collections.abc import Sequence

CHARACTERS_A_POINT = 100


def length_penalty(prompts: Sequence[Sequence[dict[str, str]]], responses: Sequence[str]) -> list[float]:
    """Minus the length of the response, in hundreds of characters: one point less for every 100.

    Characters and not words, so that it means the same for languages without spaces.
    """
    return [-len(response) / CHARACTERS_A_POINT for response in responses]
