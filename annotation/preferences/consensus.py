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

# Of an annotator nobody can be compared with, this is assumed; it is_counted as much as PRIOR_PAIRS compared
# pairs.
PRIOR_AGREEMENT = 0.75

PRIOR_PAIRS = 4


def consensus_comparisons(
    judgments: Iterable[JudgmentRow], weights: Mapping[str, float] | None = None
) -> Iterator[ComparisonRow]:
    """One row a task and annotator kind. `judgments` must come ordered by task.

    `weights` is the reliability of annotators by pseudonym (see `annotator_weights`); without it everybody
    is_counted the same. Pairs that an import brought as parts of one question are one row again.
    """
    for group, members in group_judgments(judgments):
        kinds = sorted({judgment["annotator_kind"] for judgment in members})
        for kind in kinds:
            own = [judgment for judgment in members if judgment["annotator_kind"] == kind]
            # The suffix keeps ids apart where people and machines judged the same task.
            name = group if kind == "person" else f"{group}:{kind}"
            yield merge_judgments(name, own, weights or {})


def annotator_weights(judgments: Iterable[JudgmentRow]) -> dict[str, float]:
    """Reliability by pseudonym, in (0, 1): how often an annotator agrees with the others of the same kind on
    the same pair.

    Same compare 1, one tie against a preference 1/2, opposite signs 0; smoothed towards PRIOR_AGREEMENT.
    `judgments` must come ordered by task. Memory grows with the number of annotators only. This is
    deliberately plain: it takes no account of the difficulty of a pair, nor of who the others are.
    """
    total: dict[str, float] = defaultdict(float)
    pairs: dict[str, int] = defaultdict(int)
    for _, members in group_judgments(judgments):
        said = [
            (judgment["annotator"], judgment["annotator_kind"], pair_preferences(judgment))
            for judgment in members
        ]
        for annotator, _, _ in said:
            pairs[annotator] += 0
        for (a, kind_a, of_a), (b, kind_b, of_b) in itertools.combinations(said, 2):
            if kind_a != kind_b or a == b:
                continue
            for pair, choice in of_a.items():
                if (other := lookup_pair(of_b, pair)) is None:
                    continue
                agreement = 1 - abs(choice.sign - other.sign) / 2
                for annotator in (a, b):
                    total[annotator] += agreement
                    pairs[annotator] += 1
    return {
        annotator: (total[annotator] + PRIOR_AGREEMENT * PRIOR_PAIRS) / (pairs[annotator] + PRIOR_PAIRS)
        for annotator in sorted(pairs)
    }
