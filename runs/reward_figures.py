"""Pictures of a run that learns from rollouts: the scores of one set of prompts at several steps, score against KL.

Reads files only, and expects any of them missing. Sizes are in the units of the pictures' viewBox.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from runs.models import Run
from runs.run_files import files_version

PART_BYTES = (
    4 * 1024 * 1024
)  # read at once: rows of all steps together take far more than what is drawn of them
DRAWN = ("step", "phase", "kl", "score", "initial_scores", "eval_scores")
BINS = 24
SHOWN_HISTOGRAMS = 6  # the first, the last, and some between
WIDTH, HEIGHT = 100.0, 60.0
MAX_POINTS = 400
WITH_ROLLOUTS = frozenset({"policy.ppo", "policy.gradient"})  # kinds whose runs log what is drawn here


@dataclass(frozen=True, kw_only=True)
class Bar:
    x: str
    width: str
    y: str
    height: str


@dataclass(frozen=True, kw_only=True)
class Histogram:
    label: str
    responses: int
    mean: float
    median: float
    least: float
    most: float
    bars: list[Bar]


@dataclass(frozen=True, kw_only=True)
class Frontier:
    """Mean score of each step against sqrt(KL); `line` are SVG points, later steps last."""

    line: str
    end_x: str
    end_y: str
    first: tuple[float, float]  # sqrt(KL), score
    last: tuple[float, float]
    left: float
    right: float
    bottom: float
    top: float


@dataclass(frozen=True, kw_only=True)
class RewardFigures:
    histograms: list[Histogram]
    low: float
    high: float
    frontier: Frontier | None


def figures_version(run: Run) -> str:
    """Changes with what `reward_figures` reads, and reads nothing itself."""
    return files_version(run, "metrics.jsonl", "result.json")


def reward_figures(run: Run) -> RewardFigures:
    directory = RunDirectory(run.path)
    try:
        rows = list(_drawn_rows(directory))
        result = directory.result() or {}
    except (OSError, UserError):
        rows, result = [], {}
    named = _score_lists(rows, result)
    ends = [value for _, scores in named for value in (scores[0], scores[-1])]
    low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    shown = [named[place] for place in evenly(len(named), SHOWN_HISTOGRAMS)]
    return RewardFigures(
        histograms=[histogram(label, scores, low, high) for label, scores in shown],
        low=low,
        high=high,
        frontier=_frontier(rows),
    )


def _drawn_rows(directory: RunDirectory) -> Iterator[dict[str, Any]]:
    offset = 0
    while True:
        rows, end = directory.metrics(offset, PART_BYTES)
        for row in rows:
            yield {name: row[name] for name in DRAWN if name in row}
        if end <= offset:  # nothing more, or a resumed run has cut the file
            return
        offset = end


def _score_lists(
    rows: Sequence[Mapping[str, Any]], result: Mapping[str, Any]
) -> list[tuple[str, list[float]]]:
    """(label, scores in ascending order) of every evaluation, in the order of the steps."""
    found = []
    for row in rows:
        if scores := _numbers(row.get("initial_scores")):
            found.append(("Before training", scores))
        if scores := _numbers(row.get("eval_scores")):
            found.append((f"Step {row.get('step')}", scores))
    if scores := _numbers(result.get("scores_after")):
        found.append(("The policy that was saved", scores))
    return found


def _numbers(value: Any) -> list[float]:
    if not isinstance(value, list):
        return []
    return sorted(float(item) for item in value if _is_finite(item))


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def evenly(count: int, most: int) -> list[int]:
    """At most so many places of 0 to count - 1, the ends among them."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def bin_counts(scores: Sequence[float], low: float, high: float, bins: int) -> list[int]:
    """How many scores lie in each of so many equal parts of [low, high]; `high` belongs to the last."""
    counts = [0] * bins
    for score in scores:
        counts[min(bins - 1, max(0, math.floor((score - low) / (high - low) * bins)))] += 1
    return counts


def histogram(label: str, scores: Sequence[float], low: float, high: float) -> Histogram:
    """Of values in ascending order, at least one, in a picture from `low` to `high`."""
    counts = bin_counts(scores, low, high, BINS)
    step, tallest = WIDTH / BINS, max(counts)
    return Histogram(
        label=label,
        responses=len(scores),
        mean=math.fsum(scores) / len(scores),
        median=statistics.median(scores),
        least=scores[0],
        most=scores[-1],
        bars=[
            Bar(
                x=f"{place * step + 0.2:.2f}",
                width=f"{step - 0.4:.2f}",
                y=f"{HEIGHT - HEIGHT * count / tallest:.2f}",
                height=f"{HEIGHT * count / tallest:.2f}",
            )
            for place, count in enumerate(counts)
            if count
        ],
    )


def _frontier(rows: Sequence[Mapping[str, Any]]) -> Frontier | None:
    """Of the policy's steps; None before the second."""
    points = [
        (math.sqrt(max(float(row["kl"]), 0.0)), float(row["score"]))
        for row in rows
        if row.get("phase", "policy") == "policy"
        and _is_finite(row.get("kl"))
        and _is_finite(row.get("score"))
    ]
    if len(points) < 2:
        return None
    points = [points[place] for place in evenly(len(points), MAX_POINTS)]
    left, right = 0.0, max(x for x, _ in points) or 1.0
    bottom, top = min(y for _, y in points), max(y for _, y in points)
    if bottom == top:
        bottom, top = bottom - 0.5, top + 0.5

    def place(x: float, y: float) -> tuple[str, str]:
        return (
            f"{2 + (WIDTH - 4) * (x - left) / (right - left):.2f}",
            f"{2 + (HEIGHT - 4) * (top - y) / (top - bottom):.2f}",
        )

    end_x, end_y = place(*points[-1])
    return Frontier(
        line=" ".join(",".join(place(*point)) for point in points),
        end_x=end_x,
        end_y=end_y,
        first=points[0],
        last=points[-1],
        left=left,
        right=right,
        bottom=bottom,
        top=top,
    )
