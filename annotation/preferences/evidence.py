"""How a judgment came about, as the page saw it: how long each response was on the screen, how much of it, and in which
way a ranking was put in order. It says that a text was in view, not that it was read.
"""

from collections.abc import Mapping
from typing import Any

from annotation.errors import InvalidJudgment

MAX_SEEN_MS = 86_400_000  # of one day, as of the seconds of a judgment
MAX_QUESTIONS = 1000
# By moving the answers, by typing their letters, by questions about two of them.
MOVED, TYPED, GUIDED = "moved", "typed", "guided"
WAYS = (MOVED, TYPED, GUIDED)


def clean_evidence(evidence: Any, key_of: Mapping[str, int]) -> dict[str, Any] | None:
    """From the page's labels to response keys, as it is stored:

    {"responses": {"key": {"seen_ms": int, "coverage": float}}, "way": one of WAYS, "questions": int}, without what was
    not said; None for none. `seen_ms`: milliseconds in which the response was in view, the window too, and the person
    active. `coverage`: share of its height, 0 to 1, that ever was in view.

    Raises InvalidJudgment for what the page cannot have seen.
    """
    if evidence is None or evidence == {}:
        return None
    if not isinstance(evidence, Mapping) or not set(evidence) <= {"responses", "way", "questions"}:
        raise InvalidJudgment("The evidence has `responses`, `way` and `questions`.")
    cleaned: dict[str, Any] = {}
    if "responses" in evidence:
        cleaned["responses"] = _clean_responses(evidence["responses"], key_of)
    if "way" in evidence:
        if evidence["way"] not in WAYS:
            raise InvalidJudgment(f"The way of an order is one of {', '.join(WAYS)}.")
        cleaned["way"] = evidence["way"]
    if "questions" in evidence:
        cleaned["questions"] = _whole_number(evidence["questions"], MAX_QUESTIONS, "questions")
    return cleaned


def _clean_responses(responses: Any, key_of: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    if not isinstance(responses, Mapping) or not set(responses) <= set(key_of):
        raise InvalidJudgment("The evidence is given by the labels of the responses.")
    cleaned = {}
    for label, seen in responses.items():
        if not isinstance(seen, Mapping) or set(seen) != {"seen_ms", "coverage"}:
            raise InvalidJudgment("The evidence of a response is `seen_ms` and `coverage`.")
        coverage = seen["coverage"]
        is_number = isinstance(coverage, int | float) and not isinstance(coverage, bool)
        if not is_number or not 0 <= coverage <= 1:
            raise InvalidJudgment("The coverage of a response is a number from 0 to 1.")
        cleaned[str(key_of[label])] = {
            "seen_ms": _whole_number(seen["seen_ms"], MAX_SEEN_MS, "seen_ms"),
            "coverage": round(float(coverage), 3),
        }
    return cleaned


def _whole_number(value: Any, most: int, name: str) -> int:
    if type(value) is not int or not 0 <= value <= most:
        raise InvalidJudgment(f"`{name}` is a whole number from 0 to {most:,}.")
    return value


def evidence_of_record(
    evidence: Mapping[str, Any] | None, external_ids: Mapping[int, str]
) -> dict[str, Any] | None:
    """As files have it: by the responses' own ids."""
    if not evidence or "responses" not in evidence:
        return dict(evidence) if evidence else None
    by_id = {external_ids[int(key)]: dict(seen) for key, seen in evidence["responses"].items()}
    return {**evidence, "responses": by_id}
