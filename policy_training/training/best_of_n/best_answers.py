"""Which of the answers to a prompt best-of-n keeps. Pure; nothing here knows models."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from policy_training.training.best_of_n.config import CandidateOptions


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An answer to a prompt, with the score of the reward model."""

    text: str
    score: float
    ended: bool


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
