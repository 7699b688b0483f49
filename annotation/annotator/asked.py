"""What is asked beside the order of the answers, as the task's fragment shows it."""

from functools import lru_cache
from typing import Any

from django.utils.translation import gettext

from workspace.asked import LIKERT, YES_NO, Asked, Mark

YES, NO = "true", "false"  # values of radio buttons; the script makes truth values of them


@lru_cache(maxsize=256)
def asked_context(asked: Asked, responses: int, criterion: str) -> dict[str, Any]:
    """Of a task with so many answers, about this criterion. A version's settings never change, so that its context is
    made once.
    """
    return {
        "marks": [_shown(mark) for mark in asked.marks_of(responses, criterion)],
        "confidence_points": list(range(1, asked.confidence_points + 1))
        if asked.asks_confidence(responses)
        else [],
        "reason_for": " ".join(asked.rationale_for) if responses > 1 else "",
        "flags": [(flag.name, flag.label) for flag in asked.flags],
        "guided_first": asked.guided_first,
        "both_bad": asked.both_bad and responses > 1,
        "both_bad_reasons": asked.both_bad_reasons,
        "cannot_judge": [
            (str(place % 10), reason) for place, reason in enumerate(asked.cannot_judge, 1) if place <= 10
        ]
        + [("", reason) for reason in asked.cannot_judge[10:]],
    }


def _shown(mark: Mark) -> dict[str, Any]:
    """`options`: (value, words) of a mark that is one of several; a yes-or-no that may be left open is a box."""
    options: list[tuple[str, str]] = []
    if mark.kind == LIKERT:
        options = [(str(point), str(point)) for point in range(1, mark.points + 1)]
    elif mark.kind == YES_NO and mark.required:
        options = [(YES, gettext("Yes")), (NO, gettext("No"))]
    elif mark.choices:
        options = [(word, word) for word in mark.choices]
    return {
        "name": mark.name,
        "label": mark.label,
        "kind": mark.kind,
        "required": mark.required,
        "low": mark.low,
        "high": mark.high,
        "options": options,
        "is_box": mark.kind == YES_NO and not mark.required,
    }
