"""Rows of the ratings record as what a reward model trains on, and the scale that their points are put on.

A row is a Comparison: its responses share a prompt, and what one annotator rated higher makes its pairs, by which a
held-out row is judged. The loss reads `scores`, and a rating counts the same in whatever row it stands.
"""

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from learning.interface.messages import comparison_answers
from learning.interface.options import UserError
from learning.interface.record_schemas import RATINGS
from learning.interface.usable_comparisons import LossName, TrainingSupply, shortfall
from learning.run_context import RunContext
from rewardmodel.training.comparisons import Comparison, Pair, require_no_prompt_leakage


def read_ratings(context: RunContext[Any]) -> list[Comparison]:
    """The rows of inputs/ratings.parquet. Raises UserError for a bad row or a prompt in two splits."""
    rated = [ratings_from_row(row) for row in context.read_input("ratings", RATINGS)]
    require_no_prompt_leakage(rated, where=context.input_path("ratings").name)
    return rated


def ratings_from_row(row: Mapping[str, Any]) -> Comparison:
    """A row that has passed the checks of the record."""
    scores = tuple(float(score) for score in row["scores"])
    order = sorted(set(scores), reverse=True)
    return Comparison(
        group_id=row["group_id"],
        prompt=row["prompt"],
        responses=tuple(comparison_answers(row)),
        ranks=tuple(order.index(score) for score in scores),
        pairs=tuple(_pairs(scores)),
        weight=float(row["weight"]) * len(scores),
        split=row["split"],
        ended=None if row.get("ended") is None else tuple(row["ended"]),
        criterion=row["criterion"],
        scores=scores,
    )


def _pairs(scores: Sequence[float]) -> Iterable[Pair]:
    for i, one in enumerate(scores):
        for j in range(i + 1, len(scores)):
            if one == scores[j]:
                yield Pair(first=i, second=j, preference=0.5, strength=0.0)
            else:
                first, second = (i, j) if one > scores[j] else (j, i)
                yield Pair(first=first, second=second, preference=1.0, strength=None)


def split_rated(rated: Sequence[Comparison], loss: LossName) -> tuple[list[Comparison], list[Comparison]]:
    """Those to train on and those to evaluate on. Raises UserError when no two training ratings differ."""
    training = [item for item in rated if item.split == "train" and item.is_usable(loss)]
    validation = [item for item in rated if item.split == "validation" and item.is_usable(loss)]
    scores = [score for item in training for score in item.scores or ()]
    supply = TrainingSupply(comparisons=len(scores), usable=len(set(scores)))
    if not supply.is_enough:
        raise UserError(f"inputs/ratings.parquet has {shortfall(supply, loss)}: collect more.")
    return training, validation


@dataclass(frozen=True, kw_only=True)
class RatingScale:
    """The points of the training split: what the loss takes for 0 and for 1, and the levels that there are."""

    loss: LossName
    mean: float
    standard_deviation: float
    levels: tuple[float, ...]  # ascending
    shares: tuple[float, ...]  # of the ratings at each level, adding up to 1

    @classmethod
    def of(cls, training: Sequence[Comparison], loss: LossName) -> "RatingScale":
        """Of rows with at least two different scores; a rating counts as much as its row says."""
        weights: dict[float, list[float]] = {}
        for item in training:
            for score in item.scores or ():
                weights.setdefault(score, []).append(item.weight / len(item.responses))
        levels = sorted(weights)
        total = math.fsum(weight for found in weights.values() for weight in found)
        shares = [math.fsum(weights[level]) / total for level in levels]
        mean = math.fsum(share * level for share, level in zip(shares, levels, strict=True))
        variance = math.fsum(share * (level - mean) ** 2 for share, level in zip(shares, levels, strict=True))
        return cls(
            loss=loss,
            mean=mean,
            standard_deviation=math.sqrt(variance),
            levels=tuple(levels),
            shares=tuple(shares),
        )

    def place(self, item: Comparison) -> Comparison:
        """The row with the scores as the loss reads them: in standard deviations from the mean (regression), or the
        number of the level, from 0 (ordinal). A held-out score between two levels goes to the nearer one.
        """
        assert item.scores is not None
        if self.loss == "ordinal":
            return replace(item, scores=tuple(float(self._level(score)) for score in item.scores))
        return replace(
            item, scores=tuple((score - self.mean) / self.standard_deviation for score in item.scores)
        )

    def _level(self, score: float) -> int:
        above = bisect.bisect_left(self.levels, score)
        if above == len(self.levels):
            return above - 1
        if above and score - self.levels[above - 1] <= self.levels[above] - score:
            return above - 1
        return above

    def initial_thresholds(self) -> list[float]:
        """Log-odds of a rating at this level or below: the best thresholds of a model that scores everything 0."""
        below = 0.0
        thresholds = []
        for share in self.shares[:-1]:
            below += share
            thresholds.append(math.log(below) - math.log1p(-below))
        return thresholds

    def described(self, thresholds: Sequence[float]) -> dict[str, Any]:
        """For the model's configuration: what its raw score says of the points."""
        if self.loss == "ordinal":
            return {"loss": self.loss, "levels": list(self.levels), "thresholds": list(thresholds)}
        return {"loss": self.loss, "mean": self.mean, "standard_deviation": self.standard_deviation}
