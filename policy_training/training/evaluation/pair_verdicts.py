"""What a judge's verdicts on pairs come to: who wins a pair, the order of several answers, and how steady the judge is.

Pure. `Comparison`s are of one task each (`prompt` is its place), both orders of every pair, repeated.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Any

from policy_training.training.evaluation.figures import mean_figure
from policy_training.training.rewards.judging import Comparison, Judged, worth_of

Pair = tuple[int, int, int]  # task, the earlier of two answers, the later


def repeat_outcomes(judged: Mapping[Comparison, Judged]) -> dict[Pair, list[int | None]]:
    """Of each pair and repeat: 1 the earlier answer won, -1 the later, 0 a tie; None where one of its two orders was
    not understood. Where the orders disagree it is a tie (Zheng et al. 2023, "Judging LLM-as-a-Judge", 3.4, which calls
    it conservative).
    """
    found: dict[Pair, list[int | None]] = {}
    for one, forward in judged.items():
        if one.first > one.second:
            continue
        turned = Comparison(prompt=one.prompt, first=one.second, second=one.first, repeat=one.repeat)
        backward = judged[turned]
        outcome: int | None = None
        if forward.verdict is not None and backward.verdict is not None:
            said, said_turned = worth_of(forward.verdict), -worth_of(backward.verdict)
            outcome = said if said == said_turned else 0
        found.setdefault((one.prompt, one.first, one.second), []).append(outcome)
    return found


def pair_outcomes(judged: Mapping[Comparison, Judged]) -> dict[Pair, int | None]:
    """Over the repeats that were understood, the side that won more of them; None where none was."""
    found: dict[Pair, int | None] = {}
    for pair, outcomes in repeat_outcomes(judged).items():
        known = [outcome for outcome in outcomes if outcome is not None]
        total = sum(known)
        found[pair] = (total > 0) - (total < 0) if known else None
    return found


def tiers_of(outcomes: Mapping[tuple[int, int], int | None], size: int) -> list[list[int]] | None:
    """Places of answers, best first: by the pairs each won minus those it lost (Copeland 1951), equal ones in a tier.

    None where a pair is unclear: an order is not guessed from the others.
    """
    points = [0] * size
    for (low, high), outcome in outcomes.items():
        if outcome is None:
            return None
        points[low] += outcome
        points[high] -= outcome
    return [
        [place for place, own in enumerate(points) if own == value]
        for value in sorted(set(points), reverse=True)
    ]


def steadiness(judged: Mapping[Comparison, Judged]) -> dict[str, Any]:
    """How far the judge follows the order, and agrees with itself. Intervals are over pairs, which were drawn.

    `first_share`: of the verdicts for one answer, those for the one shown first, as {value, low, high}; 0.5 is no
    preference. `order_rate`: of the repeats understood, those in which the two orders disagree. `self_agreement`: of
    two repeats in the same order, how often the verdict is the same; None without a repeat.
    """
    first: dict[Pair, list[float]] = {}
    by_order: dict[tuple[int, int, int], list[Any]] = {}
    disagree = []
    for one, found in judged.items():
        if found.verdict is None:
            continue
        pair = (one.prompt, min(one.first, one.second), max(one.first, one.second))
        if found.verdict != "TIE":
            first.setdefault(pair, []).append(float(found.verdict == "A"))
        by_order.setdefault((one.prompt, one.first, one.second), []).append(found.verdict)
        if one.first < one.second:
            turned = Comparison(prompt=one.prompt, first=one.second, second=one.first, repeat=one.repeat)
            if (other := judged[turned].verdict) is not None:
                disagree.append(float(worth_of(found.verdict) != -worth_of(other)))
    same: dict[Pair, list[float]] = {}
    for (task, one_place, other_place), said in by_order.items():
        pair = (task, min(one_place, other_place), max(one_place, other_place))
        same.setdefault(pair, []).extend(float(a == b) for a, b in combinations(said, 2))
    agreeing = [fmean(values) for values in same.values() if values]
    return {
        "first_share": mean_figure([fmean(values) for values in first.values()]) if first else None,
        "order_rate": fmean(disagree) if disagree else None,
        "self_agreement": mean_figure(agreeing) if agreeing else None,
    }


def judged_report(judged: Mapping[Comparison, Judged], sizes: Sequence[int]) -> dict[str, Any]:
    """For result.json: what came of the tasks and pairs, how steady the judge is, and what it took."""
    outcomes = pair_outcomes(judged)
    known = [outcome for outcome in outcomes.values() if outcome is not None]
    by_task: dict[int, dict[tuple[int, int], int | None]] = {task: {} for task in range(len(sizes))}
    for (task, low, high), outcome in outcomes.items():
        by_task[task][low, high] = outcome
    tiers = [tiers_of(by_task[task], size) for task, size in enumerate(sizes)]
    return {
        "tasks": len(sizes),
        "judged": sum(found is not None for found in tiers),
        "unclear": sum(found is None for found in tiers),
        "pairs": len(outcomes),
        "unclear_pairs": len(outcomes) - len(known),
        "ties": sum(outcome == 0 for outcome in known),
        "tie_rate": sum(outcome == 0 for outcome in known) / len(known) if known else None,
        # Pairs that the order of their task does not say: of a circle, or two that others part.
        "against_the_order": sum(
            _said(found, low, high) != outcome
            for task, found in enumerate(tiers)
            if found is not None
            for (low, high), outcome in by_task[task].items()
        ),
        **steadiness(judged),
        "comparisons": len(judged),
        "not_understood": sum(found.verdict is None for found in judged.values()),
        "requests": sum(found.requests for found in judged.values()),
        "prompt_tokens": sum(found.usage.prompt_tokens for found in judged.values()),
        "reply_tokens": sum(found.usage.completion_tokens for found in judged.values()),
        "judge_seconds": math.fsum(found.seconds for found in judged.values()),
    }


def _said(tiers: Sequence[Sequence[int]], low: int, high: int) -> int:
    rank = {place: rank for rank, tier in enumerate(tiers) for place in tier}
    return (rank[high] > rank[low]) - (rank[high] < rank[low])
