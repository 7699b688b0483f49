"""What an annotator sees of a judgment: labels A to I, the eight-point scale, the shuffled order. Pure functions."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from learning.interface.text import gettext_noop

RESPONSE_LABELS = "ABCDEFGHI"
# Strength of a step between neighbouring tiers, in a sentence about two answers, and as people choose it: the last
# one is also for who is not sure. The four grades of Llama 2 (3.2.1: significantly better, better, slightly better,
# negligibly better / unsure) in words short enough for a phone's scale.
# In the site's own language: files are read by them. What people are shown is gettext of them.
STRENGTH_NAMES = {
    3: gettext_noop("much better"),
    2: gettext_noop("better"),
    1: gettext_noop("a little better"),
    0: gettext_noop("barely better"),
}
STRENGTH_CHOICES = STRENGTH_NAMES | {0: gettext_noop("barely better / unsure")}
NO_STRENGTH = gettext_noop("no strength given")
# Between two answers: "A ... B".
THAN = {
    3: gettext_noop("much better than"),
    2: gettext_noop("better than"),
    1: gettext_noop("a little better than"),
    0: gettext_noop("barely better than"),
}
# 1 is "A much better", 8 is "B much better": the label put first and the strength.
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


def marks_by_label(order_shown: Sequence[int], marks: Mapping[str, Any]) -> dict[str, Any]:
    """Marks by response key as marks by the labels under which this annotator saw them."""
    labels = labels_to_responses(order_shown).items()
    return {label: marks[str(key)] for label, key in labels if str(key) in marks}


def describe_step(strength: int | None) -> str:
    """What was said of a step, in words that stand between its two tiers."""
    if strength is None:
        return f"{THAN[2]} ({NO_STRENGTH})"
    return THAN[strength] + (" (or unsure)" if strength == 0 else "")


def order_to_scale(tiers: Sequence[Sequence[str]], strengths: Sequence[int | None]) -> int | None:
    """The point on the eight-point scale of an order of two responses; 0 is a tie, None is on no point: nobody said how
    much better the one is.

    >>> order_to_scale([["B"], ["A"]], [3])
    8
    """
    if len(tiers) == 1:
        return TIE
    if strengths[0] is None:
        return None
    return 4 - strengths[0] if tiers[0][0] == "A" else 5 + strengths[0]
