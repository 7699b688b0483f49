"""Which examples go into which step: seeded, epoch by epoch, and resumable.

Pure functions of costs and seeds, so that every process of a run takes the same steps without talking to
the others, and a resumed run continues where it stopped.
"""

import bisect
import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from learning.interface.options import UserError

EVENLY = "evenly"  # in checkpoints: how an epoch was divided into steps


def epoch_permutation(count: int, *, seed: int, epoch: int) -> list[int]:
    """The numbers 0..count-1 in an order that depends on nothing but the arguments."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


def even_parts(count: int, largest: int) -> list[range]:
    """0..count-1 cut into as few parts of at most `largest` as there can be, whose sizes differ by at most one.

    Cutting full parts off the front would leave a last one of any size down to 1. Raises ValueError below 1.
    """
    if count < 1 or largest < 1:
        raise ValueError(f"count and largest must be at least 1, found {count} and {largest}")
    parts = -(-count // largest)
    bounds = [part * count // parts for part in range(parts + 1)]
    return [range(start, end) for start, end in zip(bounds, bounds[1:], strict=False)]


def balanced_parts(costs: Sequence[int], parts: int, *, smallest: int, largest: int) -> list[range]:
    """0..len(costs)-1 cut into this many parts, one behind another, each about the same share of the costs.

    No part holds fewer than `smallest` or more than `largest`, where that is possible at all; with equal costs sizes
    differ by at most one.
    """
    count = len(costs)
    smallest, largest = min(smallest, count // parts), max(largest, -(-count // parts))
    sums = list(itertools.accumulate(costs, initial=0))
    bounds = [0]
    for part in range(1, parts):
        left = parts - part
        # In whole numbers: sums[place] is to be near part / parts of all costs.
        place = bisect.bisect_left(sums, part * sums[-1], key=lambda value: value * parts)
        if place > 0 and part * sums[-1] - sums[place - 1] * parts <= sums[place] * parts - part * sums[-1]:
            place -= 1
        lowest = max(bounds[-1] + smallest, count - left * largest)
        highest = min(bounds[-1] + largest, count - left * smallest)
        bounds.append(min(max(place, lowest), highest))
    bounds.append(count)
    return [range(start, end) for start, end in itertools.pairwise(bounds)]


@dataclass(frozen=True, kw_only=True)
class StepBatchSize:
    """How many examples an optimizer step takes.

    `examples`: that many, and the last step of an epoch what is left. `even`: at most that many, all steps of an epoch
    within one of each other. `mean` (of examples) or `tokens` (about that many): as many steps an epoch as that takes,
    all with about the same number of tokens, between min_examples and max_examples examples.
    """

    examples: int | None = None
    even: int | None = None
    mean: int | None = None
    tokens: int | None = None
    min_examples: int = 1
    max_examples: int | None = None

    def __post_init__(self) -> None:
        given = [n for n in ("examples", "even", "mean", "tokens") if getattr(self, n) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of examples, even, mean and tokens, found {' and '.join(given) or 'none'}"
            )
        for name in ("examples", "even", "mean", "tokens", "min_examples", "max_examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, found {value}")

    def divide(self, costs: Sequence[int]) -> list[range]:
        """The steps of an epoch whose examples have these costs (tokens), in the order they are taken."""
        count = len(costs)
        if self.examples is not None:
            return [
                range(start, min(start + self.examples, count)) for start in range(0, count, self.examples)
            ]
        if self.even is not None:
            return even_parts(count, self.even)
        largest = self.max_examples or count
        wanted = -(-count // self.mean) if self.mean is not None else -(-sum(costs) // (self.tokens or 1))
        # Where the numbers of examples allow no division, the largest holds and the smallest gives way.
        parts = max(min(wanted, max(1, count // self.min_examples)), -(-count // largest))
        return balanced_parts(costs, parts, smallest=self.min_examples, largest=largest)


class EpochBatchSampler:
    """Takes the data epoch by epoch in seeded order, one optimizer step at a time; resumable.

    Every example is used once an epoch.
    """

    def __init__(self, costs: Sequence[int], *, seed: int, step_batch_size: StepBatchSize) -> None:
        if not costs:
            raise UserError("there is nothing to train on: the data has no examples")
        self._costs = list(costs)
        self._seed = seed
        self._step_batch_size = step_batch_size
        self.epoch = 0
        self.position = 0  # steps taken in this epoch
        self._plan = self._plan_epoch(0)

    @property
    def steps_per_epoch(self) -> int:
        return len(self._plan)

    def steps_for_epochs(self, epochs: int) -> int:
        """Steps of the first `epochs` epochs."""
        return epochs * len(self._plan)

    def next(self) -> list[int]:
        """Indices of the examples of the next step."""
        if self.position == len(self._plan):
            self.epoch += 1
            self.position = 0
            self._plan = self._plan_epoch(self.epoch)
        indices = self._plan[self.position]
        self.position += 1
        return list(indices)

    def state_dict(self) -> dict[str, Any]:
        state = {"epoch": self.epoch, "position": self.position, "examples": len(self._costs)}
        return state if self._step_batch_size.examples is not None else state | {"divided": EVENLY}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        _require_same_count(state["examples"], len(self._costs))
        if self._step_batch_size.examples is None and state.get("divided") != EVENLY:
            raise UserError(
                "the checkpoint was made by an earlier version, which divided an epoch into other steps; clone this run"
            )
        self.epoch, self.position = state["epoch"], state["position"]
        self._plan = self._plan_epoch(self.epoch)

    def _plan_epoch(self, epoch: int) -> list[list[int]]:
        order = epoch_permutation(len(self._costs), seed=self._seed, epoch=epoch)
        steps = self._step_batch_size.divide([self._costs[index] for index in order])
        return [[order[place] for place in step] for step in steps]


class ContinuousBatchSampler:
    """Takes the data epoch by epoch in seeded order, taking the same number of examples at every step.

    A step that reaches the end of an epoch goes on into the next one, skipping what it holds
    already: no example is twice in a step. All examples are used equally often, give or take one.
    Can be saved and resumed.
    """

    def __init__(self, count: int, *, seed: int, examples_per_step: int) -> None:
        if count < 1:
            raise UserError("there is nothing to train on: the data has no examples")
        self._count = count
        self._seed = seed
        self._size = min(examples_per_step, count)
        self._epochs_begun = 0
        self._pending: list[int] = []

    @property
    def examples_per_step(self) -> int:
        """How many a step takes: what was asked for, or all examples where they are fewer."""
        return self._size

    def next(self, examples: int | None = None) -> list[int]:
        """Indices of the examples of the next step; `examples` asks for another number this once."""
        size = self._size if examples is None else min(examples, self._count)
        if len(self._pending) < size:
            order = epoch_permutation(self._count, seed=self._seed, epoch=self._epochs_begun)
            self._epochs_begun += 1
            left = set(self._pending)
            fill = [index for index in order if index not in left][: size - len(left)]
            filled = set(fill)
            self._pending += fill + [index for index in order if index not in filled]
        step, self._pending = self._pending[:size], self._pending[size:]
        return step

    def draw(self, examples: int) -> list[int]:
        """So many indices whatever the set holds: a smaller set gives its examples again."""
        indices: list[int] = []
        while len(indices) < examples:
            indices += self.next(examples - len(indices))
        return indices

    def state_dict(self) -> dict[str, Any]:
        return {"epochs_begun": self._epochs_begun, "pending": list(self._pending), "examples": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        _require_same_count(state["examples"], self._count)
        self._epochs_begun, self._pending = state["epochs_begun"], list(state["pending"])


class ProportionalSampler:
    """Draws from a set in a fixed proportion to what is taken elsewhere, epoch by epoch in seeded order.

    After n examples elsewhere, floor(ratio * n + 1/2) of this set were drawn: the proportion is met to half an
    example over any stretch of a run, also where a single step is due less than one. A step that is due more than
    the set holds takes examples again, so that the proportion holds for small sets too. Can be saved and resumed.
    """

    def __init__(self, count: int, *, seed: int, ratio: Fraction) -> None:
        if ratio < 0:
            raise ValueError(f"ratio must be at least 0, found {ratio}")
        self._sampler = ContinuousBatchSampler(count, seed=seed, examples_per_step=count)
        self._ratio = ratio
        self._taken_elsewhere = 0
        self.drawn = 0

    def next(self, taken_elsewhere: int) -> list[int]:
        """Indices that are due once so many more were taken elsewhere; maybe none."""
        self._taken_elsewhere += taken_elsewhere
        due = math.floor(self._ratio * self._taken_elsewhere + Fraction(1, 2)) - self.drawn
        self.drawn += due
        return self._sampler.draw(due)

    def state_dict(self) -> dict[str, Any]:
        return {
            "sampler": self._sampler.state_dict(),
            "taken_elsewhere": self._taken_elsewhere,
            "drawn": self.drawn,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._sampler.load_state_dict(state["sampler"])
        self._taken_elsewhere, self.drawn = state["taken_elsewhere"], state["drawn"]


def exact_share(share: float) -> Fraction:
    """The share as people write it: 0.1 is one in ten, not the nearest binary number."""
    return Fraction(share).limit_denominator(1_000_000)


def _require_same_count(saved: int, present: int) -> None:
    if saved != present:
        raise UserError(
            f"the checkpoint was made with {saved} examples and the inputs have {present}; clone this run to start "
            "on other data"
        )
