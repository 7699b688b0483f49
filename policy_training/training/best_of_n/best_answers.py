"""Which of the answers to a prompt best-of-n keeps. Pure; nothing here knows models."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.interface.proportions import Z_95
from policy_training.training.best_of_n.config import CandidateOptions


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where an answer came from. Of samples of this run `is_stored` is false and `round` None."""

    is_stored: bool
    source: str  # policy, person, reference or import
    policy: str | None = None
    round: int | None = None
    temperature: float | None = None


SAMPLED_HERE = Origin(is_stored=False, source="policy")


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An answer to a prompt, with the score of the reward model."""

    text: str
    score: float
    ended: bool
    origin: Origin = SAMPLED_HERE


def best_answers(candidates: Sequence[Candidate], options: CandidateOptions) -> list[int]:
    """Places of those that are learned, best first; of equal scores the one sampled first comes first."""
    first_of: dict[str, int] = {}
    for place, candidate in enumerate(candidates):
        if options.min_score is not None and candidate.score < options.min_score:
            continue
        if candidate.ended or not options.only_ended:
            first_of.setdefault(candidate.text, place)
    ranked = sorted(first_of.values(), key=lambda place: (-candidates[place].score, place))
    kept = ranked[: options.keep]
    if options.ties == "all" and kept:
        last = candidates[kept[-1]].score
        kept += [place for place in ranked[options.keep :] if candidates[place].score == last]
    return kept


def kl_bound(n: int) -> float:
    """Of the best of n independent samples to the policy they come from, nats a response: log n - (n - 1) / n.

    Exact where no two responses share a score (Stiennon et al. 2020, appendix G.3), else an upper bound. To what was
    sampled: where that was truncated (top_p, top_k, repetition penalty), not to the policy.
    """
    return math.log(n) - (n - 1) / n


def origin_figures(
    candidates: Mapping[str, Sequence[Candidate]], kept: Mapping[str, Sequence[Candidate]]
) -> list[dict[str, Any]]:
    """Of each origin: how many candidates it gave and their mean score, how many of them are learned and theirs.

    Both by prompt. Where two origins said the same text, the one that is counted is the one that said it first.
    """
    found: dict[Origin, tuple[list[float], list[float]]] = {}
    for place, groups in enumerate((candidates, kept)):
        for group in groups.values():
            for candidate in group:
                found.setdefault(candidate.origin, ([], []))[place].append(candidate.score)
    return [
        {
            "is_stored": origin.is_stored,
            "source": origin.source,
            "policy": origin.policy,
            "round": origin.round,
            "temperature": origin.temperature,
            "candidates": len(every),
            "candidate_score": _mean(every),
            "kept": len(chosen),
            "kept_score": _mean(chosen),
        }
        for origin, (every, chosen) in found.items()
    ]


def gain_over_mean(
    candidates: Mapping[str, Sequence[Candidate]], kept: Mapping[str, Sequence[Candidate]]
) -> dict[str, float] | None:
    """Mean over prompts of (mean score of what is learned - mean score of all candidates), with its 95 % interval from
    the prompts' spread (normal; equal to the mean where there is one prompt). Prompts with nothing to learn are left
    out; None where all are.
    """
    gains = [
        math.fsum(one.score for one in chosen) / len(chosen)
        - math.fsum(one.score for one in candidates[prompt_id]) / len(candidates[prompt_id])
        for prompt_id, chosen in kept.items()
        if chosen
    ]
    if not gains:
        return None
    mean, n = math.fsum(gains) / len(gains), len(gains)
    spread = math.fsum((gain - mean) ** 2 for gain in gains)
    half = Z_95 * math.sqrt(spread / (n - 1) / n) if n > 1 else 0.0
    return {"value": mean, "low": mean - half, "high": mean + half, "prompts": n}


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
