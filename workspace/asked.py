"""What a project asks beside the order of the answers: marks of each, confidence, reasons, flags. Pure functions.

A version of the question's settings holds it as JSON (`QuestionSettings.asked`); what the JSON leaves out has its
default, so that versions from before a field was there read as they were asked.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from learning.interface.text import find_unstorable_character, gettext_noop
from workspace.errors import ActionError

LIKERT, YES_NO, CHOICE, TEXT, SPAN = "likert", "yes_no", "choice", "text", "span"
MARK_KINDS = {
    LIKERT: gettext_noop("Points on a scale"),
    YES_NO: gettext_noop("Yes or no"),
    CHOICE: gettext_noop("One of several words"),
    TEXT: gettext_noop("A text"),
    SPAN: gettext_noop("Passages of the answer"),
}
EVERY, ONE, SEVERAL = "every", "one", "several"
MARK_TASKS = {
    EVERY: gettext_noop("Every task"),
    ONE: gettext_noop("One answer alone"),
    SEVERAL: gettext_noop("Two and more answers"),
}
# One digit chooses a point or a word; 0 is the tenth.
MIN_POINTS, MAX_POINTS = 2, 10
MAX_CHOICES = 10
MAX_MARKS = 24
MAX_LISTED = 12  # flags, and reasons of one kind
MAX_NAME_CHARACTERS = 40
# Answers from which a ranking can begin with questions about two of them.
GUIDED_FROM = 6
MAX_LABEL_CHARACTERS = 120

TIE = "tie"
# When a reason is required, by what was said of a step between neighbouring tiers.
STRENGTH_WORDS = {
    "significantly_better": 3,
    "better": 2,
    "slightly_better": 1,
    "negligibly_better": 0,
}
RATIONALE_CASES = {
    "significantly_better": "Much better",
    "better": "Better",
    "slightly_better": "A little better",
    "negligibly_better": "Barely better, or unsure",
    TIE: "A tie",
}
BOTH_BAD = "both_bad"

_NAME = re.compile(f"[a-z][a-z0-9_]{{0,{MAX_NAME_CHARACTERS - 1}}}")


class UnfitQuestion(ActionError):
    """What is to be asked does not fit; `fields` says where."""

    code = "question_unfit"


@dataclass(frozen=True, kw_only=True)
class Named:
    """A flag or a reason: as files carry it, and as annotators read it."""

    name: str
    label: str


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One thing that is said of each answer.

    `points`, `low`, `high` (the words at the ends) are those of LIKERT, `choices` of CHOICE, and of SPAN the labels
    that a passage can have. `tasks`: of which tasks it is asked (MARK_TASKS); `criteria`: names of those whose tasks
    ask it, none: every one's.
    """

    name: str
    label: str
    kind: str
    required: bool = False
    points: int = 0
    low: str = ""
    high: str = ""
    choices: tuple[str, ...] = ()
    tasks: str = EVERY
    criteria: tuple[str, ...] = ()

    def is_asked_of(self, responses: int, criterion: str) -> bool:
        is_of_criterion = not self.criteria or criterion in self.criteria
        return is_of_criterion and (self.tasks == EVERY or (self.tasks == ONE) == (responses == 1))


DEFAULT_FLAGS = (
    Named(name="unclear_prompt", label=gettext_noop("The prompt is unclear")),
    Named(name="unsafe", label=gettext_noop("Something here is harmful")),
)
DEFAULT_CANNOT_JUDGE = (
    Named(name="unclear", label=gettext_noop("I do not understand what is asked")),
    Named(name="expertise", label=gettext_noop("I lack the knowledge to decide")),
    Named(name="language", label=gettext_noop("I do not read this language well enough")),
    Named(name="broken", label=gettext_noop("Something is missing or cannot be read")),
    Named(name="distressing", label=gettext_noop("I do not want to read this")),
)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """All that is asked beside the order of the answers. `confidence_points`: 0 asks for none."""

    preset: str = ""
    marks: tuple[Mark, ...] = ()
    confidence_points: int = 0
    rationale_for: tuple[str, ...] = ()  # of RATIONALE_CASES; that every judgment needs one is ask_rationale
    flags: tuple[Named, ...] = DEFAULT_FLAGS
    both_bad: bool = True
    both_bad_reasons: tuple[Named, ...] = ()
    cannot_judge: tuple[Named, ...] = DEFAULT_CANNOT_JUDGE  # none: who cannot judge skips, without a reason
    guided_first: bool = (
        False  # rankings of GUIDED_FROM answers begin by questions, until the reader chooses otherwise
    )

    def marks_of(self, responses: int, criterion: str = "") -> list[Mark]:
        """Those that are asked of a task with so many answers, about this criterion."""
        return [mark for mark in self.marks if mark.is_asked_of(responses, criterion)]

    @property
    def differs_by_criterion(self) -> bool:
        return any(mark.criteria for mark in self.marks)

    def asks_confidence(self, responses: int) -> bool:
        return self.confidence_points > 0 and responses > 1

    def flag_names(self) -> list[str]:
        """Every flag that a judgment can carry."""
        names = [flag.name for flag in self.flags]
        if self.both_bad:
            names += [BOTH_BAD, *(f"{BOTH_BAD}:{reason.name}" for reason in self.both_bad_reasons)]
        return names

    def flag_labels(self) -> dict[str, str]:
        """How each of them reads."""
        labels = {flag.name: flag.label for flag in self.flags}
        if self.both_bad:
            labels[BOTH_BAD] = gettext_noop("None of the answers is good")
            labels |= {f"{BOTH_BAD}:{reason.name}": reason.label for reason in self.both_bad_reasons}
        return labels

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def needs_rationale(asked: Asked, tiers: Iterable[Iterable[Any]], strengths: Iterable[int | None]) -> bool:
    """Whether this order is one of those that a reason is required for."""
    cases = set(asked.rationale_for)
    steps = {STRENGTH_WORDS[case] for case in cases if case != TIE}
    return any(strength in steps for strength in strengths) or (
        TIE in cases and any(len(list(tier)) > 1 for tier in tiers)
    )


def read_asked(stored: Mapping[str, Any]) -> Asked:
    """What a version asks, of its JSON as `parse_asked` made it."""
    marks = [
        Mark(**mark | {name: tuple(mark.get(name, ())) for name in ("choices", "criteria")})
        for mark in stored.get("marks", [])
    ]
    named: dict[str, Any] = {
        name: tuple(Named(**one) for one in stored[name])
        for name in ("flags", "both_bad_reasons", "cannot_judge")
        if name in stored
    }
    plain: dict[str, Any] = {
        name: stored[name]
        for name in ("preset", "confidence_points", "both_bad", "guided_first")
        if name in stored
    }
    return Asked(marks=tuple(marks), rationale_for=tuple(stored.get("rationale_for", [])), **named, **plain)


def parse_asked(given: Any) -> Asked:
    """What somebody wants to be asked. Raises UnfitQuestion with a sentence for each place."""
    faults: dict[str, str] = {}
    if not isinstance(given, Mapping):
        raise UnfitQuestion("What is asked must be an object.", fields={"asked": "Send an object."})
    known = {field.name for field in fields(Asked)}
    for name in given:
        if name not in known:
            faults[str(name)[:60]] = f"There is no such setting; these are: {', '.join(sorted(known))}."
    marks = _parse_marks(given.get("marks", ()), faults)
    points = given.get("confidence_points", 0)
    if type(points) is not int or (points != 0 and not MIN_POINTS <= points <= MAX_POINTS):
        faults["confidence_points"] = f"Give 0, or {MIN_POINTS} to {MAX_POINTS} points."
    cases = given.get("rationale_for", ())
    if not isinstance(cases, list | tuple) or any(case not in RATIONALE_CASES for case in cases):
        faults["rationale_for"] = f"Give a list of {', '.join(RATIONALE_CASES)}."
    both_bad = given.get("both_bad", True)
    if not isinstance(both_bad, bool):
        faults["both_bad"] = "Give true or false."
    guided_first = given.get("guided_first", False)
    if not isinstance(guided_first, bool):
        faults["guided_first"] = "Give true or false."
    preset = given.get("preset", "")
    if not isinstance(preset, str) or len(preset) > MAX_NAME_CHARACTERS:
        faults["preset"] = "Give the name of a preset."
    lists = {
        "flags": _parse_named(given.get("flags", DEFAULT_FLAGS), "flags", faults),
        "both_bad_reasons": _parse_named(given.get("both_bad_reasons", ()), "both_bad_reasons", faults),
        "cannot_judge": _parse_named(given.get("cannot_judge", DEFAULT_CANNOT_JUDGE), "cannot_judge", faults),
    }
    if any(flag.name == BOTH_BAD for flag in lists["flags"]):
        faults["flags"] = f"{BOTH_BAD} is asked by itself: take it from the list."
    if faults:
        first = next(iter(faults))
        raise UnfitQuestion(f"{first}: {faults[first]}", fields=faults)
    ordered = tuple(case for case in RATIONALE_CASES if case in cases)
    return Asked(
        preset=preset,
        marks=marks,
        confidence_points=points,
        rationale_for=ordered,
        both_bad=both_bad,
        guided_first=guided_first,
        **lists,
    )


def _parse_marks(given: Any, faults: dict[str, str]) -> tuple[Mark, ...]:
    if not isinstance(given, list | tuple) or len(given) > MAX_MARKS:
        faults["marks"] = f"Give a list of at most {MAX_MARKS} marks."
        return ()
    marks = [
        one if isinstance(one, Mark) else _parse_mark(one, f"marks.{number}", faults)
        for number, one in enumerate(given)
    ]
    found = [mark for mark in marks if mark is not None]
    for number, mark in enumerate(found):
        if mark.name in {other.name for other in found[:number]}:
            faults[f"marks.{number}.name"] = f"Two marks are named {mark.name}: give each a name of its own."
    return tuple(found)


def _parse_mark(given: Any, where: str, faults: dict[str, str]) -> Mark | None:
    known = [field.name for field in fields(Mark)]
    if not isinstance(given, Mapping):
        faults[where] = "Give an object with name, label and kind."
        return None
    before = len(faults)
    for name in given:
        if name not in known:
            faults[f"{where}.{str(name)[:60]}"] = f"A mark has no such field; it has {', '.join(known)}."
    kind = given.get("kind")
    if kind not in MARK_KINDS:
        faults[f"{where}.kind"] = f"Give one of {', '.join(MARK_KINDS)}."
    tasks = given.get("tasks", EVERY)
    if tasks not in MARK_TASKS:
        faults[f"{where}.tasks"] = f"Give one of {', '.join(MARK_TASKS)}."
    required = given.get("required", False)
    if not isinstance(required, bool):
        faults[f"{where}.required"] = "Give true or false."
    points = given.get("points", 0)
    fit = type(points) is int and (MIN_POINTS <= points <= MAX_POINTS if kind == LIKERT else points == 0)
    if not fit:
        only = "" if kind == LIKERT else " (of a scale alone)"
        faults[f"{where}.points"] = f"Give {MIN_POINTS} to {MAX_POINTS} points{only}."
    choices = given.get("choices", ())
    if not isinstance(choices, list | tuple) or len(choices) > MAX_CHOICES:
        faults[f"{where}.choices"] = f"Give at most {MAX_CHOICES} words."
        choices = ()
    words = tuple(_parse_label(word, f"{where}.choices", faults) for word in choices)
    least = {CHOICE: 2, SPAN: 1}.get(str(kind), 0)
    if len(set(words)) != len(words) or len(words) < least or (not least and words):
        faults[f"{where}.choices"] = (
            f"Give {least} to {MAX_CHOICES} different words." if least else "This kind has none."
        )
    ends = {
        end: _parse_label(given.get(end, ""), f"{where}.{end}", faults, allow_empty=True)
        for end in ("low", "high")
    }
    criteria = given.get("criteria", ())
    if not isinstance(criteria, list | tuple) or not all(isinstance(one, str) and one for one in criteria):
        faults[f"{where}.criteria"] = "Give a list of names of criteria; an empty one means all of them."
        criteria = ()
    name = _parse_name(given.get("name"), f"{where}.name", faults)
    label = _parse_label(given.get("label"), f"{where}.label", faults)
    if len(faults) > before:
        return None
    return Mark(
        name=name, label=label, kind=str(kind), required=required, points=points, choices=words, tasks=tasks,
        criteria=tuple(dict.fromkeys(criteria)), **ends,
    )  # fmt: skip


def _parse_named(given: Any, where: str, faults: dict[str, str]) -> tuple[Named, ...]:
    if not isinstance(given, list | tuple) or len(given) > MAX_LISTED:
        faults[where] = f"Give a list of at most {MAX_LISTED}."
        return ()
    found: list[Named] = []
    for number, one in enumerate(given):
        place = f"{where}.{number}"
        if isinstance(one, Named):
            found.append(one)
        elif not isinstance(one, Mapping) or set(one) != {"name", "label"}:
            faults[place] = "Give an object with name and label."
        else:
            name = _parse_name(one["name"], f"{place}.name", faults)
            found.append(Named(name=name, label=_parse_label(one["label"], f"{place}.label", faults)))
    if len({one.name for one in found}) != len(found):
        faults[where] = "Two have the same name: give each one of its own."
    return tuple(found)


def _parse_name(given: Any, where: str, faults: dict[str, str]) -> str:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        faults[where] = (
            f"A name is 1 to {MAX_NAME_CHARACTERS} small Latin letters, digits and _, with a letter first."
        )
        return ""
    return given


def _parse_label(given: Any, where: str, faults: dict[str, str], *, allow_empty: bool = False) -> str:
    text = given.strip() if isinstance(given, str) else None
    if text is None or len(text) > MAX_LABEL_CHARACTERS or not (text or allow_empty):
        faults[where] = f"Give 1 to {MAX_LABEL_CHARACTERS} characters."
        return ""
    if "\n" in text or find_unstorable_character(text):
        faults[where] = "Give one line of text."
        return ""
    return text


def name_from_label(label: str, taken: Iterable[str] = ()) -> str:
    """A name that files can carry: “Gives harmful advice?” is gives_harmful_advice."""
    words = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")[: MAX_NAME_CHARACTERS - 3].strip("_")
    name = words if _NAME.fullmatch(words) else f"m_{words}".rstrip("_")
    used, number, first = set(taken), 2, name
    while name in used:
        name, number = f"{first}_{number}", number + 1
    return name
