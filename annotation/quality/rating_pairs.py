"""Votes of two annotators on the same pair of responses, side by side. Pure functions of arrays.

Suffixes: N votes, P pairs of votes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.quality.reading import Judgments, Votes

Array = Any


@dataclass(frozen=True)
class UnitVotes:
    """Votes with what they are on and whose they are. unit_N: 0, 1, ... for each pair of responses, another one where
    policies are compared on it head to head; task_N, batch_N, annotator_N: keys; again_N: True where the annotator had
    judged this pair before.
    """

    votes: Votes
    unit_N: Array
    task_N: Array
    batch_N: Array
    annotator_N: Array
    kind_N: Array
    again_N: Array

    def where(self, kept_N: Array) -> "UnitVotes":
        columns = (self.unit_N, self.task_N, self.batch_N, self.annotator_N, self.kind_N, self.again_N)
        return UnitVotes(self.votes.where(kept_N), *(column[kept_N] for column in columns))

    def first_votes(self) -> "UnitVotes":
        """Each annotator once for each pair: what they said first."""
        return self.where(~self.again_N)


def unit_votes(judgments: Judgments) -> UnitVotes:
    """All votes of a criterion but those on gold, whose answer is no question.

    What is said head to head measures a policy: it is no part of the label of a usual task of the same responses, which
    a reward model may learn that is measured on the former.
    """
    votes = judgments.votes.where(~judgments.is_gold_M[judgments.votes.judgment_N])
    of = votes.judgment_N
    annotator = judgments.annotator_M[of]
    # Judgments are in the order of their keys, and a stable sort keeps it.
    measures = judgments.is_head_to_head_M[of]
    order = np.lexsort((of, annotator, measures, votes.second_N, votes.first_N))
    votes, of, annotator, measures = votes.where(order), of[order], annotator[order], measures[order]
    is_new = _differs(votes.first_N, votes.second_N, measures)
    return UnitVotes(
        votes=votes,
        unit_N=np.cumsum(is_new) - 1,
        task_N=judgments.task_M[of],
        batch_N=judgments.batch_M[of],
        annotator_N=annotator,
        kind_N=judgments.kind_M[of],
        again_N=~_differs(votes.first_N, votes.second_N, measures, annotator),
    )


def _differs(*columns: Array) -> Array:
    """Whether each row differs from the one before."""
    if not len(columns[0]):
        return np.zeros(0, dtype=bool)
    return np.r_[True, np.any([column[1:] != column[:-1] for column in columns], axis=0)]


def pairs_of_votes(unit_N: Array) -> Iterator[tuple[Array, Array]]:
    """(one_P, other_P): the places of every two votes on the same unit, in parts. `unit_N` is sorted."""
    for apart in range(1, len(unit_N)):
        one = np.flatnonzero(unit_N[apart:] == unit_N[:-apart])
        if not len(one):
            return
        yield one, one + apart


def all_pairs_of_votes(unit_N: Array) -> tuple[Array, Array]:
    parts = list(pairs_of_votes(unit_N))
    if not parts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    one, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    return one, other
