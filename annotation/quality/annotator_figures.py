"""What is stored of each annotator on a criterion: agreement, reliability, habits. Everybody is seen in the crowd's
band.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from annotation.quality.crowd_models import dawid_skene, mace
from annotation.quality.graded_model import FITTED_VOTES, Crowd, PairVotes
from annotation.quality.rating_pairs import UnitVotes, all_pairs_of_votes
from annotation.quality.reading import TRAITS, Judgments

Array = Any
MACE_RESTARTS = 4
DAWID_SKENE_STEPS = 60
BAND_LEAST = 20  # votes: who has fewer is not in the band
BAND = (0.1, 0.5, 0.9)
CONFIDENCE = 1.959964  # standard errors of a 95 % interval


def share_of(part: float, whole: float) -> list[float | None]:
    """[share, low, high, of how many], the interval Wilson's (1927). Pairs of one ranking count as if they were
    several.
    """
    if whole <= 0:
        return [None, None, None, 0]
    p, z = part / whole, CONFIDENCE
    middle = (p + z * z / (2 * whole)) / (1 + z * z / whole)
    half = z * math.sqrt(p * (1 - p) / whole + z * z / (4 * whole * whole)) / (1 + z * z / whole)
    return [p, middle - half, middle + half, int(whole)]


class _Tallies:
    """(part, whole) by name and annotator, added up from arrays."""

    def __init__(self, keys: Array) -> None:
        self.keys = keys
        self.part: dict[str, Array] = defaultdict(lambda: np.zeros(len(keys)))
        self.whole: dict[str, Array] = defaultdict(lambda: np.zeros(len(keys)))

    def add(self, name: str, annotator_N: Array, part_N: Array, counted_N: Array | None = None) -> None:
        counted = np.ones(len(annotator_N), dtype=bool) if counted_N is None else counted_N
        place = np.searchsorted(self.keys, annotator_N[counted])
        self.part[name] += np.bincount(place, part_N[counted].astype(float), len(self.keys))
        self.whole[name] += np.bincount(place, minlength=len(self.keys))


def annotator_figures(
    judgments: Judgments,
    votes: UnitVotes,
    crowds: Mapping[str, tuple[Crowd, Array]],
    gold: Mapping[int, Any],
) -> dict[int, dict[str, Any]]:
    """By the annotator's key. `votes`: of everybody, repeats included; `crowds`: by their kind the graded model, and
    the keys of its annotators.
    """
    keys = np.unique(judgments.annotator_M)
    tallies = _Tallies(keys)
    sign, annotator = votes.votes.sign_N, votes.annotator_N
    decided = sign != 0
    _add_agreement(tallies, votes.first_votes())
    _add_consistency(tallies, votes)
    _add_gold(tallies, judgments, gold)
    tallies.add("shown_first", annotator, sign == votes.votes.shown_N, decided & (votes.votes.shown_N != 0))
    tallies.add("ties", annotator, ~decided)
    for trait, differ, prefers in _traits(judgments, votes):
        tallies.add(trait, annotator, prefers, decided & differ)
    models = _reliability(votes.first_votes())
    figures: dict[int, dict[str, Any]] = {}
    counted = np.flatnonzero(~judgments.is_gold_M)
    place_J = np.searchsorted(keys, judgments.annotator_M[counted])
    number_A = np.bincount(place_J, minlength=len(keys))
    seconds_A = _medians(place_J, judgments.seconds_M[counted], len(keys))
    for place, key in enumerate(keys.tolist()):
        figures[key] = {
            "judgments": int(number_A[place]),
            "votes": int(tallies.whole["ties"][place]),
            "seconds": seconds_A[place],
        } | {
            name: share_of(float(tallies.part[name][place]), float(tallies.whole[name][place]))
            for name in ("others", "majority", "itself", "gold", "shown_first", "ties", *TRAITS)
        }
        figures[key] |= models.get(key, {})
    for crowd, crowd_keys in crowds.values():
        for place, key in enumerate(crowd_keys.tolist()):
            for name in ("ability", "side"):
                value, error = (getattr(crowd, f"{name}{end}")[place] for end in ("_A", "_error_A"))
                half = CONFIDENCE * error
                figures[key][name] = [float(value), float(value - half), float(value + half)]
    return figures


def _medians(place_J: Array, seconds_J: Array, number: int) -> list[float | None]:
    """Of each annotator's times above 0; sorted once for all of them."""
    timed = seconds_J > 0
    place_J, seconds_J = place_J[timed], seconds_J[timed]
    order = np.lexsort((seconds_J, place_J))
    place_J, seconds_J = place_J[order], seconds_J[order]
    ends = np.searchsorted(place_J, np.arange(number + 1))
    return [
        float(np.median(seconds_J[start:end])) if end > start else None
        for start, end in zip(ends[:-1], ends[1:], strict=True)
    ]


def _add_agreement(tallies: _Tallies, votes: UnitVotes) -> None:
    """With each other annotator of the same kind, and with the majority of them (where it prefers a response)."""
    one, other = all_pairs_of_votes(votes.unit_N)
    kept = votes.kind_N[one] == votes.kind_N[other]
    one, other = one[kept], other[kept]
    sign, annotator = votes.votes.sign_N, votes.annotator_N
    same = sign[one] == sign[other]
    tallies.add("others", annotator[one], same)
    tallies.add("others", annotator[other], same)
    rest = np.bincount(one, sign[other], len(sign)) + np.bincount(other, sign[one], len(sign))
    several = np.bincount(one, minlength=len(sign)) + np.bincount(other, minlength=len(sign)) > 1
    tallies.add("majority", annotator, sign == np.sign(rest), several & (rest != 0))


def _add_consistency(tallies: _Tallies, votes: UnitVotes) -> None:
    """Of who judged a pair again: whether they said the same."""
    again = np.flatnonzero(votes.again_N)
    # Sorted by pair and annotator: the vote before it is theirs, on the same pair.
    same = votes.votes.sign_N[again] == votes.votes.sign_N[again - 1]
    tallies.add("itself", votes.annotator_N[again], same)


def _add_gold(tallies: _Tallies, judgments: Judgments, gold: Mapping[int, Any]) -> None:
    """Pairs of gold tasks: whether the known judgment has the same sign."""
    votes = judgments.votes.where(judgments.is_gold_M[judgments.votes.judgment_N])
    task = judgments.task_M[votes.judgment_N]
    rank_of = {
        (task_key, key): rank
        for task_key, tiers in gold.items()
        for rank, tier in enumerate(tiers)
        for key in tier
    }
    missing = 10**6
    first, second = (
        np.array(
            [rank_of.get(pair, missing) for pair in zip(task.tolist(), column.tolist(), strict=True)],
            dtype=int,
        )
        for column in (votes.first_N, votes.second_N)
    )
    known = (first != missing) & (second != missing)
    tallies.add(
        "gold", judgments.annotator_M[votes.judgment_N], np.sign(second - first) == votes.sign_N, known
    )


def _traits(judgments: Judgments, votes: UnitVotes) -> list[tuple[str, Array, Array]]:
    """(trait, whether the two differ in it, whether the one with more of it was preferred)."""
    found = []
    responses = np.unique(np.r_[votes.votes.first_N, votes.votes.second_N])
    values = np.array([judgments.traits_of[key] for key in responses.tolist()]).reshape(-1, len(TRAITS))
    first = values[np.searchsorted(responses, votes.votes.first_N)]
    second = values[np.searchsorted(responses, votes.votes.second_N)]
    for place, trait in enumerate(TRAITS):
        more = np.sign(first[:, place] - second[:, place])
        found.append((trait, more != 0, more == votes.votes.sign_N))
    return found


def _reliability(votes: UnitVotes) -> dict[int, dict[str, Any]]:
    """MACE's competence and Dawid and Skene's accuracy, of people and of machines each by themselves; from a part of
    the pairs where there are very many.
    """
    found: dict[int, dict[str, Any]] = {}
    for kind in sorted(set(votes.kind_N.tolist())):
        mine = votes.where(votes.kind_N == kind)
        keys, annotator = np.unique(mine.annotator_N, return_inverse=True)
        if len(keys) < 2:
            continue
        units, unit = np.unique(mine.unit_N, return_inverse=True)
        label = mine.votes.sign_N + 1
        if len(unit) > FITTED_VOTES:
            kept = (np.random.default_rng(0).random(len(units)) < FITTED_VOTES / len(unit))[unit]
            known = np.unique(annotator[kept])
            keys, annotator, label = keys[known], np.searchsorted(known, annotator[kept]), label[kept]
            unit = np.unique(unit[kept], return_inverse=True)[1]
        competence = mace(unit, annotator, label, 3, restarts=MACE_RESTARTS).competence_A
        skene = dawid_skene(unit, annotator, label, 3, iterations=DAWID_SKENE_STEPS)
        right = np.einsum("acc,c->a", skene.error_rates_ACC, skene.prevalence_C)
        for place, key in enumerate(keys.tolist()):
            found[key] = {"competence": float(competence[place]), "dawid_skene": float(right[place])}
    return found


def model_votes(votes: UnitVotes) -> tuple[PairVotes, Array, Array]:
    """(votes of the graded model, the keys of its annotators, the places of its pairs in `unit_N`)."""
    keys, annotator = np.unique(votes.annotator_N, return_inverse=True)
    units, unit = np.unique(votes.unit_N, return_inverse=True)
    pair_votes = PairVotes(unit, annotator, votes.votes.sign_N, votes.votes.grade_N, votes.votes.shown_N)
    return pair_votes, keys, units


def bands(figures: Mapping[int, Mapping[str, Any]], kinds: Mapping[int, str]) -> dict[str, dict[str, Any]]:
    """By kind and figure: [the lowest tenth's end, the middle, the highest tenth's begin] of the annotators with
    BAND_LEAST votes or more.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind in sorted(set(kinds.values())):
        rows = [row for key, row in figures.items() if kinds[key] == kind and row["votes"] >= BAND_LEAST]
        values: dict[str, list[float]] = defaultdict(list)
        for row in rows:
            for name, value in row.items():
                if isinstance(value, list):
                    # A share of few is no habit.
                    enough = len(value) == 3 or value[3] >= BAND_LEAST
                    value = value[0] if enough else None
                if value is not None:
                    values[name].append(value)
        found[kind] = {
            name: [*map(float, np.quantile(known, BAND)), len(known)]
            for name, known in values.items()
            if len(known) > 2
        }
    return found
