"""Margins of other people's files as strengths, by a rule that the caller gives (--margins)."""

import math
from collections.abc import Mapping
from typing import Any

from annotation.importing.readers.fields import parse_number
from annotation.importing.rows import WHOLE_ROW, RowError

# The margins of Llama 2, table 27, by strength.
MARGIN_SCALES: Mapping[str, tuple[float, ...]] = {
    "small": (0.0, 1 / 3, 2 / 3, 1.0),
    "large": (0.0, 1.0, 2.0, 3.0),
}
# Files round them to two digits.
SCALE_TOLERANCE = 0.01


class Margins:
    """How a margin gives a strength, and how many rows had a margin with and without a rule.

    The rule is `small` or `large`, the scales of Llama 2, or A,B,C: the least margins of the strengths 1, 2 and 3.
    Raises RowError for another rule.
    """

    def __init__(self, rule: str | None = None) -> None:
        self.unread = self.read = 0
        self._rule = rule or ""
        self._least = _parse_least_margins(rule) if rule and rule not in MARGIN_SCALES else []

    @property
    def given(self) -> bool:
        return bool(self._rule)

    def noted(self) -> tuple[int, int]:
        return self.read, self.unread

    def note_also(self, noted: tuple[int, int]) -> None:
        self.read += noted[0]
        self.unread += noted[1]

    def strength(self, value: Any, column: str) -> int:
        """The strength of a margin. Raises RowError for one that the rule has not."""
        self.read += 1
        margin = parse_number(value, column)
        if margin < 0:
            raise RowError(
                column, f"is {margin:g}: the chosen response cannot be better by less than nothing"
            )
        if self._least:
            return sum(margin >= least for least in self._least)
        scale = MARGIN_SCALES[self._rule]
        for strength, exact in enumerate(scale):
            if abs(margin - exact) <= SCALE_TOLERANCE:
                return strength
        shown = ", ".join(f"{exact:.2g}" for exact in scale)
        raise RowError(column, f"is {margin:g}, which is not on the scale {self._rule} ({shown})")


def _parse_least_margins(rule: str) -> list[float]:
    try:
        least = [float(number) for number in rule.split(",")]
    except ValueError:
        least = []
    if len(least) != 3 or not all(map(math.isfinite, least)) or not 0 <= least[0] < least[1] < least[2]:
        raise RowError(
            WHOLE_ROW,
            f"{rule} is no rule: write small, large, or the least margins of the strengths 1, 2 and 3, as in 0.5,1,2",
        )
    return least
