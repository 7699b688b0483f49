"""From judgments to what a reward model trains on: COMPARISONS rows.

Pure: JUDGMENTS rows in (as exported or frozen in a dataset), COMPARISONS rows out; no database. Only judgments that
count are used: current, not withdrawn, not surplus, with at least two responses. People and machines are never
merged into one row.

Conventions of a row, for responses i and j:
- `soft_preference[i][j]`: weighted share of those who put i above j; a tie counts half to each; null when never
  compared, or by people of weight 0 alone. Where a judgment has a `consensus` on the pair
  (annotation/datasets/consensus_labels.py), that; but a pair that all call a tie stays one: the model's label is hardly
  ever even, and most losses read only its side.
- `grade[i][j]`: weighted mean strength (0..3) of those who put i above j and said how much better; null when nobody
  did.
- `weight`: the mean of its annotators' weights: 1, or what a judgment has under `weight`
  (annotation/datasets/frozen_weights.py).
- `ranks`: the weak order that all merged pairs agree with (0 best, equal = tie); null when there is none.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from annotation.preferences.flags import find_group
from annotation.preferences.weak_orders import compare, pair_strength, ranks_from_pairs
from learning.interface.record_rows import ComparisonRow

TIE_TOLERANCE = 1e-9  # an even share is a tie; sums of weights are not exact

JudgmentRow = Mapping[str, Any]
Pair = tuple[str, str]


@dataclass(frozen=True)
class PairPreference:
    """What one judgment says of one pair (i, j): 1 i is better, -1 j is, 0 a tie; and how strongly (None: not said)."""

    sign: int
    strength: int | None

    def swapped(self) -> "PairPreference":
        """The same of the pair (j, i)."""
        return PairPreference(-self.sign, self.strength)


@dataclass(frozen=True)
class Vote:
    """One annotator's preference for a pair, with the annotator's weight."""

    annotator: str
    weight: float
    preference: PairPreference


def is_counted(judgment: JudgmentRow) -> bool:
    """Whether a judgment counts: the head of its chain, not withdrawn, not surplus, with a pair in it."""
    return (
        judgment["is_current"]
        and not judgment["withdrawn"]
        and not judgment["surplus"]
        and len(judgment["responses"]) > 1
    )


def counted_rows(judgments: pa.Table | pa.RecordBatch) -> Any:
    """The same of JUDGMENTS as columns: an array of truth values."""
    dropped = pc.or_(judgments["withdrawn"], judgments["surplus"])
    has_pair = pc.greater(pc.list_value_length(judgments["responses"]), 1)
    counted = pc.and_(pc.and_(judgments["is_current"], pc.invert(dropped)), has_pair)
    return counted.combine_chunks() if isinstance(counted, pa.ChunkedArray) else counted


def pair_preferences(judgment: JudgmentRow) -> dict[Pair, PairPreference]:
    """Every pair of response ids (in the order of the row's responses) with what the judgment says of it."""
    rank = {response: tier for tier, responses in enumerate(judgment["tiers"]) for response in responses}
    ids = [response["response_id"] for response in judgment["responses"]]
    strengths = judgment["strengths"]
    return {
        (i, j): PairPreference(
            compare(rank[j], rank[i]),
            pair_strength(strengths, min(rank[i], rank[j]), max(rank[i], rank[j])),
        )
        for i, j in itertools.combinations(ids, 2)
    }


def lookup_pair(preferences: Mapping[Pair, PairPreference], pair: Pair) -> PairPreference | None:
    """The preference for a pair, stored in this order or in the other."""
    if pair in preferences:
        return preferences[pair]
    swapped = preferences.get((pair[1], pair[0]))
    return swapped.swapped() if swapped else None


def raw_comparisons(judgments: Iterable[JudgmentRow]) -> Iterator[ComparisonRow]:
    """One row for each judgment that counts; the group is the judgment."""
    for judgment in judgments:
        if is_counted(judgment):
            yield merge_judgments(judgment["judgment_id"], [judgment], {})


def group_judgments(judgments: Iterable[JudgmentRow]) -> Iterator[tuple[str, list[JudgmentRow]]]:
    """(group id, judgments that count) of each question: a task, or the tasks of one imported group of pairs."""
    for group, members in itertools.groupby(filter(is_counted, judgments), key=group_id):
        # A group is one question: whatever a file called a group, answers to different prompts are never merged.
        questions: dict[str, list[JudgmentRow]] = {}
        for judgment in members:
            questions.setdefault(json.dumps(judgment["prompt"], sort_keys=True), []).append(judgment)
        for number, same_prompt in enumerate(questions.values()):
            yield group if number == 0 else f"{group}/{same_prompt[0]['task_id']}", same_prompt


def group_id(judgment: JudgmentRow) -> str:
    group = find_group(judgment["flags"])
    return str(judgment["task_id"]) if group is None else f"{judgment['batch']}/{group}"


def merge_judgments(
    group: str, judgments: Sequence[JudgmentRow], weights: Mapping[str, float]
) -> ComparisonRow:
    """Merge judgments on the same prompt into one row."""
    first = judgments[0]
    responses: dict[str, Mapping[str, Any]] = {}
    for judgment in judgments:
        for response in judgment["responses"]:
            responses.setdefault(response["response_id"], response)
    ids = list(responses)
    turns = [response.get("turns") for response in responses.values()]
    place = {response: index for index, response in enumerate(ids)}
    votes_of: dict[tuple[int, int], list[Vote]] = defaultdict(list)
    for judgment in judgments:
        annotator = judgment["annotator"]
        # Over the pairs of the judgment, not of the whole group: the cost grows with what was judged.
        for (a, b), preference in pair_preferences(judgment).items():
            i, j = place[a], place[b]
            weight = judgment.get("weight", weights.get(annotator, 1.0))
            vote = Vote(annotator, weight, preference if i < j else preference.swapped())
            votes_of[min(i, j), max(i, j)].append(vote)
    size = len(ids)
    soft: list[list[float | None]] = [[None] * size for _ in range(size)]
    grade: list[list[float | None]] = [[None] * size for _ in range(size)]
    signs: dict[tuple[int, int], int] = {}
    labels = {pair: label for judgment in judgments for pair, label in judgment.get("consensus", {}).items()}
    for (i, j), votes in votes_of.items():
        share = _find_label(labels, ids[i], ids[j])
        if share is None or not any(vote.preference.sign for vote in votes):
            share = _soft_preference(votes)
        if share is None:
            continue
        soft[i][j], soft[j][i] = share, 1 - share
        grade[i][j], grade[j][i] = _mean_strength(votes, 1), _mean_strength(votes, -1)
        signs[i, j] = 0 if abs(share - 0.5) < TIE_TOLERANCE else compare(share, 0.5)
    return {
        "group_id": group,
        "criterion": first["criterion"],
        "prompt": first["prompt"],
        "responses": [response["text"] for response in responses.values()],
        # Absent in the files of datasets that were frozen before it was recorded.
        "ended": [response.get("ended") for response in responses.values()],
        "response_ids": ids,
        "ranks": ranks_from_pairs(size, signs),
        "grade": grade,
        "soft_preference": soft,
        "weight": fmean({one["annotator"]: one.get("weight", 1.0) for one in judgments}.values()),
        "n_annotators": len({judgment["annotator"] for judgment in judgments}),
        "agreement": _annotator_agreement(votes_of.values()),
        "annotator_kind": first["annotator_kind"],
        "round": first["round"],
        "split": first["split"],
        "turns": turns if any(turns) else None,
        "source_id": _if_shared([judgment.get("source_id") for judgment in judgments]),
        "metadata": _if_shared([judgment.get("metadata") for judgment in judgments]),
    }


def _find_label(labels: Mapping[Pair, float], first: str, second: str) -> float | None:
    if (label := labels.get((first, second))) is not None:
        return label
    swapped = labels.get((second, first))
    return None if swapped is None else 1 - swapped


def agreement_between(judgments: Iterable[JudgmentRow]) -> float | None:
    """How alike judgments of one question are, as `agreement` of a COMPARISONS row; None for fewer than two people."""
    votes_of: dict[Pair, list[Vote]] = defaultdict(list)
    for judgment in judgments:
        for (i, j), preference in pair_preferences(judgment).items():
            pair, said = ((i, j), preference) if i < j else ((j, i), preference.swapped())
            votes_of[pair].append(Vote(judgment["annotator"], 1.0, said))
    return _annotator_agreement(votes_of.values())


def _if_shared(values: Sequence[str | None]) -> str | None:
    """What all judgments say; of several that differ, each says its own in the judgments."""
    return values[0] if all(value == values[0] for value in values) else None


def _soft_preference(votes: Sequence[Vote]) -> float | None:
    """Weighted share for the first response of the pair, a tie half; None where nobody counts."""
    if not (total := sum(vote.weight for vote in votes)):
        return None
    share = sum(vote.weight * (1 + vote.preference.sign) / 2 for vote in votes) / total
    return 0.5 if abs(share - 0.5) < TIE_TOLERANCE else share


def _mean_strength(votes: Sequence[Vote], sign: int) -> float | None:
    """Weighted mean over the votes with this sign and a strength; None when there are none."""
    given = [
        (vote.weight, vote.preference.strength)
        for vote in votes
        if vote.preference.sign == sign and vote.preference.strength is not None and vote.weight > 0
    ]
    if not given:
        return None
    return sum(weight * strength for weight, strength in given) / sum(weight for weight, _ in given)


def _annotator_agreement(votes_by_pair: Iterable[Sequence[Vote]]) -> float | None:
    """Share of (pair of annotators, pair of responses) with the same sign; None when no two annotators share a pair."""
    same = compared = 0
    for votes in votes_by_pair:
        for a, b in itertools.combinations(votes, 2):
            if a.annotator != b.annotator:
                compared += 1
                same += a.preference.sign == b.preference.sign
    return same / compared if compared else None
