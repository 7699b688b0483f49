"""Who wins on a prompt, by the scores of two policies' answers to it. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from learning.interface.proportions import wilson_interval

MAX_TAGS = 100


def verdicts(
    ours: Mapping[str, Sequence[float]],
    theirs: Mapping[str, Sequence[float]],
    tags: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Prompts won, tied and lost by the mean score of the answers to each, and the same for each tag of the prompts
    (the first MAX_TAGS by name). All three arguments are by prompt id.
    """
    outcomes = {
        prompt: _outcome(sum(scores) / len(scores), sum(theirs[prompt]) / len(theirs[prompt]))
        for prompt, scores in ours.items()
    }
    by_tag: dict[str, list[str]] = {}
    for prompt, outcome in outcomes.items():
        for tag in set(tags.get(prompt, ())):
            by_tag.setdefault(tag, []).append(outcome)
    return {
        **_counts(list(outcomes.values())),
        "by_tag": {tag: _counts(by_tag[tag]) for tag in sorted(by_tag)[:MAX_TAGS]},
    }


def _outcome(ours: float, theirs: float) -> str:
    return "win" if ours > theirs else "lose" if ours < theirs else "tie"


def _counts(outcomes: Sequence[str]) -> dict[str, Any]:
    """`share`: of the prompts won, a tie half; with Wilson's 95 % interval."""
    counts = {name: outcomes.count(name) for name in ("win", "tie", "lose")}
    won = counts["win"] + counts["tie"] / 2
    return {
        **counts,
        "share": won / len(outcomes) if outcomes else None,
        "interval": list(wilson_interval(won, len(outcomes))),
    }
