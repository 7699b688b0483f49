"""How prompts are divided into train, validation and test, as a project's settings say it. Pure functions."""

import math
from collections.abc import Mapping

from workspace.errors import ActionError

DEFAULT_TRAIN_SHARE, DEFAULT_VALIDATION_SHARE = 0.8, 0.1  # of prompts; the rest is test
EVERY_TAG = "*"  # in test_per_tag: every tag that is not named


def require_valid_splits(
    train_share: float, validation_share: float, test_per_tag: Mapping[str, int]
) -> None:
    """Raises ActionError."""
    shares = (train_share, validation_share)
    fit = all(map(math.isfinite, shares)) and train_share > 0 and validation_share >= 0
    if not fit or sum(shares) > 1 + 1e-9:
        message = (
            f"Shares of {train_share:g} train and {validation_share:g} validation do not fit: train must be above 0, "
            "validation at least 0, and both together at most 1."
        )
        raise ActionError(message, code="shares_invalid", fields={"train_share": message})
    if any(not tag.strip() or number < 1 for tag, number in test_per_tag.items()):
        raise _bad_numbers()


def parse_test_per_tag(text: str) -> dict[str, int]:
    """“700” (of each tag) or “helpful=700, harmless=300” -> {tag: number}. Raises ActionError."""
    numbers: dict[str, int] = {}
    for part in text.replace(";", ",").split(","):
        if not part.strip():
            continue
        tag, _, number = part.rpartition("=")
        if not number.strip().isdecimal():
            raise _bad_numbers()
        numbers[tag.strip() or EVERY_TAG] = int(number)
    require_valid_splits(DEFAULT_TRAIN_SHARE, DEFAULT_VALIDATION_SHARE, numbers)
    return numbers


def format_test_per_tag(numbers: Mapping[str, int]) -> str:
    return ", ".join(
        str(number) if tag == EVERY_TAG else f"{tag}={number}" for tag, number in sorted(numbers.items())
    )


def _bad_numbers() -> ActionError:
    message = "Of each tag at least one prompt is held out: write a number, or helpful=700, harmless=300."
    return ActionError(message, code="shares_invalid", fields={"test_per_tag": message})
