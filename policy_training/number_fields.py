"""Several numbers in one field of a form, and a weight for each of several things."""

import math
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext

from workspace.errors import ActionError


class NumbersField(forms.CharField):
    """Numbers with spaces or commas between them. Cleaned: a list of float."""

    def __init__(self, **described: Any) -> None:
        super().__init__(required=False, max_length=200, **described)

    def clean(self, value: Any) -> list[float]:
        text = super().clean(value)
        try:
            found = [float(part) for part in text.replace(",", " ").replace(";", " ").split()]
        except ValueError:
            found = [math.nan]
        if not all(map(math.isfinite, found)):
            raise forms.ValidationError(gettext("Write numbers with spaces between them, for example 0.5 1"))
        return found


def numbers_as_text(numbers: Sequence[float]) -> str:
    """As a NumbersField reads them again, without a loss."""
    return " ".join(
        f"{number:.17g}" if float(f"{number:g}") != number else f"{number:g}" for number in numbers
    )


def weights_for(count: int, weights: Sequence[float], what: str) -> list[float]:
    """The `weights`, 1 each where none are given. `what` has them, in words. Raises ActionError for another number."""
    if not weights:
        return [1.0] * count
    if len(weights) != count:
        raise ActionError(
            gettext("There are %(count)s %(what)s and %(weights)s weights: give one each, or none.")
            % {"count": count, "what": what, "weights": len(weights)},
            code="bad_weights",
        )
    return list(weights)
