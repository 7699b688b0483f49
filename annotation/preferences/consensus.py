"""Several annotators of one question as one row, weighed by their reliability. Pure functions."""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from annotation.preferences.comparisons import (
    JudgmentRow,
    group_judgments,
    lookup_pair,
    merge_judgments,
    pair_preferences,
)
from learning.interface.record_rows import ComparisonRow
from learning.interface.vocabulary import PERSON

# The agreement assumed of an annotator whom nobody can be compared with; it weighs as much as PRIOR_PAIRS compared
# pairs.
PRIOR_AGREEMENT = 0.75
PRIOR_PAIRS = 4


def consensus_comparisons(
    judgments: Iterable[JudgmentRow], weights: Mapping[str, float] | None = None
) -> Iterator[ComparisonRow]:
    """One row for each task and annotator kind. `judgments` must come ordered by task.

    `weights` is the reliability of annotators by pseudonym (see `annotator_weights`); without it everybody counts the
    same. Pairs that an import brought as parts of one question are one row again.
    """
    for group_id, same_kind in judgments_by_question(judgments):
        yield merge_judgments(group_id, same_kind, weights or {})


def judgments_by_question(judgments: Iterable[JudgmentRow]) -> Iterator[tuple[str, list[JudgmentRow]]]:
    """(group id, judgments that count) of each question and annotator kind: people and machines are never merged."""
    for group, members in group_judgments(judgments):
        for annotator_kind in sorted({judgment["annotator_kind"] for judgment in members}):
            same_kind = [judgment for judgment in members if judgment["annotator_kind"] == annotator_kind]
            # The suffix keeps ids apart where people and machines judged the same task.
            yield group if annotator_kind == PERSON else f"{group}:{annotator_kind}", same_kind


def annotator_weights(judgments: Iterable[JudgmentRow]) -> dict[str, float]:
    """Reliability by pseudonym, in (0, 1): how often an annotator agrees with others of the same kind on a pair.

    Same sign 1, a tie against a preference 1/2, opposite signs 0; smoothed towards PRIOR_AGREEMENT. `judgments` must
    come ordered by task. Memory grows with the number of annotators only. This is deliberately plain: it takes no
    account of the difficulty of a pair, nor of who the others are.
    """
    total_agreement: dict[str, float] = defaultdict(float)
    compared_pairs: dict[str, int] = defaultdict(int)
    for _, members in group_judgments(judgments):
        preferences = [
            (judgment["annotator"], judgment["annotator_kind"], pair_preferences(judgment))
            for judgment in members
        ]
        for annotator, _, _ in preferences:
            compared_pairs[annotator] += 0
        for (a, kind_a, pairs_a), (b, kind_b, pairs_b) in itertools.combinations(preferences, 2):
            if kind_a != kind_b or a == b:
                continue
            for pair, preference in pairs_a.items():
                if (other := lookup_pair(pairs_b, pair)) is None:
                    continue
                agreement = 1 - abs(preference.sign - other.sign) / 2
                for annotator in (a, b):
                    total_agreement[annotator] += agreement
                    compared_pairs[annotator] += 1
    return {
        annotator: (total_agreement[annotator] + PRIOR_AGREEMENT * PRIOR_PAIRS)
        / (compared_pairs[annotator] + PRIOR_PAIRS)
        for annotator in sorted(compared_pairs)
    }
