"""The keys of the work page: one table behind the keys dialog, the hints on the page and the script.

A new key is a new entry here. What an action does is in static/annotation/annotator/: of every task in work_page.js,
of one kind of task in pair.js, rating.js and ranking.js.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from annotation.preferences.scale import RESPONSE_LABELS, SCALE_POINTS, TIE

EVERY_TASK, PAIR, RATING, RANKING = "every_task", "pair", "rating", "ranking"
# A ranking while it is ordered by letters that are typed, and while it is ordered by questions about two answers.
TYPED, GUIDED = "typed", "guided"
KEY_CAPS = {"ArrowUp": "↑", "ArrowDown": "↓", "Escape": "Esc"}


@dataclass(frozen=True)
class Shortcut:
    """One line of the keys dialog. Each key, by its name in KeyboardEvent.key with letters as capitals, has the value
    that the action gets: a point of the scale, a response's label, a direction.
    """

    action: str
    keys: Mapping[str, Any]
    description: str | Promise
    # Shown by its first and last key.
    is_range: bool = False
    # A letter, digit or sign: annotators who use speech input switch these off.
    is_single_key: bool = True

    @property
    def caps(self) -> list[str]:
        """The keys as they are written on a keyboard."""
        caps = [KEY_CAPS.get(key, key) for key in self.keys]
        return [caps[0], caps[-1]] if self.is_range else caps

    @property
    def separator(self) -> str:
        return "–" if self.is_range else " "


@dataclass(frozen=True)
class ShortcutGroup:
    """Keys of every task, or those of one kind of task, which come first there."""

    name: str
    title: str | Promise
    shortcuts: tuple[Shortcut, ...]


def _points_for(label: str) -> dict[str, int]:
    return {str(value): value for value, (better, _) in SCALE_POINTS.items() if better == label}


# One meaning of a digit on every page, since pairs and rankings come in one queue: 1 to 4 are the strengths from
# much to barely better (of A in a pair, of the upper one in a ranking), 0 is a tie. 5 to 8 are those of B.
STRENGTH_KEYS = {str(value): strength for value, (better, strength) in SCALE_POINTS.items() if better == "A"}

_TAKE_BACK = Shortcut(
    "take_back", {"Backspace": None}, _("Take back the last letter, or the last answer"), is_single_key=False
)
_LEAVE_WAY = Shortcut("leave_way", {"Escape": None}, _("Order them by moving instead"), is_single_key=False)

SHORTCUT_GROUPS = (
    ShortcutGroup(
        EVERY_TASK,
        _("Everywhere"),
        (
            Shortcut(
                "submit",
                {"Enter": None},
                _("Submit and go on; while you write, with Ctrl"),
                is_single_key=False,
            ),
            Shortcut("skip", {"S": None}, _("Skip this task")),
            Shortcut("cannot_judge", {"J": None}, _("Say why you cannot judge this task")),
            Shortcut("both_bad", {"W": None}, _("None of the answers is good, or take that back")),
            Shortcut("ask", {"K": None}, _("Ask about this task")),
            Shortcut("go_to_marks", {"M": None}, _("To the marks of the answers: there a digit chooses")),
            Shortcut("open_note", {"N": None}, _("Write a note")),
            Shortcut(
                "go_back",
                {"Z": None},
                _("Undo: edit the last judgment, then the one before, or bring back the skipped task"),
            ),
            Shortcut(
                "leave",
                {"Escape": None},
                _("Leave a text box or the search; cancel the edit of an earlier judgment"),
                is_single_key=False,
            ),
            Shortcut("pause", {"P": None}, _("Pause: the clock stops and the task is hidden; again goes on")),
            Shortcut("show_keys", {"?": None}, _("This list")),
        ),
    ),
    ShortcutGroup(
        EVERY_TASK,
        _("Reading"),
        (
            Shortcut("toggle_guideline", {"R": None}, _("Guideline, beside the task")),
            Shortcut("jump", {"V": None}, _("To the answers, and back to the prompt")),
            Shortcut("toggle_conversation", {".": None}, _("Open or fold earlier turns and long texts")),
            Shortcut("search", {"/": None}, _("Search in the prompt and the answers")),
            Shortcut("toggle_columns", {"L": None}, _("Answers side by side, or one below the other")),
            Shortcut("toggle_differences", {"Y": None}, _("Mark the differences between the answers")),
            Shortcut("toggle_written", {"U": None}, _("Everything as it was written")),
            # Not + and -: on AZERTY the latter is the key of a 6.
            Shortcut("resize_text", {"<": -1, ">": 1}, _("Smaller or larger text")),
        ),
    ),
    ShortcutGroup(
        PAIR,
        _("Two answers"),
        (
            Shortcut(
                "choose_point",
                _points_for("A"),
                _("A is better, from much to barely"),
                is_range=True,
            ),
            Shortcut(
                "choose_point",
                _points_for("B"),
                _("B is better, from barely to much"),
                is_range=True,
            ),
            Shortcut("choose_point", {"0": TIE}, _("A tie, where the project allows it")),
            # Not in a ranking: there G is an answer.
            Shortcut("toggle_guideline", {"G": None}, _("Guideline, beside the task")),
        ),
    ),
    ShortcutGroup(
        RATING,
        _("One answer"),
        (
            Shortcut(
                "grade",
                {str(digit % 10): digit % 10 for digit in range(1, 11)},
                _("That point or word of the first open question; 0 is the tenth"),
                is_range=True,
            ),
            Shortcut(
                "take_back",
                {"Backspace": None},
                _("Take back the last question you answered"),
                is_single_key=False,
            ),
            Shortcut("toggle_guideline", {"G": None}, _("Guideline, beside the task")),
        ),
    ),
    ShortcutGroup(
        RANKING,
        _("Three and more"),
        (
            Shortcut(
                "focus_response",
                {label: label for label in RESPONSE_LABELS},
                _("Go to that answer"),
                is_range=True,
            ),
            Shortcut("move", {"ArrowUp": "up", "ArrowDown": "down"}, _("Move it"), is_single_key=False),
            Shortcut("move", {"T": "tie"}, _("Same rank as the answer above (on and off)")),
            Shortcut(
                "set_strength",
                STRENGTH_KEYS,
                _("How much better it is than the next: much to barely"),
                is_range=True,
            ),
            Shortcut("tie_next", {"0": None}, _("Tie it with the next, where the project allows it")),
            Shortcut("unfold", {"X": None}, _("Show all of a long answer; of all answers if none is picked")),
            Shortcut("order_by", {"O": TYPED}, _("Order them by typing their letters")),
            Shortcut("order_by", {"Q": GUIDED}, _("Order them by questions about two of them")),
            _TAKE_BACK,
        ),
    ),
    ShortcutGroup(
        TYPED,
        _("Order by letters"),
        (
            Shortcut(
                "type",
                {label: label for label in RESPONSE_LABELS},
                _("That answer comes next"),
                is_range=True,
            ),
            Shortcut("tie_next_typed", {"=": None, "+": None}, _("The next one ties with the last")),
            _TAKE_BACK,
            _LEAVE_WAY,
            Shortcut("order_by", {"Q": GUIDED}, _("Questions instead")),
        ),
    ),
    ShortcutGroup(
        GUIDED,
        _("Order by questions"),
        (
            # The first or the second of the two on the screen.
            Shortcut("answer", {"1": 0, "2": 1}, _("The first, or the second, is better")),
            Shortcut("answer", {"0": "tie"}, _("A tie, where the project allows it")),
            _TAKE_BACK,
            _LEAVE_WAY,
            Shortcut("order_by", {"O": TYPED}, _("Letters instead")),
        ),
    ),
)


def shortcut_table() -> dict[str, dict[str, dict[str, Any]]]:
    """What the script reads: group -> key -> action, value, is_single_key."""
    table: dict[str, dict[str, dict[str, Any]]] = {}
    for group in SHORTCUT_GROUPS:
        keys = table.setdefault(group.name, {})
        for shortcut in group.shortcuts:
            for key, value in shortcut.keys.items():
                keys[key] = {
                    "action": shortcut.action,
                    "value": value,
                    "is_single_key": shortcut.is_single_key,
                }
    return table


def key_caps() -> dict[str, str]:
    """The key that a hint on the page names: {"skip": "S", "move_up": "↑", "choose_point_1": "1", ...}."""
    caps: dict[str, str] = {}
    for group in SHORTCUT_GROUPS:
        for shortcut in group.shortcuts:
            for key, value in shortcut.keys.items():
                name = shortcut.action if value is None else f"{shortcut.action}_{value}"
                caps.setdefault(name, KEY_CAPS.get(key, key))
    return caps
