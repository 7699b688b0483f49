"""A judgment as a phrase, in the language of the page."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.preferences.evidence import GUIDED, MOVED, TYPED
from annotation.preferences.scale import NO_STRENGTH, THAN, marks_by_label
from workspace.asked import LIKERT, YES_NO, Asked, Mark

MAX_MARK_CHARACTERS = 60


def describe_judgment(tiers: list[list[str]], strengths: list[int | None]) -> str:
    """A judgment in words: "B is better than A"; with more ranks each with the step to the next one, "1. A = C (barely
    better than) 2. B (better than) 3. D". Not "A better than B, better than D": that reads as A over D. Of one answer
    its marks say the rest.
    """
    ranked = [" = ".join(tier) for tier in tiers]
    if len(tiers) == 1:
        return _("%(answers)s (a tie)") % {"answers": ranked[0]} if len(tiers[0]) > 1 else _("rated alone")
    steps = [_than(strength) for strength in strengths]
    if len(tiers) == 2:
        better, worse = ranked
        gap = f" ({_(NO_STRENGTH)})" if strengths[0] is None else ""
        # Of several that are tied the verb would be another one.
        words = (
            _("%(better)s is %(than)s %(worse)s") if len(tiers[0]) == 1 else "%(better)s: %(than)s %(worse)s"
        )
        return words % {"better": better, "than": steps[0], "worse": worse} + gap
    missing = [f", {_(NO_STRENGTH)}" if strength is None else "" for strength in strengths]
    between = [f" ({step}{gap}) " for step, gap in zip(steps, missing, strict=True)]
    places = enumerate(zip(ranked, [*between, ""], strict=True), start=1)
    return "".join(f"{rank}. {labels}{step}" for rank, (labels, step) in places)


def _than(strength: int | None) -> str:
    return _(THAN[2 if strength is None else strength])


def describe_marks(asked: Asked, order_shown: Sequence[int], marks: Mapping[str, Any], criterion: str) -> str:
    """What was said of each answer alone, in the order it was asked in: "Coherence: 6/7 · Tone: warm", with several
    answers each under its letter.
    """
    defined = {mark.name: mark for mark in asked.marks_of(len(order_shown), criterion)}
    parts = []
    for label, said in marks_by_label(order_shown, marks).items():
        names = [*(name for name in defined if name in said), *(name for name in said if name not in defined)]
        words = " · ".join(_mark(name, defined.get(name), said[name]) for name in names)
        parts.append(words if len(order_shown) == 1 else f"{label}: {words}")
    return "; ".join(parts)


def _mark(name: str, mark: Mark | None, value: Any) -> str:
    label = mark.label if mark else name
    if isinstance(value, bool) or (mark and mark.kind == YES_NO and value in (0, 1)):
        said = _("Yes") if value else _("No")
    elif isinstance(value, list):
        said = ngettext("%(n)d passage", "%(n)d passages", len(value)) % {"n": len(value)}
    elif isinstance(value, int | float):
        said = f"{value:g}" + (f"/{mark.points}" if mark and mark.kind == LIKERT else "")
    else:
        said = Truncator(str(value)).chars(MAX_MARK_CHARACTERS)
    return f"{label} {said}" if label.endswith("?") else f"{label}: {said}"


def describe_view(seen: Mapping[str, Any]) -> str:
    """Of the evidence of one response: how long it was in view, and how much of it."""
    seconds = seen["seen_ms"] / 1000
    time = f"{seconds:.1f} s" if seconds < 60 else f"{round(seconds / 60)} min"
    return f"in view for {time}, {round(seen['coverage'] * 100)} % of it"


def describe_way(evidence: Mapping[str, Any]) -> str:
    """Of the evidence of a ranking: how it was put in order; empty where that is not known."""
    way = evidence.get("way")
    if way == GUIDED:
        return f"ordered by {evidence.get('questions', 0)} questions"
    return {MOVED: "ordered by moving", TYPED: "ordered by letters"}.get(way, "") if way else ""
