"""Weak orders: tiers, strengths, the handles an annotator sees, and the eight-point scale. Pure functions."""

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import BadAnswer
from annotation.texts import check_storable

HANDLES = "ABCDEFGHI"
STRENGTHS = (0, 1, 2, 3)
# Strength of a step between neighbouring tiers, as people read it.
STRENGTH_NAMES = {3: "significantly better", 2: "better", 1: "slightly better", 0: "negligibly better"}
# 1 is "A significantly better", 8 is "B significantly better": the handle put first and the strength.
SCALE = {
    1: ("A", 3),
    2: ("A", 2),
    3: ("A", 1),
    4: ("A", 0),
    5: ("B", 0),
    6: ("B", 1),
    7: ("B", 2),
    8: ("B", 3),
}
TIE = 0
MAX_SECONDS = 86_400  # of one day: nobody thinks longer about one task


def shuffled(keys: Sequence[int], seed: int) -> list[int]:
    """The order in which an annotator sees the responses: a function of the seed alone."""
    return random.Random(seed).sample(list(keys), len(keys))


def handles_of(order_shown: Sequence[int]) -> dict[str, int]:
    """Handle -> response key; A is what was shown first."""
    return dict(zip(HANDLES, order_shown, strict=False))


def to_handles(order_shown: Sequence[int], tiers: Sequence[Sequence[int]]) -> list[list[str]]:
    """Tiers of response keys as tiers of the handles under which this annotator saw them."""
    handle_of = {key: handle for handle, key in handles_of(order_shown).items()}
    return [[handle_of[key] for key in tier] for tier in tiers]


def order_of_scale(value: int) -> tuple[list[list[str]], list[int]]:
    """(tiers, strengths) of a point on the eight-point scale; 0 is a tie.

    >>> order_of_scale(8)
    ([['B'], ['A']], [3])
    """
    if value == TIE:
        return [["A", "B"]], []
    if value not in SCALE:
        raise BadAnswer(f"{value} is not on the scale: it runs from 1 to 8, and 0 is a tie.")
    first, strength = SCALE[value]
    second = "B" if first == "A" else "A"
    return [[first], [second]], [strength]


def scale_of_order(tiers: Sequence[Sequence[str]], strengths: Sequence[int]) -> int:
    """The inverse of order_of_scale for two responses."""
    if len(tiers) == 1:
        return TIE
    return 4 - strengths[0] if tiers[0][0] == "A" else 5 + strengths[0]


def check_order(
    tiers: Any, strengths: Any, items: Sequence[Any], *, allow_ties: bool
) -> tuple[list[list[Any]], list[int]]:
    """Tiers as a partition of `items` into non-empty lists, and one strength a step.

    Raises BadAnswer with one sentence. Within a tier the order carries no meaning; it is kept in that of
    `items`.
    """
    if not isinstance(tiers, list) or not all(isinstance(tier, list) and tier for tier in tiers):
        raise BadAnswer("The tiers must be a list of lists, none of them empty.")
    flat = [item for tier in tiers for item in tier]
    place = {item: number for number, item in enumerate(items)}
    if not all(isinstance(item, int | str) for item in flat) or sorted(map(str, flat)) != sorted(
        map(str, items)
    ):
        raise BadAnswer("Every response must be placed exactly once.")
    if any(item not in place for item in flat):
        raise BadAnswer("Every response must be placed exactly once.")
    if not allow_ties and any(len(tier) > 1 for tier in tiers):
        raise BadAnswer(
            "This project does not allow ties: put one response above the other.", code="tie_refused"
        )
    if not isinstance(strengths, list) or len(strengths) != len(tiers) - 1:
        raise BadAnswer("Each step between neighbouring tiers needs one strength.")
    if any(isinstance(value, bool) or value not in STRENGTHS for value in strengths):
        raise BadAnswer("A strength is 0, 1, 2 or 3.")
    return [sorted(tier, key=place.__getitem__) for tier in tiers], list(strengths)


def check_seconds(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise BadAnswer("The seconds must be a number.")
    if not 0 <= seconds <= MAX_SECONDS:
        raise BadAnswer("The seconds must be between 0 and those of a day.")
    return float(seconds)


def check_marks(marks: Any, items: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Marks by item: {item: {name: number, text or truth value}}; items without marks are left out."""
    if not isinstance(marks, Mapping):
        raise BadAnswer("Marks must be given by response.")
    for item, values in marks.items():
        if item not in items or not isinstance(values, Mapping):
            raise BadAnswer("Marks must be given by response.")
        for name, value in values.items():
            if not isinstance(name, str) or len(name) > 60 or not isinstance(value, str | int | float | bool):
                raise BadAnswer("A mark is a short name with a number, a word or yes/no.")
    return {item: check_storable(dict(values), "A mark") for item, values in marks.items() if values}


def check_flags(flags: Any) -> list[str]:
    flags = list(flags) if isinstance(flags, list | tuple) else None
    if flags is None or len(flags) > 20 or not all(isinstance(f, str) and 0 < len(f) <= 60 for f in flags):
        raise BadAnswer("Flags are at most 20 short words.")
    return check_storable(list(dict.fromkeys(flags)), "A flag")
