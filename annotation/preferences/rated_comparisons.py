"""From ratings of single answers to what a reward model trains on: comparisons (what one annotator rated higher, of the
answers to one prompt), or the points themselves.

Pure, as annotation.preferences.comparisons. Never across annotators: one who gives sevens and one who gives fours for
the same would make differences that nobody saw.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.preferences.comparisons import JudgmentRow, merge_judgments
from annotation.preferences.weak_orders import MAX_STRENGTH, dense_ranks, ranks_to_tiers
from learning.interface.record_rows import ComparisonRow, RatingRow

MAX_TOGETHER = 9  # responses of one row, as a task has


@dataclass(frozen=True, kw_only=True)
class RatingChoice:
    """Which mark orders the answers. `points_per_grade`: how many of its points are one grade of strength (the grade of
    a pair is its distance / points_per_grade, at most 3); None: no strengths.
    """

    mark: str
    points_per_grade: float | None = None


def rated_comparisons(judgments: Iterable[JudgmentRow], choice: RatingChoice) -> Iterator[ComparisonRow]:
    """COMPARISONS rows of the ratings that count (current, not withdrawn, not surplus; one response): a row for each
    annotator, prompt and criterion with two different answers rated, in the order of the first ratings. Equal ratings
    are ties.

    An answer that the annotator rated twice has the later rating. More than MAX_TOGETHER answers are divided into rows
    of nearly equal size, in their order; answers of two rows are not compared. Holds the rated rows in memory.
    """
    for together in _rated_together(judgments, choice.mark):
        if len(together) > 1:
            yield _comparison(together, choice.points_per_grade)


def rating_rows(judgments: Iterable[JudgmentRow], mark: str) -> Iterator[RatingRow]:
    """RATINGS rows of the same ratings: of an annotator, a prompt and a criterion together, answers rated alone too.

    Together, because they share a row of the forward pass; a rating counts the same wherever it stands.
    """
    for together in _rated_together(judgments, mark):
        first = together[0][0]
        responses = [judgment["responses"][0] for judgment, _ in together]
        ended = [response.get("ended") for response in responses]
        turns = [response.get("turns") for response in responses]
        yield {
            "group_id": f"ratings/{first['judgment_id']}",
            "criterion": first["criterion"],
            "mark": mark,
            "prompt": first["prompt"],
            "responses": [response["text"] for response in responses],
            "ended": None if all(value is None for value in ended) else ended,
            "response_ids": [response["response_id"] for response in responses],
            "scores": [score for _, score in together],
            "weight": first.get("weight", 1.0),
            "annotator_kind": first["annotator_kind"],
            "round": first["round"],
            "split": first["split"],
            "turns": turns if any(turns) else None,
        }


def _rated_together(
    judgments: Iterable[JudgmentRow], mark: str
) -> Iterator[Sequence[tuple[JudgmentRow, float]]]:
    """The ratings of one annotator, prompt and criterion, at most MAX_TOGETHER at a time."""
    groups: dict[tuple[str, ...], dict[str, tuple[JudgmentRow, float]]] = {}
    for judgment in judgments:
        score = _score(judgment, mark)
        if score is None:
            continue
        (response,) = judgment["responses"]
        answer = json.dumps([response["text"], response.get("turns")], sort_keys=True)
        prompt = json.dumps(judgment["prompt"], sort_keys=True)
        key = (judgment["annotator"], judgment["annotator_kind"], judgment["criterion"], prompt)
        rated = groups.setdefault(key, {})
        # Rows come in the order of tasks, which is not that of time.
        if answer not in rated or judgment["created_at"] >= rated[answer][0]["created_at"]:
            rated[answer] = (judgment, score)
    for of_one_prompt in groups.values():
        yield from _divided(list(of_one_prompt.values()))


def counts(judgment: JudgmentRow) -> bool:
    """Whether its marks count: the head of its chain, not withdrawn, not surplus; with however many responses."""
    return judgment["is_current"] and not judgment["withdrawn"] and not judgment["surplus"]


def _score(judgment: JudgmentRow, mark: str) -> float | None:
    if not counts(judgment) or len(judgment["responses"]) != 1:
        return None
    marks: Mapping[str, float] = judgment["responses"][0]["marks"] or {}
    value = marks.get(mark)
    return None if value is None or not math.isfinite(value) else float(value)


def _divided(rated: Sequence[Any]) -> list[Sequence[Any]]:
    parts = -(-len(rated) // MAX_TOGETHER)
    bounds = [len(rated) * part // parts for part in range(parts + 1)]
    return [rated[start:end] for start, end in zip(bounds, bounds[1:], strict=False)]


def _comparison(rated: Sequence[tuple[JudgmentRow, float]], points_per_grade: float | None) -> ComparisonRow:
    first = rated[0][0]
    responses = [judgment["responses"][0] for judgment, _ in rated]
    scores = [score for _, score in rated]
    tiers = ranks_to_tiers(dense_ranks([-score for score in scores]))
    as_ranked = {
        **first,
        "responses": responses,
        "tiers": [[responses[place]["response_id"] for place in tier] for tier in tiers],
        "strengths": [None] * (len(tiers) - 1),
        "source_id": None,
        "metadata": None,
    }
    row = merge_judgments(f"ratings/{first['judgment_id']}", [as_ranked], {})
    if points_per_grade is not None:
        row["grade"] = [
            [min(MAX_STRENGTH, (a - b) / points_per_grade) if a > b else None for b in scores] for a in scores
        ]
    return row
