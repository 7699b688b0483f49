"""Checks of what was said beside the order of the answers, against what was asked of a task (workspace.asked)."""

from collections.abc import Mapping, Sequence
from typing import Any

from annotation.errors import InvalidJudgment
from annotation.preferences.validation import clean_marks
from learning.interface.text import gettext_noop
from workspace.asked import CHOICE, LIKERT, SPAN, TEXT, YES_NO, Asked, Mark

MAX_TEXT_CHARACTERS = 2_000


def clean_asked_marks(
    asked: Asked, marks: Any, labels: Sequence[str], criterion: str = ""
) -> dict[str, dict[str, Any]]:
    """The marks of each answer, by its label: {"A": {"overall": 6, "safe": True}}. Empty texts are left out.

    Raises InvalidJudgment for a mark that is not asked of this task, a value that does not fit it, and a required one
    that is missing.
    """
    given = clean_marks(marks, labels)
    definitions = {mark.name: mark for mark in asked.marks_of(len(labels), criterion)}
    cleaned: dict[str, dict[str, Any]] = {}
    for label in labels:
        values = given.get(label, {})
        if unknown := [name for name in values if name not in definitions]:
            raise InvalidJudgment(
                f"This task does not ask for “{unknown[0]}”"
                + (f": it asks for {', '.join(definitions)}." if definitions else "."),
                code="mark_unknown",
            )
        kept = {
            name: _clean_value(mark, values[name], label)
            for name, mark in definitions.items()
            if name in values and not _is_empty(mark, values[name])
        }
        for name, mark in definitions.items():
            if mark.required and name not in kept:
                raise InvalidJudgment(f"{_of(label, labels)}: say “{mark.label}”.", code="mark_required")
        if kept:
            cleaned[label] = kept
    return cleaned


def _of(label: str, labels: Sequence[str]) -> str:
    return f"Answer {label}" if len(labels) > 1 else "The answer"


def _is_empty(mark: Mark, value: Any) -> bool:
    """Nothing was written or marked: a field that was left empty."""
    if mark.kind == TEXT:
        return isinstance(value, str) and not value.strip()
    return mark.kind == SPAN and value == []


def _clean_value(mark: Mark, value: Any, label: str) -> Any:
    fault = ""
    if mark.kind == LIKERT:
        if type(value) is not int or not 1 <= value <= mark.points:
            fault = f"is a whole number from 1 to {mark.points}"
    elif mark.kind == YES_NO:
        if not isinstance(value, bool):
            fault = "is yes or no (true or false)"
    elif mark.kind == CHOICE:
        if value not in mark.choices:
            fault = f"is one of {', '.join(mark.choices)}"
    elif mark.kind == TEXT:
        if not isinstance(value, str):
            fault = "is a text"
        elif len(value) > MAX_TEXT_CHARACTERS:
            fault = f"has at most {MAX_TEXT_CHARACTERS:,} characters; these are {len(value):,}"
    elif isinstance(value, list):
        labels = sorted({span["label"] for span in value} - set(mark.choices))
        if labels:
            fault = f"has passages labelled {', '.join(mark.choices)}, not {labels[0]}"
    else:
        fault = "is a list of passages"
    if fault:
        raise InvalidJudgment(f"Answer {label}: “{mark.label}” {fault}.", code="mark_unfit")
    return value


def as_shown(text: str) -> str:
    """An answer as a browser shows it to the letter: passages are counted in it, in characters (code points). Every
    line end is one character.
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def require_passages(marks: Mapping[str, Any], text: str, label: str) -> None:
    """Every passage of one answer's marks stands in its text where it says. Raises InvalidJudgment."""
    shown = as_shown(text)
    for value in marks.values():
        for passage in value if isinstance(value, list) else ():
            if shown[passage["start"] : passage["end"]] != passage["text"]:
                quoted = passage["text"][:40]
                raise InvalidJudgment(
                    f"Answer {label}: the passage “{quoted}” does not stand where it is said to; mark it anew.",
                    code="passage_unfit",
                )


def clean_confidence(asked: Asked, confidence: Any, responses: int) -> int | None:
    """The point on the scale, None where the task asks for none. Raises InvalidJudgment."""
    if not asked.asks_confidence(responses):
        if confidence is not None:
            raise InvalidJudgment("This task does not ask how sure you are.", code="mark_unknown")
        return None
    if confidence is None:
        raise InvalidJudgment(gettext_noop("Say how sure you are."), code="confidence_required")
    if type(confidence) is not int or not 1 <= confidence <= asked.confidence_points:
        raise InvalidJudgment(
            f"How sure you are is a whole number from 1 to {asked.confidence_points}.", code="mark_unfit"
        )
    return confidence


def show_marks(
    asked: Asked, marks: Mapping[str, Any], responses: int, criterion: str = ""
) -> list[tuple[str, str | list[Mapping[str, Any]]]]:
    """(label, value in words) of one answer's marks, in the order they were asked in; what was not asked (an import's
    marks) follows under its own name. Of passages the list itself.
    """
    definitions = {mark.name: mark for mark in asked.marks_of(responses, criterion)}
    names = [name for name in definitions if name in marks] + [
        name for name in marks if name not in definitions
    ]
    return [
        (
            definitions[name].label if name in definitions else name,
            _in_words(definitions.get(name), marks[name]),
        )
        for name in names
    ]


def _in_words(mark: Mark | None, value: Any) -> str | list[Mapping[str, Any]]:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return value
    if mark is not None and mark.kind == YES_NO and value in (0, 1):
        return "yes" if value else "no"  # as records carry it
    if isinstance(value, int | float):
        return f"{value:g}" + (f" of {mark.points}" if mark is not None and mark.kind == LIKERT else "")
    return str(value)
