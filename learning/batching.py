"""Which examples go into which step and which forward pass: shuffles, cursors, token budgets, ranks, windows.

Everything here is a pure function of lengths and seeds, so that every process of a run computes the same plan
without talking to the others, and a resumed run continues the plan it left.
"""

import bisect
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from learning.interface.options import UserError
from learning.interface.training_options import Layout
from learning.packing import Example


@dataclass(frozen=True)
class Shape:
    """How much of a forward pass an example takes: rows, and tokens of the longest of them."""

    rows: int
    tokens: int


@dataclass(frozen=True)
class MicroBatch:
    """Indices of the examples of one forward pass.

    A filler repeats an example so that all ranks make the same number of passes (their gradients are exchanged
    pass by pass); its loss counts nothing.
    """

    indices: tuple[int, ...]
    is_filler: bool = False


def shape_of(example: Example, layout: Layout) -> Shape:
    if layout == "packed":
        return Shape(1, example.packed_tokens)
    return Shape(len(example.responses_ids), example.longest_row)


def micro_batches(
    shapes: Sequence[Shape], indices: Iterable[int], *, max_tokens: int, rank: int = 0, world_size: int = 1
) -> list[MicroBatch]:
    """Split one step's examples into forward passes of at most `max_tokens` tokens, padding counted.

    Examples of similar length go together. Every rank gets the same number of passes. An example larger than the
    budget is a pass of its own.
    """
    ordered = sorted(indices, key=lambda index: (-shapes[index].tokens, index))
    if not ordered:
        raise ValueError("a step needs at least one example")
    most_examples = -(-len(ordered) // world_size)  # so that no rank idles while another has several examples
    passes: list[list[int]] = []
    rows = 0
    for index in ordered:
        # The longest example comes first, so it alone decides the width of the pass.
        fits = passes and (rows + shapes[index].rows) * shapes[passes[-1][0]].tokens <= max_tokens
        if fits and len(passes[-1]) < most_examples:
            passes[-1].append(index)
            rows += shapes[index].rows
        else:
            passes.append([index])
            rows = shapes[index].rows
    planned = [MicroBatch(tuple(one)) for one in passes]
    while len(planned) % world_size:
        planned.append(MicroBatch((ordered[-1],), is_filler=True))
    return planned[rank::world_size]


def shuffled(count: int, *, seed: int, epoch: int) -> list[int]:
    """The numbers 0..count-1 in an order that depends on nothing but the arguments."""
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order


@dataclass(frozen=True, kw_only=True)
class StepSize:
    """How many examples an optimiser step takes: a number, or a budget of tokens between two numbers."""

    examples: int | None = None
    tokens: int | None = None
    min_examples: int = 1
    max_examples: int | None = None

    def __post_init__(self) -> None:
        if (self.examples is None) == (self.tokens is None):
            raise ValueError(f"give either examples or tokens, found {self.examples} and {self.tokens}")
        for name in ("examples", "tokens", "min_examples", "max_examples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, found {value}")


class DataCursor:
    """Walks over the data epoch by epoch in seeded order, one optimiser step at a time; can be saved and resumed.

    The last step of an epoch may be smaller; every example is used once an epoch.
    """

    def __init__(self, costs: Sequence[int], *, seed: int, step_size: StepSize) -> None:
        if not costs:
            raise UserError("there is nothing to train on: the data has no examples")
        self._costs = list(costs)
        self._seed = seed
        self._step_size = step_size
        self.epoch = 0
        self.position = 0  # steps taken in this epoch
        self._plan = self._plan_epoch(0)

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the present epoch (with a token budget, epochs may differ by a step or two)."""
        return len(self._plan)

    def steps_in(self, epochs: int) -> int:
        """Steps of the first `epochs` epochs."""
        if self._step_size.examples is not None:
            return epochs * len(self._plan)
        return sum(len(self._plan_epoch(epoch)) for epoch in range(epochs))

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
        return {"epoch": self.epoch, "position": self.position, "examples": len(self._costs)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        _require_same_count(state["examples"], len(self._costs))
        self.epoch, self.position = state["epoch"], state["position"]
        self._plan = self._plan_epoch(self.epoch)

    def _plan_epoch(self, epoch: int) -> list[list[int]]:
        order = shuffled(len(self._costs), seed=self._seed, epoch=epoch)
        size = self._step_size
        if size.examples is not None:
            return [order[start : start + size.examples] for start in range(0, len(order), size.examples)]
        assert size.tokens is not None
        most = size.max_examples or len(order)
        steps: list[list[int]] = [[]]
        tokens = 0
        for index in order:
            full = tokens + self._costs[index] > size.tokens and len(steps[-1]) >= size.min_examples
            if steps[-1] and (full or len(steps[-1]) >= most):
                steps.append([])
                tokens = 0
            steps[-1].append(index)
            tokens += self._costs[index]
        return steps


class SteadyCursor:
    """Walks over the data epoch by epoch in seeded order, taking the same number of examples at every step.

    A step that reaches the end of an epoch goes on into the next one, passing over what it holds already: no example
    is twice in a step. All examples are used equally often, give or take one. Can be saved and resumed.
    """

    def __init__(self, count: int, *, seed: int, examples_a_step: int) -> None:
        if count < 1:
            raise UserError("there is nothing to train on: the data has no examples")
        self._count = count
        self._seed = seed
        self._size = min(examples_a_step, count)
        self._epochs_begun = 0
        self._pending: list[int] = []

    def next(self) -> list[int]:
        """Indices of the examples of the next step."""
        if len(self._pending) < self._size:
            fresh = shuffled(self._count, seed=self._seed, epoch=self._epochs_begun)
            self._epochs_begun += 1
            left = set(self._pending)
            fill = [index for index in fresh if index not in left][: self._size - len(left)]
            filled = set(fill)
            self._pending += fill + [index for index in fresh if index not in filled]
        step, self._pending = self._pending[: self._size], self._pending[self._size :]
        return step

    def state_dict(self) -> dict[str, Any]:
        return {"epochs_begun": self._epochs_begun, "pending": list(self._pending), "examples": self._count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        _require_same_count(state["examples"], self._count)
        self._epochs_begun, self._pending = state["epochs_begun"], list(state["pending"])


def _require_same_count(saved: int, present: int) -> None:
    if saved != present:
        raise UserError(
            f"the checkpoint was made with {saved} examples and the inputs have {present}; clone this run to start "
            "on other data"
        )


def pack_windows(lengths: Sequence[int], window_tokens: int) -> list[list[int]]:
    """Put sequences into windows of `window_tokens`, none cut, by best fit on decreasing length.

    (Best fit wastes little room and cuts nothing: Ding et al. 2024, "Fewer Truncations Improve Language Modeling".)
    Raises UserError for a sequence longer than a window.
    """
    windows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, -window), sorted
    for index in sorted(range(len(lengths)), key=lambda one: (-lengths[one], one)):
        length = lengths[index]
        if length > window_tokens:
            raise UserError(
                f"sequence {index + 1} has {length} tokens and the windows hold {window_tokens}; "
                "use longer windows or cut it"
            )
        place = bisect.bisect_left(room, (length, -len(windows)))
        if place < len(room):
            free, negative = room.pop(place)
            windows[-negative].append(index)
        else:
            free, negative = window_tokens, -len(windows)
            windows.append([index])
        bisect.insort(room, (free - length, negative))
    return windows


def cut_document(token_ids: Sequence[int], window_tokens: int) -> list[Example]:
    """A plain text as examples of at most `window_tokens`: every token but the first of a piece is trained on.

    Pieces overlap by one token, so that every token after the very first is predicted once.
    """
    if window_tokens < 2:
        raise ValueError(f"window_tokens must be at least 2, found {window_tokens}")
    return [
        Example(token_ids[start : start + 1], [token_ids[start + 1 : start + window_tokens]])
        for start in range(0, len(token_ids) - 1, window_tokens - 1)
    ]
