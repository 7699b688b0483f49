"""How the examples of one step are split into forward passes: a token budget, as many passes on every rank.

A pure function of lengths: every process of a run computes the same plan without talking to the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from learning.batches.collation import Example
from learning.interface.training_options import Layout


@dataclass(frozen=True)
class ExampleSize:
    """How much of a forward pass an example takes: rows, and tokens of the longest of them."""

    rows: int
    tokens: int


@dataclass(frozen=True)
class MicroBatch:
    """Indices of the examples of one forward pass.

    A dummy repeats an example so that all ranks make the same number of passes (their gradients are
    exchanged pass by pass); its loss counts nothing.
    """

    indices: tuple[int, ...]
    is_dummy: bool = False


def example_size(example: Example, layout: Layout) -> ExampleSize:
    if layout == "shared_prompt":
        return ExampleSize(1, example.shared_prompt_tokens)
    return ExampleSize(len(example.response_ids), example.longest_row)


def micro_batches(
    shapes: Sequence[ExampleSize],
    indices: Iterable[int],
    *,
    max_tokens: int,
    rank: int = 0,
    world_size: int = 1,
) -> list[MicroBatch]:
    """Split one step's examples into forward passes of at most `max_tokens` tokens, padding counted.

    Examples of similar length go together. Every rank gets the same number of passes. An example larger
    than the budget is a pass of its own.
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
    planned = [MicroBatch(tuple(examples)) for examples in passes]
    while len(planned) % world_size:
        planned.append(MicroBatch((ordered[-1],), is_dummy=True))
    return planned[rank::world_size]
