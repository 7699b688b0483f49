"""What an annotator sees of a judgment: labels A to I, the eight-point scale, the shuffled order. Pure functions."""

import random
from collections.abc import Sequence

RESPONSE_LABELS = "ABCDEFGHI"
# Strength of a step between neighbouring tiers, as people read it.
STRENGTH_NAMES = {3: "significantly better", 2: "better", 1: "slightly better", 0: "negligibly better"}
# 1 is "A significantly better", 8 is "B significantly better": the label put first and the strength.
SCALE_POINTS = {
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


def shuffle_responses(keys: Sequence[int], seed: int) -> list[int]:
    """The order in which an annotator sees the responses: a function of the seed alone."""
    return random.Random(seed).sample(list(keys), len(keys))


def labels_to_responses(order_shown: Sequence[int]) -> dict[str, int]:
    """Label -> response key; A is what was shown first."""
    return dict(zip(RESPONSE_LABELS, order_shown, strict=False))


def tiers_to_labels(order_shown: Sequence[int], tiers: Sequence[Sequence[int]]) -> list[list[str]]:
    """Tiers of response keys as tiers of the labels under which this annotator saw them."""
    label_of = {key: label for label, key in labels_to_responses(order_shown).items()}
    return [[label_of[key] for key in tier] for tier in tiers]


def order_to_scale(tiers: Sequence[Sequence[str]], strengths: Sequence[int]) -> int:
    """The point on the eight-point scale of an order of two responses; 0 is a tie.

    >>> order_to_scale([["B"], ["A"]], [3])
    8
    """
    if len(tiers) == 1:
        return TIE
    return 4 - strengths[0] if tiers[0][0] == "A" else 5 + strengths[0]
