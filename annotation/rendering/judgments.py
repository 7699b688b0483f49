"""A judgment as a phrase, in the language of the page."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from annotation.preferences.evidence import GUIDED, MOVED, TYPED
from annotation.preferences.scale import NO_STRENGTH, THAN


def describe_judgment(tiers: list[list[str]], strengths: list[int | None]) -> str:
    """A judgment in words: "B better than A"; with more ranks each with the step to the next one, "1. A = C (slightly
    better than) 2. B (better than) 3. D". Not "A better than B, better than D": that reads as A over D. Of one answer
    its marks say the rest.
    """
    ranked = [" = ".join(tier) for tier in tiers]
    if len(tiers) == 1:
        return _("%(answers)s (a tie)") % {"answers": ranked[0]} if len(tiers[0]) > 1 else _("rated alone")
    steps = [_than(strength) for strength in strengths]
    if len(tiers) == 2:
        better, worse = ranked
        return f"{better} {steps[0]} {worse}" + (f" ({_(NO_STRENGTH)})" if strengths[0] is None else "")
    missing = [f", {_(NO_STRENGTH)}" if strength is None else "" for strength in strengths]
    between = [f" ({step}{gap}) " for step, gap in zip(steps, missing, strict=True)]
    places = enumerate(zip(ranked, [*between, ""], strict=True), start=1)
    return "".join(f"{rank}. {labels}{step}" for rank, (labels, step) in places)


def _than(strength: int | None) -> str:
    return _(THAN[2 if strength is None else strength])


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
