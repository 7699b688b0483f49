"""From judgments to what a reward model trains on: COMPARISONS rows, raw or consensus.

Pure: JUDGMENTS rows in (as exported or snapshotted), COMPARISONS rows out; no database. Only what is_counted is
used: current, not withdrawn, not surplus, with at least two responses. People and machines are never merged
into one row.

Conventions of a row, for responses i and j:
- `soft_preference[i][j]`: weighted share of those who put i above j; a tie is_counted half to each side; null
  when never compared.
- `grade[i][j]`: weighted mean grade (0..3) of those who put i above j; null when nobody did.
- `ranks`: the weak order that all merged pairs agree with (0 best, equal = tie); null when there is none.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.preferences.weak_orders import compare, pair_strength, ranks_from_pairs
from learning.interface.record_rows import ComparisonRow

# Flags of judgments that came as single pairs of a larger question (an import): `group:` and the group's id.
# A consensus puts them together again. INTRANSITIVE_FLAG says that all pairs of the group were judged and are
# no weak order.
GROUP_FLAG = "group:"
INTRANSITIVE_FLAG = "intransitive"

TIE_TOLERANCE = 1e-9  # an even share is a tie; sums of weights are not exact

JudgmentRow = Mapping[str, Any]
Pair = tuple[str, str]


@dataclass(frozen=True)
class PairPreference:
    """What one judgment says of one pair (i, j): 1 i is better, -1 j is, 0 a tie; and how strongly."""

    sign: int
    grade: int


def is_counted(judgment: JudgmentRow) -> bool:
    """Whether a judgment has a say: the newest of its chain, not taken back, not beyond the overlap, with a
    pair in it.
    """
    return (
        judgment["is_current"]
        and not judgment["withdrawn"]
        and not judgment["surplus"]
        and len(judgment["responses"]) > 1
    )


def pair_preferences(judgment: JudgmentRow) -> dict[Pair, PairPreference]:
    """Every pair of response ids (in the order of the row's responses) with what the judgment says of it."""
    place = {response: tier for tier, responses in enumerate(judgment["tiers"]) for response in responses}
    ids = [response["response_id"] for response in judgment["responses"]]
    strengths = judgment["strengths"]
    return {
        (i, j): PairPreference(
            compare(place[j], place[i]),
            pair_strength(strengths, min(place[i], place[j]), max(place[i], place[j])),
        )
        for i, j in itertools.combinations(ids, 2)
    }


def raw_comparisons(judgments: Iterable[JudgmentRow]) -> Iterator[ComparisonRow]:
    """One row a judgment that is_counted; the group is the judgment."""
    for judgment in judgments:
        if is_counted(judgment):
            yield merge_judgments(judgment["judgment_id"], [judgment], {})


def group_judgments(judgments: Iterable[JudgmentRow]) -> Iterator[tuple[str, list[JudgmentRow]]]:
    """(group id, judgments that count) of each question: a task, or the tasks of one imported group of pairs."""
    for group, members in itertools.groupby(filter(is_counted, judgments), key=group_id):
        yield group, list(members)


def group_id(judgment: JudgmentRow) -> str:
    for flag in judgment["flags"]:
        if flag.startswith(GROUP_FLAG):
            return f"{judgment['batch']}/{flag.removeprefix(GROUP_FLAG)}"
    return str(judgment["task_id"])


def lookup_pair(of: Mapping[Pair, PairPreference], pair: Pair) -> PairPreference | None:
    if pair in of:
        return of[pair]
    turned = of.get((pair[1], pair[0]))
    return PairPreference(-turned.sign, turned.grade) if turned else None


def merge_judgments(
    group: str, judgments: Sequence[JudgmentRow], weights: Mapping[str, float]
) -> ComparisonRow:
    """Merge judgments on the same prompt into one row."""
    first = judgments[0]
    texts: dict[str, str] = {}
    for judgment in judgments:
        for response in judgment["responses"]:
            texts.setdefault(response["response_id"], response["text"])
    ids = list(texts)
    said: dict[Pair, list[tuple[str, float, PairPreference]]] = defaultdict(list)
    for judgment in judgments:
        of = pair_preferences(judgment)
        for pair in itertools.combinations(ids, 2):
            if (choice := lookup_pair(of, pair)) is not None:
                annotator = judgment["annotator"]
                said[pair].append((annotator, weights.get(annotator, 1.0), choice))
    size = len(ids)
    soft: list[list[float | None]] = [[None] * size for _ in range(size)]
    grade: list[list[float | None]] = [[None] * size for _ in range(size)]
    signs: dict[tuple[int, int], int] = {}
    for i, j in itertools.combinations(range(size), 2):
        if votes := said.get((ids[i], ids[j])):
            share = _soft_preference(votes)
            soft[i][j], soft[j][i] = share, 1 - share
            grade[i][j], grade[j][i] = _mean_strength(votes, 1), _mean_strength(votes, -1)
            signs[i, j] = 0 if abs(share - 0.5) < TIE_TOLERANCE else compare(share, 0.5)
    return {
        "group_id": group,
        "criterion": first["criterion"],
        "prompt": first["prompt"],
        "responses": list(texts.values()),
        "response_ids": ids,
        "ranks": ranks_from_pairs(size, signs),
        "grade": grade,
        "soft_preference": soft,
        "weight": 1.0,
        "n_annotators": len({judgment["annotator"] for judgment in judgments}),
        "agreement": _annotator_agreement(said.values()),
        "annotator_kind": first["annotator_kind"],
        "round": first["round"],
        "split": first["split"],
    }


def _soft_preference(votes: Sequence[tuple[str, float, PairPreference]]) -> float:
    """Weighted share for the first side, a tie half."""
    whole = sum(weight for _, weight, _ in votes)
    share = sum(weight * (1 + choice.sign) / 2 for _, weight, choice in votes) / whole
    return 0.5 if abs(share - 0.5) < TIE_TOLERANCE else share


def _mean_strength(votes: Sequence[tuple[str, float, PairPreference]], side: int) -> float | None:
    own = [(weight, choice.grade) for _, weight, choice in votes if choice.sign == side]
    return sum(weight * grade for weight, grade in own) / sum(weight for weight, _ in own) if own else None


def _annotator_agreement(said: Iterable[Sequence[tuple[str, float, PairPreference]]]) -> float | None:
    """Share of (pair of annotators, pair of responses) with the same compare; None when no two annotators share
    a pair.
    """
    same = compared = 0
    for votes in said:
        for (a, _, choice), (b, _, other) in itertools.combinations(votes, 2):
            if a != b:
                compared += 1
                same += choice.sign == other.sign
    return same / compared if compared else None
