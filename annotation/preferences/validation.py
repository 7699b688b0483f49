"""Checks of a judgment as it came in: tiers, strengths, marks, flags, seconds, rationale, idempotency key."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from annotation.errors import InvalidJudgment
from annotation.preferences.weak_orders import MAX_STRENGTH
from annotation.text import MAX_TEXT_CHARACTERS, clean_json_value, clean_text
from learning.interface.text import find_unstorable_character, gettext_noop

STRENGTHS = tuple(range(MAX_STRENGTH + 1))
MAX_SECONDS = 86_400  # of one day: nobody thinks longer about one task
MAX_RATIONALE_CHARACTERS = 20_000
MAX_FLAGS = 20
MAX_CONFIDENCE = 32_767  # of an import's judgment: as many points as a column holds
MAX_PASSAGES = 50  # of one mark of one answer
MAX_LABEL_CHARACTERS = 120
MAX_MARK = 2**53  # every whole number up to here is a float of its own
MAX_NAME_CHARACTERS = 60  # of a mark or a flag
IMPORT_KEY_PREFIX = "import-"
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
            gettext_noop("This project does not allow ties: put one response above the other."),
            code="tie_refused",
        )
    if not isinstance(strengths, list) or len(strengths) != len(tiers) - 1:
        raise InvalidJudgment("Each step between neighbouring tiers needs one strength.")
    given = [value for value in strengths if value is not None or not allow_missing_strengths]
    # 1.0 is in STRENGTHS as well, but is no whole number to a record.
    if any(type(value) is not int or value not in STRENGTHS for value in given):
        raise InvalidJudgment("A strength is 0, 1, 2 or 3.")
    return [sorted(tier, key=position.__getitem__) for tier in tiers], list(strengths)


def clean_seconds(seconds: Any) -> float:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidJudgment("The seconds must be a number.")
    # Compared before it is a float: a number of 400 digits is none, and nan compares with nothing.
    if not 0 <= seconds <= MAX_SECONDS:
        raise InvalidJudgment("The seconds must be between 0 and those of a day.")
    return float(seconds)


def clean_marks(marks: Any, items: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Marks by item: {item: {name: number, text, truth value or passages}}; items without marks are left out.

    A passage is {"start", "end", "label", "text"}: characters start to end of the answer as it is stored, the end not
    included, and what stands there.
    """
    if not isinstance(marks, Mapping):
        raise InvalidJudgment("Marks must be given by response.")
    for item, values in marks.items():
        if item not in items or not isinstance(values, Mapping):
            raise InvalidJudgment("Marks must be given by response.")
        for name, value in values.items():
            is_short_name = isinstance(name, str) and len(name) <= MAX_NAME_CHARACTERS
            if is_short_name and isinstance(value, list):
                _check_passages(value)
            elif not is_short_name or not isinstance(value, str | int | float | bool):
                raise InvalidJudgment("A mark is a short name with a number, a word or yes/no.")
            if isinstance(value, int) and abs(value) > MAX_MARK:
                raise InvalidJudgment(f"A mark is a number between -{MAX_MARK:,} and {MAX_MARK:,}.")
            if isinstance(value, str) and len(value) > MAX_RATIONALE_CHARACTERS:
                raise InvalidJudgment(f"A mark has at most {MAX_RATIONALE_CHARACTERS:,} characters.")
    return {item: clean_json_value(dict(values), "A mark") for item, values in marks.items() if values}


def _check_passages(passages: list[Any]) -> None:
    if len(passages) > MAX_PASSAGES:
        raise InvalidJudgment(f"A mark has at most {MAX_PASSAGES} passages.")
    for passage in passages:
        if not isinstance(passage, Mapping) or set(passage) != {"start", "end", "label", "text"}:
            raise InvalidJudgment("A passage is start, end, label and text.")
        start, end, label, text = (passage[name] for name in ("start", "end", "label", "text"))
        if (
            type(start) is not int
            or type(end) is not int
            or not 0 <= start < end <= MAX_TEXT_CHARACTERS
            or not isinstance(text, str)
            or len(text) != end - start
        ):
            raise InvalidJudgment("A passage begins before it ends, and its text is as long as it says.")
        if not isinstance(label, str) or not 0 < len(label) <= MAX_LABEL_CHARACTERS:
            raise InvalidJudgment(f"The label of a passage is 1 to {MAX_LABEL_CHARACTERS} characters.")


def clean_flags(flags: Any, known: Collection[str] | None = None) -> list[str]:
    """The flags without repetitions; of a person at the screen only `known` ones. Raises InvalidJudgment."""
    flags = list(flags) if isinstance(flags, list | tuple) else None
    if (
        flags is None
        or len(flags) > MAX_FLAGS
        or not all(isinstance(flag, str) and 0 < len(flag) <= MAX_NAME_CHARACTERS for flag in flags)
    ):
        raise InvalidJudgment("Flags are at most 20 short words.")
    if known is not None and not set(flags) <= set(known):
        allowed = f"one of {', '.join(sorted(known))}" if known else "not asked for in this project"
        raise InvalidJudgment(f"A flag is {allowed}.")
    return clean_json_value(list(dict.fromkeys(flags)), "A flag")


def clean_rationale(rationale: Any) -> str:
    rationale = clean_text(rationale, "The rationale", allow_empty=True)
    if len(rationale) > MAX_RATIONALE_CHARACTERS:
        raise InvalidJudgment(f"The rationale has more than {MAX_RATIONALE_CHARACTERS:,} characters.")
    return rationale


def validate_own_key(idempotency_key: Any) -> str:
    """An idempotency key that a person's page sends; those of imports are not theirs to use up."""
    if isinstance(idempotency_key, str) and idempotency_key.startswith(IMPORT_KEY_PREFIX):
        raise InvalidJudgment(
            f"An idempotency key does not begin with {IMPORT_KEY_PREFIX}: that is an import's."
        )
    return validate_idempotency_key(idempotency_key)


def validate_idempotency_key(idempotency_key: Any) -> str:
    if (
        not isinstance(idempotency_key, str)
        or not MIN_KEY_CHARACTERS <= len(idempotency_key) <= MAX_KEY_CHARACTERS
        or find_unstorable_character(idempotency_key)
    ):
        raise InvalidJudgment("A judgment needs an idempotency key of 8 to 100 characters.")
    return idempotency_key
