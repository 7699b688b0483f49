"""From judgments to what a reward model trains on: COMPARISONS rows, raw or consensus.

Pure: JUDGMENTS rows in (as exported or snapshotted), COMPARISONS rows out; no database. Only what counts is
used: current, not withdrawn, not surplus, with at least two responses. People and machines are never merged
into one row.

Conventions of a row, for responses i and j:
- `soft_preference[i][j]`: weighted share of those who put i above j; a tie counts half to each side; null
  when never compared.
- `grade[i][j]`: weighted mean grade (0..3) of those who put i above j; null when nobody did.
- `ranks`: the weak order that all merged pairs agree with (0 best, equal = tie); null when there is none.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.weak_orders import grade_between, ranks_of_signs, sign
from learning.records import ComparisonRow

# Flags of judgments that came as single pairs of a larger question (an import): `group:` and the group's id.
# A consensus puts them together again. INTRANSITIVE_FLAG says that all pairs of the group were judged and are
# no weak order.
GROUP_FLAG = "group:"
INTRANSITIVE_FLAG = "intransitive"

EVEN = 1e-9  # an even share is a tie; sums of weights are not exact
# Of an annotator nobody can be compared with, this is assumed; it counts as much as PRIOR_PAIRS compared
# pairs.
PRIOR_AGREEMENT = 0.75
PRIOR_PAIRS = 4

JudgmentRow = Mapping[str, Any]
Pair = tuple[str, str]


@dataclass(frozen=True)
class Choice:
    """What one judgment says of one pair (i, j): 1 i is better, -1 j is, 0 a tie; and how strongly."""

    sign: int
    grade: int


def counts(judgment: JudgmentRow) -> bool:
    """Whether a judgment has a say: the newest of its chain, not taken back, not beyond the overlap, with a
    pair in it.
    """
    return (
        judgment["is_current"]
        and not judgment["withdrawn"]
        and not judgment["surplus"]
        and len(judgment["responses"]) > 1
    )


def choices(judgment: JudgmentRow) -> dict[Pair, Choice]:
    """Every pair of response ids (in the order of the row's responses) with what the judgment says of it."""
    place = {response: tier for tier, responses in enumerate(judgment["tiers"]) for response in responses}
    ids = [response["response_id"] for response in judgment["responses"]]
    strengths = judgment["strengths"]
    return {
        (i, j): Choice(
            sign(place[j], place[i]),
            grade_between(strengths, min(place[i], place[j]), max(place[i], place[j])),
        )
        for i, j in itertools.combinations(ids, 2)
    }


def raw_comparisons(judgments: Iterable[JudgmentRow]) -> Iterator[ComparisonRow]:
    """One row a judgment that counts; the group is the judgment."""
    for judgment in judgments:
        if counts(judgment):
            yield _comparison(judgment["judgment_id"], [judgment], {})


def consensus_comparisons(
    judgments: Iterable[JudgmentRow], weights: Mapping[str, float] | None = None
) -> Iterator[ComparisonRow]:
    """One row a task and annotator kind. `judgments` must come ordered by task.

    `weights` is the reliability of annotators by pseudonym (see `annotator_weights`); without it everybody
    counts the same. Pairs that an import brought as parts of one question are one row again.
    """
    for group, members in groups_of(judgments):
        kinds = sorted({judgment["annotator_kind"] for judgment in members})
        for kind in kinds:
            own = [judgment for judgment in members if judgment["annotator_kind"] == kind]
            # The suffix keeps ids apart where people and machines judged the same task.
            name = group if kind == "person" else f"{group}:{kind}"
            yield _comparison(name, own, weights or {})


def groups_of(judgments: Iterable[JudgmentRow]) -> Iterator[tuple[str, list[JudgmentRow]]]:
    """(group id, judgments that count) of each question: a task, or the tasks of one imported group of pairs."""
    for group, members in itertools.groupby(filter(counts, judgments), key=group_of):
        yield group, list(members)


def group_of(judgment: JudgmentRow) -> str:
    for flag in judgment["flags"]:
        if flag.startswith(GROUP_FLAG):
            return f"{judgment['batch']}/{flag.removeprefix(GROUP_FLAG)}"
    return str(judgment["task_id"])


def annotator_weights(judgments: Iterable[JudgmentRow]) -> dict[str, float]:
    """Reliability by pseudonym, in (0, 1): how often an annotator agrees with the others of the same kind on
    the same pair.

    Same sign 1, one tie against a preference 1/2, opposite signs 0; smoothed towards PRIOR_AGREEMENT.
    `judgments` must come ordered by task. Memory grows with the number of annotators only. This is
    deliberately plain: it takes no account of the difficulty of a pair, nor of who the others are.
    """
    total: dict[str, float] = defaultdict(float)
    pairs: dict[str, int] = defaultdict(int)
    for _, members in groups_of(judgments):
        said = [
            (judgment["annotator"], judgment["annotator_kind"], choices(judgment)) for judgment in members
        ]
        for annotator, _, _ in said:
            pairs[annotator] += 0
        for (a, kind_a, of_a), (b, kind_b, of_b) in itertools.combinations(said, 2):
            if kind_a != kind_b or a == b:
                continue
            for pair, choice in of_a.items():
                if (other := _said_of(of_b, pair)) is None:
                    continue
                agreement = 1 - abs(choice.sign - other.sign) / 2
                for annotator in (a, b):
                    total[annotator] += agreement
                    pairs[annotator] += 1
    return {
        annotator: (total[annotator] + PRIOR_AGREEMENT * PRIOR_PAIRS) / (pairs[annotator] + PRIOR_PAIRS)
        for annotator in sorted(pairs)
    }


def _said_of(of: Mapping[Pair, Choice], pair: Pair) -> Choice | None:
    if pair in of:
        return of[pair]
    turned = of.get((pair[1], pair[0]))
    return Choice(-turned.sign, turned.grade) if turned else None


def _comparison(group: str, judgments: Sequence[JudgmentRow], weights: Mapping[str, float]) -> ComparisonRow:
    """Merge judgments on the same prompt into one row."""
    first = judgments[0]
    texts: dict[str, str] = {}
    for judgment in judgments:
        for response in judgment["responses"]:
            texts.setdefault(response["response_id"], response["text"])
    ids = list(texts)
    said: dict[Pair, list[tuple[str, float, Choice]]] = defaultdict(list)
    for judgment in judgments:
        of = choices(judgment)
        for pair in itertools.combinations(ids, 2):
            if (choice := _said_of(of, pair)) is not None:
                annotator = judgment["annotator"]
                said[pair].append((annotator, weights.get(annotator, 1.0), choice))
    size = len(ids)
    soft: list[list[float | None]] = [[None] * size for _ in range(size)]
    grade: list[list[float | None]] = [[None] * size for _ in range(size)]
    signs: dict[tuple[int, int], int] = {}
    for i, j in itertools.combinations(range(size), 2):
        if votes := said.get((ids[i], ids[j])):
            share = _share(votes)
            soft[i][j], soft[j][i] = share, 1 - share
            grade[i][j], grade[j][i] = _mean_grade(votes, 1), _mean_grade(votes, -1)
            signs[i, j] = 0 if abs(share - 0.5) < EVEN else sign(share, 0.5)
    return {
        "group_id": group,
        "criterion": first["criterion"],
        "prompt": first["prompt"],
        "responses": list(texts.values()),
        "response_ids": ids,
        "ranks": ranks_of_signs(size, signs),
        "grade": grade,
        "soft_preference": soft,
        "weight": 1.0,
        "n_annotators": len({judgment["annotator"] for judgment in judgments}),
        "agreement": _agreement(said.values()),
        "annotator_kind": first["annotator_kind"],
        "round": first["round"],
        "split": first["split"],
    }


def _share(votes: Sequence[tuple[str, float, Choice]]) -> float:
    """Weighted share for the first side, a tie half."""
    whole = sum(weight for _, weight, _ in votes)
    share = sum(weight * (1 + choice.sign) / 2 for _, weight, choice in votes) / whole
    return 0.5 if abs(share - 0.5) < EVEN else share


def _mean_grade(votes: Sequence[tuple[str, float, Choice]], side: int) -> float | None:
    own = [(weight, choice.grade) for _, weight, choice in votes if choice.sign == side]
    return sum(weight * grade for weight, grade in own) / sum(weight for weight, _ in own) if own else None


def _agreement(said: Iterable[Sequence[tuple[str, float, Choice]]]) -> float | None:
    """Share of (pair of annotators, pair of responses) with the same sign; None when no two annotators share
    a pair.
    """
    same = compared = 0
    for votes in said:
        for (a, _, choice), (b, _, other) in itertools.combinations(votes, 2):
            if a != b:
                compared += 1
                same += choice.sign == other.sign
    return same / compared if compared else None
