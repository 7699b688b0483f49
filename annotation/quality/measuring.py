"""Everything that is stored of one criterion, from its judgments. Nothing here asks the database."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.quality.agreement import cohen_kappa
from annotation.quality.annotator_figures import annotator_figures, bands, model_votes
from annotation.quality.graded_model import Consensus, Crowd, consensus, fit_crowd
from annotation.quality.leaderboard import NotConnected, fit_leaderboard
from annotation.quality.rating_pairs import UnitVotes, all_pairs_of_votes, unit_votes
from annotation.quality.reading import Judgments
from annotation.quality.scopes import agreement_figures, machine_figures, machines_by_batch, tau_figures

Array = Any
PERSON = "person"
LEAST_TOGETHER = 5  # pairs of responses that two annotators share, for a row of their own
MOST_ANNOTATOR_PAIRS = 20_000  # rows; those with most in common
TASKS_APART = 100  # listed of two annotators, the farthest apart first
MOST_SOURCES = 100


@dataclass(frozen=True)
class AgreementRow:
    batch: int | None  # None: the criterion as a whole
    kind: str
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class AnnotatorPairRow:
    one: int
    other: int
    pairs: int
    same: int
    kappa: float | None
    kappa_error: float | None
    apart: list[list[int]]  # [batch, task] where they prefer different responses


@dataclass(frozen=True)
class ConsensusRow:
    task: int
    annotators: int
    certainty: float  # of the least certain pair: 0 even, 1 no doubt which response is better
    pairs: list[list[float]]  # [first, second, preference, low, high]


@dataclass(frozen=True)
class Measures:
    agreement: list[AgreementRow]
    annotators: Mapping[int, Mapping[str, Any]]
    annotator_pairs: list[AnnotatorPairRow]
    consensus: list[ConsensusRow]
    summary: Mapping[
        str, Any
    ]  # machines, bands, leaderboard, how grades are used, how many rows were left out


def measure(
    judgments: Judgments, gold: Mapping[int, Any], say: Callable[[str], None] = lambda stage: None
) -> Measures:
    votes = unit_votes(judgments)
    first = votes.first_votes()
    kinds = dict(zip(judgments.annotator_M.tolist(), judgments.kind_M.tolist(), strict=True))
    main = main_kind(first)
    say("agreement")
    agreement = _agreement(judgments, first)
    say("annotators")
    crowds = {kind: _crowd(first.where(first.kind_N == kind)) for kind in sorted(set(first.kind_N.tolist()))}
    known = crowds.get(main)
    figures: dict[int, dict[str, Any]] = annotator_figures(
        judgments, votes, {kind: crowd[:2] for kind, crowd in crowds.items() if crowd}, gold
    )
    say("pairs of annotators")
    pairs, left_out = _annotator_pairs(first)
    say("consensus")
    found = _consensus_rows(first.where(first.kind_N == main), known[2], known[3]) if known else []
    summary = {
        "kind": main,
        "machines": machine_figures(first, kinds),
        "machines_by_batch": machines_by_batch(first, kinds),
        "bands": bands(figures, kinds),
        "leaderboard": _leaderboard(judgments, first.where(first.kind_N == main)),
        "pairs_left_out": left_out,
        "crowd": None
        if known is None
        else {
            "ability": known[0].mean_ability,
            "side": known[0].mean_side,
            "cuts": known[0].cuts.tolist(),
            "grades": known[0].levels.tolist(),
        },
    }
    return Measures(agreement, figures, pairs, found, summary)


def main_kind(votes: UnitVotes) -> str:
    """Whose consensus counts: people's, or where there are none, that of the machines that judged most."""
    counts = Counter(votes.kind_N.tolist())
    if PERSON in counts or not counts:
        return PERSON
    return min(counts, key=lambda kind: (-counts[kind], kind))


def _agreement(judgments: Judgments, votes: UnitVotes) -> list[AgreementRow]:
    """Of the criterion and of each of its batches, each kind of annotators by itself."""
    found = []
    usual = ~judgments.is_gold_M & ~judgments.is_repeat_M
    for kind in sorted(set(votes.kind_N.tolist())):
        of_kind = votes.where(votes.kind_N == kind)
        scopes: list[int | None] = [None, *np.unique(of_kind.batch_N).tolist()]
        for batch in scopes:
            if batch is not None and len(scopes) == 2:
                continue  # the whole criterion is this batch
            inside = of_kind if batch is None else of_kind.where(of_kind.batch_N == batch)
            chosen = usual & (judgments.kind_M == kind)
            if batch is not None:
                chosen = chosen & (judgments.batch_M == batch)
            figures = agreement_figures(inside) | {"tau_b": tau_figures(judgments, chosen)}
            found.append(AgreementRow(batch, kind, figures))
    return found


def _crowd(votes: UnitVotes) -> tuple[Crowd, Array, Consensus, Array] | None:
    """The graded model, the annotators it knows, and the consensus of its pairs; None where nobody judged what another
    did: nothing is known of anybody then.
    """
    if not len(votes.unit_N) or not (np.diff(votes.unit_N) == 0).any():
        return None
    pair_votes, keys, units = model_votes(votes)
    crowd = fit_crowd(pair_votes)
    return crowd, keys, consensus(pair_votes, crowd), units


def _annotator_pairs(votes: UnitVotes) -> tuple[list[AnnotatorPairRow], int]:
    """(rows, how many pairs of annotators had enough in common and no room)."""
    one, other = all_pairs_of_votes(votes.unit_N)
    if not len(one):
        return [], 0
    a, b = votes.annotator_N[one], votes.annotator_N[other]
    swap = a > b
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    keys, which = np.unique(
        np.stack([votes.annotator_N[one], votes.annotator_N[other]], axis=1), axis=0, return_inverse=True
    )
    which = which.reshape(-1)
    number = np.bincount(which)
    enough = np.flatnonzero(number >= LEAST_TOGETHER)
    kept = enough[np.argsort(-number[enough], kind="stable")][:MOST_ANNOTATOR_PAIRS]
    sign, level = votes.votes.sign_N, votes.votes.sign_N * (votes.votes.grade_N + 2)
    cell = (which * 3 + sign[one] + 1) * 3 + sign[other] + 1
    tables = np.bincount(cell, minlength=9 * len(keys)).reshape(-1, 3, 3)
    # Which tasks they are farthest apart on: sorted once for all of them.
    apart = np.flatnonzero(sign[one] != sign[other])
    distance = np.abs(level[one[apart]] - level[other[apart]])
    order = apart[np.lexsort((votes.task_N[one[apart]], -distance, which[apart]))]
    starts = np.searchsorted(which[order], np.arange(len(keys) + 1))
    rows = []
    for place in kept.tolist():
        kappa = cohen_kappa(tables[place])
        listed = order[starts[place] : starts[place + 1]]
        tasks = dict.fromkeys(
            zip(votes.batch_N[one[listed]].tolist(), votes.task_N[one[listed]].tolist(), strict=True)
        )
        rows.append(
            AnnotatorPairRow(
                one=int(keys[place, 0]),
                other=int(keys[place, 1]),
                pairs=int(number[place]),
                same=int(np.trace(tables[place])),
                kappa=None if np.isnan(kappa.kappa) else kappa.kappa,
                kappa_error=None if np.isnan(kappa.kappa) else kappa.standard_error,
                apart=[list(task) for task in list(tasks)[:TASKS_APART]],
            )
        )
    return rows, len(enough) - len(kept)


def _consensus_rows(votes: UnitVotes, found: Consensus, units: Array) -> list[ConsensusRow]:
    """By the task in which a pair was judged first."""
    starts = np.flatnonzero(np.r_[True, votes.unit_N[1:] != votes.unit_N[:-1]])
    task_U = votes.task_N[starts]
    ends = np.r_[starts[1:], len(votes.unit_N)]
    columns = zip(
        task_U.tolist(),
        (ends - starts).tolist(),
        votes.votes.first_N[starts].tolist(),
        votes.votes.second_N[starts].tolist(),
        *(
            column.round(4).tolist()
            for column in (found.preference_U, found.low_U, found.high_U, np.abs(2 * found.first_U - 1))
        ),
        strict=True,
    )
    by_task: dict[int, list[tuple[Any, ...]]] = {}
    for task, *rest in columns:
        by_task.setdefault(task, []).append(tuple(rest))
    return [
        ConsensusRow(
            task=task,
            annotators=max(row[0] for row in rows),
            certainty=min(row[6] for row in rows),
            pairs=[[*row[1:6]] for row in rows],
        )
        for task, rows in by_task.items()
    ]


def _leaderboard(judgments: Judgments, votes: UnitVotes) -> dict[str, Any] | None:
    """Of the sources that were compared with others; None where there are none."""
    votes = votes.where(votes.votes.has_sides_N)
    if not len(votes.unit_N):
        return None
    responses, place = np.unique(np.r_[votes.votes.first_N, votes.votes.second_N], return_inverse=True)
    source = np.array([judgments.source_of[key] for key in responses.tolist()])[place]
    first, second = source[: len(votes.unit_N)], source[len(votes.unit_N) :]
    known, counts = np.unique(source, return_counts=True)
    listed = np.sort(known[np.argsort(-counts, kind="stable")][:MOST_SOURCES])
    kept = np.isin(first, listed) & np.isin(second, listed)
    first, second = (np.searchsorted(listed, column[kept]) for column in (first, second))
    shown, sign = votes.votes.shown_N[kept], votes.votes.sign_N[kept]
    turned = shown < 0
    upper, lower = np.where(turned, second, first), np.where(turned, first, second)
    outcome = np.where(turned, -sign, sign)
    try:
        found = fit_leaderboard(upper, lower, outcome, len(listed))
    except NotConnected as error:
        return {"note": f"No leaderboard: {error}.", "sources": []}
    rows = []
    for index, key in enumerate(listed.tolist()):
        mine = np.where(upper == index, outcome, np.where(lower == index, -outcome, 9))
        rows.append(
            {
                "source": key,
                "name": judgments.source_names[key],
                "score": float(found.score_S[index]),
                "error": float(found.standard_error_S[index]),
                **{
                    name: int((mine == value).sum())
                    for name, value in (("won", 1), ("tied", 0), ("lost", -1))
                },
            }
        )
    rows.sort(key=lambda row: -row["score"])
    return {
        "sources": rows,
        "left_out": len(known) - len(listed),
        "side": found.side,
        "side_error": found.side_error,
    }
