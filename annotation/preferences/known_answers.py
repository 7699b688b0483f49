"""Whether a judgment says what is known of a task. Pure functions; items are whatever tiers are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annotation.preferences.weak_orders import compare, pair_strength


@dataclass(frozen=True)
class Order:
    tiers: Sequence[Sequence[Any]]
    strengths: Sequence[int | None]


@dataclass(frozen=True)
class KnownAnswer:
    """`tolerance`: by how many places of the scale a pair may be off, a tie being one place from a pair that is barely
    better; None: which of the two is better is enough. `least_pairs`: the share of its pairs that must be right.
    """

    orders: Sequence[Order]  # one of them
    tolerance: int | None = None
    least_pairs: float = 1.0


def is_right(said: Order, known: KnownAnswer) -> bool:
    return any(_is_close(said, order, known) for order in known.orders)


def _is_close(said: Order, order: Order, known: KnownAnswer) -> bool:
    mine, theirs = _places(said), _places(order)
    pairs = list(combinations(sorted(theirs), 2))
    right = sum(_is_pair_right(mine, theirs, said, order, pair, known.tolerance) for pair in pairs)
    # Of three pairs two are 0.666..., which is enough for 2/3 however that was written.
    return right >= known.least_pairs * len(pairs) - 1e-6


def _places(order: Order) -> dict[Any, int]:
    return {item: rank for rank, tier in enumerate(order.tiers) for item in tier}


def _is_pair_right(
    mine: Mapping[Any, int],
    theirs: Mapping[Any, int],
    said: Order,
    order: Order,
    pair: tuple[Any, Any],
    tolerance: int | None,
) -> bool:
    first, second = pair
    signs = [compare(places[second], places[first]) for places in (mine, theirs)]
    if tolerance is None:
        return signs[0] == signs[1]
    given = [_strength(places, one.strengths, pair) for places, one in ((mine, said), (theirs, order))]
    if None in given:  # nobody said how much better: which one is better has to do
        return signs[0] == signs[1]
    # -4 .. -1 the second is better, 0 a tie, 1 .. 4 the first.
    scale = [sign * (strength + 1) if sign else 0 for sign, strength in zip(signs, given, strict=True)]  # type: ignore[operator]
    return abs(scale[0] - scale[1]) <= tolerance


def _strength(
    places: Mapping[Any, int], strengths: Sequence[int | None], pair: tuple[Any, Any]
) -> int | None:
    upper, lower = sorted(places[item] for item in pair)
    return 0 if upper == lower else pair_strength(strengths, upper, lower)
