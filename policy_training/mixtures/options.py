"""Prompt sets with shares: how many prompts each of them gives, and in which order. Pure; no prompt is looked at.

A training on 20,000 helpful and 8,000 harmless queries (Secrets of RLHF I, 5.1) is two sets by numbers, or by the
weights 5 and 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

REFUSE: Final = "refuse"
TOP_UP: Final = "top_up"
REPEAT: Final = "repeat"
WhenShort = Literal["refuse", "top_up", "repeat"]


@dataclass(frozen=True, kw_only=True)
class SetShare:
    """A prompt set by its name, and how much of a mixture it gives: a weight, or a number of prompts."""

    prompt_set: str
    weight: float | None = None
    prompts: int | None = None

    def __post_init__(self) -> None:
        if not self.prompt_set:
            raise ValueError("prompt_set is empty, it must be the name of a prompt set")
        if (self.weight is None) == (self.prompts is None):
            raise ValueError(
                f"“{self.prompt_set}” needs a weight or a number of prompts, and not both "
                f"(found weight {self.weight}, prompts {self.prompts})"
            )
        if self.weight is not None and not 0 < self.weight <= 1e9:
            raise ValueError(
                f"the weight of “{self.prompt_set}” is {self.weight:g}, it must be above 0 and at most 1e9"
            )
        if self.prompts is not None and self.prompts < 1:
            raise ValueError(f"the prompts of “{self.prompt_set}” are {self.prompts}, at least 1 is needed")


@dataclass(frozen=True, kw_only=True)
class PromptMixture:
    """Several prompt sets, all by weights or all by numbers; none: there is no mixture.

    A prompt that is in several of the sets counts to the first that is named.
    """

    sets: tuple[SetShare, ...] = ()
    # By weights: how many in all. None: as many as the smallest set allows.
    prompts: int | None = None
    # A set with fewer prompts than its share: nothing begins (`refuse`); the other sets give what it lacks, by their
    # weights (`top_up`); prompts that earlier rounds sampled are taken again (`repeat`).
    when_short: WhenShort = REFUSE

    def __post_init__(self) -> None:
        names = [share.prompt_set for share in self.sets]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the prompt set “{twice[0]}” stands in the mixture twice")
        if len({share.weight is None for share in self.sets}) > 1:
            raise ValueError("a mixture gives weights to all of its sets, or numbers of prompts to all")
        if self.prompts is not None and (not self.sets or self.by_numbers):
            raise ValueError(
                f"prompts is {self.prompts}: it belongs to a mixture by weights (numbers of sets say it already)"
            )
        if self.prompts is not None and self.prompts < 1:
            raise ValueError(f"prompts is {self.prompts}, it must be at least 1")

    def __bool__(self) -> bool:
        return bool(self.sets)

    @property
    def by_numbers(self) -> bool:
        return bool(self.sets) and self.sets[0].prompts is not None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(share.prompt_set for share in self.sets)

    @property
    def weights(self) -> list[Fraction]:
        """Of the sets: their weights, or their numbers."""
        return [
            Fraction(share.weight if share.weight is not None else share.prompts or 0) for share in self.sets
        ]

    @property
    def total(self) -> int | None:
        """How many prompts are asked for; None: as many as there may be."""
        return sum(share.prompts or 0 for share in self.sets) if self.by_numbers else self.prompts


def quotas(total: int, weights: Sequence[Fraction]) -> list[int]:
    """`total` in parts as the weights have it, by largest remainders; equal remainders go to the first.

    The parts sum to `total`, and each differs from its exact share by less than 1.
    """
    in_all = sum(weights, Fraction(0))
    exact = [total * weight / in_all for weight in weights]
    parts = [int(share) for share in exact]
    by_remainder = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in by_remainder[: total - sum(parts)]:
        parts[i] += 1
    return parts


def topped_up(total: int, weights: Sequence[Fraction], available: Sequence[int]) -> list[int]:
    """Quotas of which none is above what is available: the others give what one lacks, by their weights.

    Everything where all together have less than `total`.
    """
    parts = [0] * len(weights)
    is_open = [count > 0 for count in available]
    while any(is_open) and (missing := total - sum(parts)) > 0:
        chosen = [i for i, still in enumerate(is_open) if still]
        wanted = quotas(missing, [weights[i] for i in chosen])
        short = [i for i, part in zip(chosen, wanted, strict=True) if part >= available[i]]
        if not short:
            for i, part in zip(chosen, wanted, strict=True):
                parts[i] = part
            break
        for i in short:
            parts[i], is_open[i] = available[i], False
    return parts


def largest_total(weights: Sequence[Fraction], available: Sequence[int]) -> int:
    """The most prompts in all of which every set has its exact share."""
    in_all = sum(weights, Fraction(0))
    return int(min(has * in_all / weight for weight, has in zip(weights, available, strict=True)))


def interleaved(counts: Sequence[int]) -> list[int]:
    """The indices of the sets, `counts` of each, spread evenly: any beginning has about the shares of the whole."""
    places = [
        ((2 * number + 1) / (2 * count), i) for i, count in enumerate(counts) for number in range(count)
    ]
    return [i for _, i in sorted(places)]
