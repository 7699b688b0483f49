"""Judgments from the database as arrays of votes: who prefers which response of a pair, how much, in which order shown.

Judgments that count, with what is measured only (gold, repeats); of batches that datasets are made of. A pair is
oriented by the names of its sources, so that coefficients compare one source with another; a pair of one source has no
first.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotation.judging.gold import known_answer
from annotation.models import GoldJudgment, Judgment, Response, Task
from annotation.preferences.known_answers import Order, is_right
from annotation.preferences.weak_orders import MAX_STRENGTH
from annotation.quality.text_traits import TRAITS, text_traits
from workspace.models import Criterion, Project

Array = Any
NOT_SAID = -1
ROWS_AT_ONCE = 5_000
PURPOSES = (Task.Purpose.NORMAL, Task.Purpose.HEAD_TO_HEAD, Task.Purpose.REPEAT)


@dataclass(frozen=True)
class Rankings:
    """The judgments of K responses each, M of them."""

    judgment_M: Array  # places in Judgments.keys
    response_MK: Array  # keys, ascending
    rank_MK: Array  # 0 best, equal = tie
    shown_MK: Array  # the place at which it was shown
    given_MK: Array  # strengths up to the tier of each rank, added up
    count_MK: Array  # how many of them were given


@dataclass(frozen=True)
class Votes:
    """N votes of judgments on pairs of their responses. sign_N: 1 the pair's first response is better, -1 the second,
    0 a tie; grade_N: 0..3, NOT_SAID; shown_N: 1 where the first was shown first, else -1.
    """

    judgment_N: Array
    first_N: Array  # keys of responses
    second_N: Array
    sign_N: Array
    grade_N: Array
    shown_N: Array
    has_sides_N: Array  # False: its two responses are of one source, and neither is the first

    def where(self, kept_N: Array) -> "Votes":
        return Votes(*(getattr(self, name)[kept_N] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Judgments:
    """What is measured of one criterion, M judgments in the order of their keys."""

    key_M: Array
    task_M: Array
    batch_M: Array
    annotator_M: Array
    kind_M: Array  # of the annotator, as text
    seconds_M: Array
    is_gold_M: Array
    is_repeat_M: Array
    is_head_to_head_M: Array
    rankings: list[Rankings]
    votes: Votes
    source_of: dict[int, int]  # response -> source
    traits_of: dict[int, tuple[float, float, float]]
    source_names: dict[int, str]


def read_judgments(
    project: Project, criterion: Criterion, watch: Callable[[int], None] = lambda read: None
) -> Judgments:
    """`watch` is told how many judgments are read so far."""
    found = (
        Judgment.objects.counted()
        .for_datasets()
        .filter(task__batch__project=project, task__batch__criterion=criterion)
        .filter(task__purpose__in=[*PURPOSES, Task.Purpose.GOLD])
        .order_by("pk")
    )
    rows = found.values_list(
        "pk", "task_id", "task__batch_id", "task__purpose", "annotator_id", "annotator__kind", "seconds",
        "tiers", "strengths", "order_shown",
    )  # fmt: skip
    columns: list[list[Any]] = [[] for _ in range(7)]
    by_size: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    for place, (*values, tiers, strengths, order_shown) in enumerate(rows.iterator(chunk_size=ROWS_AT_ONCE)):
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        size = sum(map(len, tiers))
        if size > 1:
            by_size[size].append(_ranking(place, tiers, strengths, order_shown))
        if place % ROWS_AT_ONCE == 0:
            watch(place)
    keys, task, batch, purpose, annotator, kind, seconds = columns
    purposes = np.array(purpose, dtype=object)
    rankings = [
        Rankings(*(np.array(column) for column in zip(*by_size[size], strict=True)))
        for size in sorted(by_size)
    ]
    source_of, traits_of, names = _read_responses(rankings)
    return Judgments(
        key_M=np.array(keys, dtype=np.int64),
        task_M=np.array(task, dtype=np.int64),
        batch_M=np.array(batch, dtype=np.int64),
        annotator_M=np.array(annotator, dtype=np.int64),
        kind_M=np.array(kind, dtype=object),
        seconds_M=np.array(seconds, dtype=float),
        is_gold_M=purposes == Task.Purpose.GOLD,
        is_repeat_M=purposes == Task.Purpose.REPEAT,
        is_head_to_head_M=purposes == Task.Purpose.HEAD_TO_HEAD,
        rankings=rankings,
        votes=pair_votes(rankings, source_of, names),
        source_of=source_of,
        traits_of=traits_of,
        source_names=names,
    )


def _ranking(
    place: int, tiers: Sequence[Sequence[int]], strengths: Sequence[int | None], order_shown: Sequence[int]
) -> tuple[Any, ...]:
    """One judgment as the columns of Rankings, responses in the order of their keys."""
    given, count = [0], [0]
    for step in range(len(tiers) - 1):
        strength = strengths[step] if step < len(strengths) else None
        given.append(given[-1] + (strength or 0))
        count.append(count[-1] + (strength is not None))
    ranked = sorted((key, rank) for rank, tier in enumerate(tiers) for key in tier)
    shown = {key: at for at, key in enumerate(order_shown)}
    return (
        place,
        [key for key, _ in ranked],
        [rank for _, rank in ranked],
        [shown.get(key, 0) for key, _ in ranked],
        [given[rank] for _, rank in ranked],
        [count[rank] for _, rank in ranked],
    )


def _read_responses(
    rankings: Iterable[Rankings],
) -> tuple[dict[int, int], dict[int, tuple[float, float, float]], dict[int, str]]:
    keys = np.unique(
        np.concatenate([ranked.response_MK.ravel() for ranked in rankings] or [np.zeros(0, int)])
    )
    source_of: dict[int, int] = {}
    traits_of: dict[int, tuple[float, float, float]] = {}
    names: dict[int, str] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        chunk = keys[start : start + ROWS_AT_ONCE].tolist()
        rows = Response.objects.filter(pk__in=chunk).values_list("pk", "source_id", "source__name", "text")
        for pk, source, name, text in rows.iterator():
            source_of[pk], names[source], traits_of[pk] = source, name, text_traits(text)
    return source_of, traits_of, names


def pair_votes(rankings: Iterable[Rankings], source_of: dict[int, int], names: dict[int, str]) -> Votes:
    """Every pair of responses of every judgment."""
    order = {source: place for place, source in enumerate(sorted(names, key=lambda key: (names[key], key)))}
    parts = []
    for ranked in rankings:
        i, j = np.triu_indices(ranked.response_MK.shape[1], k=1)
        rank_i, rank_j = ranked.rank_MK[:, i], ranked.rank_MK[:, j]
        sign = np.sign(rank_j - rank_i)
        better = np.where(rank_i <= rank_j, i, j)
        worse = np.where(rank_i <= rank_j, j, i)
        rows = np.arange(len(rank_i))[:, None]
        total = ranked.given_MK[rows, worse] - ranked.given_MK[rows, better]
        count = ranked.count_MK[rows, worse] - ranked.count_MK[rows, better]
        grade = np.where((sign != 0) & (count > 0), np.minimum(MAX_STRENGTH, total), NOT_SAID)
        shown = np.sign(ranked.shown_MK[:, j] - ranked.shown_MK[:, i])
        judgment = np.broadcast_to(ranked.judgment_M[:, None], sign.shape)
        first, second = ranked.response_MK[:, i], ranked.response_MK[:, j]
        columns = (judgment, first, second, sign, grade, shown)
        parts.append([column.ravel() for column in columns])
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Votes(nothing, nothing, nothing, nothing, nothing, nothing, np.zeros(0, dtype=bool))
    judgment, first, second, sign, grade, shown = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    place_first, place_second = (
        np.array([order[source_of[key]] for key in column.tolist()]) for column in (first, second)
    )
    turned = place_first > place_second
    first, second = np.where(turned, second, first), np.where(turned, first, second)
    turn = np.where(turned, -1, 1)
    return Votes(judgment, first, second, sign * turn, grade, shown * turn, place_first != place_second)


def read_gold(tasks: Iterable[int]) -> dict[int, list[list[int]]]:
    """The known tiers of these tasks, in response keys."""
    keys = sorted(set(tasks))
    known: dict[int, list[list[int]]] = {}
    for start in range(0, len(keys), ROWS_AT_ONCE):
        rows = GoldJudgment.objects.filter(task__in=keys[start : start + ROWS_AT_ONCE])
        known.update(rows.values_list("task_id", "tiers"))
    return known


def known_results(project: Project, criterion: Criterion, newest: int) -> dict[int, tuple[int, int]]:
    """(right, in all) of the gold tasks that each annotator judged, each as close as it asks for. Of judgments up to
    the key `newest`.
    """
    said = (
        Judgment.objects.counted()
        .for_datasets()
        .filter(task__batch__project=project, task__batch__criterion=criterion)
        .filter(task__purpose=Task.Purpose.GOLD, task__gold_judgment__isnull=False, pk__lte=newest)
    )
    known = {
        gold.task_id: known_answer(gold)
        for gold in GoldJudgment.objects.filter(task__in=said.values("task")).iterator()
    }
    results: dict[int, tuple[int, int]] = {}
    for task, annotator, tiers, strengths in said.values_list(
        "task_id", "annotator_id", "tiers", "strengths"
    ).iterator():
        if task not in known:  # judged and made known since
            continue
        right, items = results.get(annotator, (0, 0))
        results[annotator] = (right + is_right(Order(tiers, strengths), known[task]), items + 1)
    return results


__all__ = [
    "NOT_SAID",
    "TRAITS",
    "Judgments",
    "Rankings",
    "Votes",
    "known_results",
    "pair_votes",
    "read_gold",
    "read_judgments",
]
