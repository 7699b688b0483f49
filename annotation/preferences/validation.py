"""Checks of a judgment as it came in: tiers, strengths, marks, flags, seconds, rationale, idempotency key."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import InvalidJudgment
from annotation.preferences.weak_orders import MAX_STRENGTH
from annotation.text import clean_json_value, clean_text

STRENGTHS = tuple(range(MAX_STRENGTH + 1))
MAX_SECONDS = 86_400  # of one day: nobody thinks longer about one task
MAX_RATIONALE_CHARACTERS = 20_000
MAX_FLAGS = 20
MAX_NAME_CHARACTERS = 60  # of a mark or a flag
MIN_KEY_CHARACTERS, MAX_KEY_CHARACTERS = 8, 100


def validate_tiers(
    tiers: Any,
    strengths: Any,
    items: Sequence[Any],
    *,
    allow_ties: bool,
    allow_missing_strengths: bool = False,
) -> tuple[list[list[Any]], list[int | None]]:
    """Tiers as a partition of `items` into non-empty lists, and one strength a step: None, where that is allowed, for
    one that nobody gave (judgments from files; whoever judges here says how much better).

    Raises InvalidJudgment with one sentence. Within a tier the order carries no meaning; it becomes that of `items`.
    """
    if not isinstance(tiers, list) or not all(isinstance(tier, list) and tier for tier in tiers):
        raise InvalidJudgment("The tiers must be a list of lists, none of them empty.")
    flat = [item for tier in tiers for item in tier]
    position = {item: index for index, item in enumerate(items)}
    if not all(isinstance(item, int | str) for item in flat) or sorted(map(str, flat)) != sorted(
        map(str, items)
    ):
        raise InvalidJudgment("Every response must be placed exactly once.")
    if any(item not in position for item in flat):
        raise InvalidJudgment("Every response must be placed exactly once.")
    if not allow_ties and any(len(tier) > 1 for tier in tiers):
        raise InvalidJudgment(
            "This project does not allow ties: put one response above the other.", code="tie_refused"
        )
    if not isinstance(strengths, list) or len(strengths) != len(tiers) - 1:
        raise InvalidJudgment("Each step between neighbouring tiers needs one strength.")
    given = [value for value in strengths if value is not None or not allow_missing_strengths]
    if any(isinstance(value, bool) or value not in STRENGTHS for value in given):
        raise InvalidJudgment("A strength is 0, 1, 2 or 3.")
    return [sorted(tier, key=position.__getitem__) for tier in tiers], list(strengths)


def clean_seconds(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise InvalidJudgment("The seconds must be a number.")
    if not 0 <= seconds <= MAX_SECONDS:
        raise InvalidJudgment("The seconds must be between 0 and those of a day.")
    return float(seconds)


def clean_marks(marks: Any, items: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Marks by item: {item: {name: number, text or truth value}}; items without marks are left out."""
    if not isinstance(marks, Mapping):
        raise InvalidJudgment("Marks must be given by response.")
    for item, values in marks.items():
        if item not in items or not isinstance(values, Mapping):
            raise InvalidJudgment("Marks must be given by response.")
        for name, value in values.items():
            is_short_name = isinstance(name, str) and len(name) <= MAX_NAME_CHARACTERS
            if not is_short_name or not isinstance(value, str | int | float | bool):
                raise InvalidJudgment("A mark is a short name with a number, a word or yes/no.")
    return {item: clean_json_value(dict(values), "A mark") for item, values in marks.items() if values}


def clean_flags(flags: Any) -> list[str]:
    flags = list(flags) if isinstance(flags, list | tuple) else None
    if (
        flags is None
        or len(flags) > MAX_FLAGS
        or not all(isinstance(flag, str) and 0 < len(flag) <= MAX_NAME_CHARACTERS for flag in flags)
    ):
        raise InvalidJudgment("Flags are at most 20 short words.")
    return clean_json_value(list(dict.fromkeys(flags)), "A flag")


def clean_rationale(rationale: Any) -> str:
    rationale = clean_text(rationale, "The rationale", allow_empty=True)
    if len(rationale) > MAX_RATIONALE_CHARACTERS:
        raise InvalidJudgment(f"The rationale has more than {MAX_RATIONALE_CHARACTERS:,} characters.")
    return rationale


def validate_idempotency_key(idempotency_key: Any) -> str:
    if (
        not isinstance(idempotency_key, str)
        or not MIN_KEY_CHARACTERS <= len(idempotency_key) <= MAX_KEY_CHARACTERS
        or "\0" in idempotency_key
    ):
        raise InvalidJudgment("A judgment needs an idempotency key of 8 to 100 characters.")
    return idempotency_key
