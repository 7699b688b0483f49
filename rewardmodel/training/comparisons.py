"""Rows of the comparisons record as comparisons that can be trained on.

What is a valid row is decided by the record's own checks; what a loss needs of a micro-batch is made by
`build_targets`. Nothing here knows a tokenizer's or a model's details.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from learning.batches.collation import Example
from learning.interface.messages import Answer, comparison_answers, messages_key
from learning.interface.options import UserError
from learning.interface.record_schemas import COMPARISONS
from learning.interface.usable_comparisons import (
    MIN_TRAINING_COMPARISONS,
    LossName,
    TrainingSupply,
    can_train,
    learns_from_ratings,
    shortfall,
)
from learning.run_context import RunContext
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.losses import Targets

Message = Mapping[str, Any]
OF_RATINGS = "ratings/"  # begins the group_id of comparisons that were made of ratings


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two responses that were compared; in an untied pair the first is the preferred one."""

    first: int
    second: int
    preference: float  # share of people for the first, 0.5 (tie) to 1
    strength: float | None  # 0..3 of the first over the second, 0 for a tie, None where nobody gave one


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """K responses to one prompt in a weak order, or merged pairs that do not form one."""

    group_id: str
    prompt: Sequence[Message]
    responses: tuple[Answer, ...]
    ranks: tuple[int, ...] | None
    pairs: tuple[Pair, ...]
    weight: float
    split: str
    ended: tuple[bool | None, ...] | None = None  # by response; None where nobody knows
    # Untied pairs whose two responses are the same tokens after the cut: no loss learns from them.
    equal_pairs: tuple[Pair, ...] = ()
    criterion: str = ""
    # By response, where they were rated: points, or as the loss reads them (RatingScale.place).
    scores: tuple[float, ...] | None = None

    @property
    def is_of_ratings(self) -> bool:
        """Whether it was made of what one annotator gave single answers (annotation.preferences.rated_comparisons)."""
        return self.scores is not None or self.group_id.startswith(OF_RATINGS)

    @cached_property
    def untied_pairs(self) -> tuple[Pair, ...]:
        return tuple(pair for pair in self.pairs if pair.preference > 0.5)

    @cached_property
    def is_top_tier(self) -> tuple[bool, ...]:
        """Which responses are preferred: nobody was put above them, and they were put above somebody."""
        beaten = {pair.second for pair in self.untied_pairs}
        beats = {pair.first for pair in self.untied_pairs}
        if self.ranks is not None:
            best = min(self.ranks)
            return tuple(rank == best and bool(beats) for rank in self.ranks)
        return tuple(index in beats and index not in beaten for index in range(len(self.responses)))

    def is_usable(self, ranking_loss: LossName) -> bool:
        """True when this loss can learn something from the comparison."""
        if learns_from_ratings(ranking_loss):
            return self.scores is not None and self.weight > 0
        return can_train(
            ranking_loss,
            weight=self.weight,
            ranks=self.ranks,
            shares=[pair.preference for pair in self.pairs],
        )


def read_comparisons(context: RunContext[Any]) -> list[Comparison]:
    """The rows of inputs/comparisons.parquet. Raises UserError for a bad row or a prompt in two splits."""
    comparisons = [comparison_from_row(row) for row in context.read_input("comparisons", COMPARISONS)]
    require_no_prompt_leakage(comparisons, where=context.input_path("comparisons").name)
    return comparisons


def comparison_from_row(row: Mapping[str, Any]) -> Comparison:
    """A row that has passed the checks of the record. An empty response is scored at its end-of-sequence token."""
    return Comparison(
        group_id=row["group_id"],
        prompt=row["prompt"],
        responses=tuple(comparison_answers(row)),
        ranks=None if row["ranks"] is None else tuple(int(rank) for rank in row["ranks"]),
        pairs=tuple(_pairs(row["soft_preference"], row["grade"])),
        weight=float(row["weight"]),
        split=row["split"],
        ended=None if row.get("ended") is None else tuple(row["ended"]),
        criterion=row.get("criterion", ""),
    )


def separate_equal_pairs(comparison: Comparison, response_ids: Sequence[Sequence[int]]) -> Comparison:
    """The comparison as a model can read it, given the token ids of its responses.

    Two responses that are the same ids have the same score, whoever was preferred: their pair leaves `pairs`
    and, if it is untied, goes to `equal_pairs`. The other pairs stay. In `ranks` the two share a tier; ranks that
    are no weak order then are None.
    """
    ids = [tuple(response) for response in response_ids]
    if len(set(ids)) == len(ids):
        return comparison
    equal = [pair for pair in comparison.pairs if ids[pair.first] == ids[pair.second]]
    return replace(
        comparison,
        pairs=tuple(pair for pair in comparison.pairs if ids[pair.first] != ids[pair.second]),
        equal_pairs=tuple(pair for pair in equal if pair.preference > 0.5),
        ranks=None if comparison.ranks is None else _ranks_of_distinct(comparison.ranks, ids),
    )


def _ranks_of_distinct(ranks: Sequence[int], ids: Sequence[tuple[int, ...]]) -> tuple[int, ...] | None:
    """Ranks in which equal responses are tied; None when no weak order has all the other pairs as they are."""
    places = range(len(ranks))

    def sign(i: int, j: int) -> int:
        return 0 if ids[i] == ids[j] else (ranks[j] > ranks[i]) - (ranks[j] < ranks[i])

    merged = tuple(sum(sign(j, i) > 0 for j in places) for i in places)
    consistent = all(
        sign(i, j) == (merged[j] > merged[i]) - (merged[j] < merged[i]) for i in places for j in places
    )
    return merged if consistent else None


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """Untied pairs of one side, and those of them that are equal after the cut."""

    pairs: int
    equal: int

    @classmethod
    def of(cls, comparisons: Iterable[Comparison]) -> "PairCounts":
        counts = [(len(item.untied_pairs), len(item.equal_pairs)) for item in comparisons]
        return cls(pairs=sum(map(sum, counts)), equal=sum(equal for _, equal in counts))

    def sentence(self, which: str, max_tokens: int) -> str:
        """For example "30 of 60 training pairs are equal after the cut at 32 tokens"."""
        verb = "is" if self.equal == 1 else "are"
        return f"{self.equal} of {self.pairs} {which} {verb} equal after the cut at {max_tokens} tokens"


def _pairs(
    shares: Sequence[Sequence[float | None]], grades: Sequence[Sequence[float | None]]
) -> Iterable[Pair]:
    for i in range(len(shares)):
        for j in range(i + 1, len(shares)):
            forward, backward = shares[i][j], shares[j][i]
            if forward is None or backward is None:
                continue
            first, second = (i, j) if forward >= backward else (j, i)
            preference = max(forward, backward)
            if abs(preference - 0.5) < 1e-9:
                yield Pair(first=i, second=j, preference=0.5, strength=0.0)
            else:
                strength = grades[first][second]
                yield Pair(
                    first=first,
                    second=second,
                    preference=preference,
                    strength=None if strength is None else float(strength),
                )


def require_no_prompt_leakage(comparisons: Iterable[Comparison], *, where: str) -> None:
    """Raises UserError when a prompt is in two splits: its held-out accuracy would be an illusion."""
    first_of_prompt: dict[str, Comparison] = {}
    for comparison in comparisons:
        key = messages_key(comparison.prompt)
        other = first_of_prompt.setdefault(key, comparison)
        if other.split != comparison.split:
            raise UserError(
                f"{where}: groups {other.group_id!r} and {comparison.group_id!r} have the same prompt but are "
                f"in the splits {other.split!r} and {comparison.split!r}; split by prompt."
            )


def split_usable(
    comparisons: Sequence[Comparison], ranking_loss: LossName
) -> tuple[list[Comparison], list[Comparison]]:
    """Those to train on, under this loss, and those to evaluate on, which need an untied pair."""
    training = [item for item in comparisons if item.split == "train" and item.is_usable(ranking_loss)]
    validation = [item for item in comparisons if item.split == "validation" and item.untied_pairs]
    if len(training) < MIN_TRAINING_COMPARISONS:
        in_train = sum(item.split == "train" for item in comparisons)
        missing = shortfall(TrainingSupply(comparisons=in_train, usable=len(training)), ranking_loss)
        raise UserError(f"inputs/comparisons.parquet has {missing}: collect more.")
    return training, validation


def criteria_in_turn(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """One of each criterion after another, so that the first few are of all of them; of one criterion, as they are."""
    by_criterion: dict[str, list[Comparison]] = {}
    for comparison in comparisons:
        by_criterion.setdefault(comparison.criterion, []).append(comparison)
    rounds = itertools.zip_longest(*by_criterion.values())
    return [comparison for turn in rounds for comparison in turn if comparison is not None]


def keep_distinct(
    training: Sequence[Comparison],
    examples: Sequence[Example],
    ranking_loss: LossName,
    max_response_tokens: int,
) -> tuple[list[Comparison], list[Example], PairCounts]:
    """The training comparisons that still teach something after the cut, their token ids, and the counts of all.

    Raises UserError when fewer than two are left.
    """
    separated = [
        separate_equal_pairs(item, example.response_ids)
        for item, example in zip(training, examples, strict=True)
    ]
    counts = PairCounts.of(separated)
    kept = [
        (item, example)
        for item, example in zip(separated, examples, strict=True)
        if item.is_usable(ranking_loss)
    ]
    if len(kept) < 2:
        raise UserError(
            f"{counts.sentence('training pairs', max_response_tokens)}, which leaves {len(kept)} usable comparisons "
            f"for the {ranking_loss} loss, and training needs at least two: raise batch.max_response_tokens "
            "until the answers differ."
        )
    return [item for item, _ in kept], [example for _, example in kept], counts


def count_pairs_without_strength(training: Sequence[Comparison], objective: ObjectiveOptions) -> int:
    """Of the untied pairs to train on, those for which nobody said how much better the preferred response is: they
    get no margin and the weight 1. Raises UserError where the objective reads strengths and no pair has one.
    """
    pairs = [pair for comparison in training for pair in comparison.untied_pairs]
    missing = sum(pair.strength is None for pair in pairs)
    if pairs and missing == len(pairs):
        for used, value, without in (
            (objective.margin != "none", f"margin {objective.margin!r}", 'margin "none"'),
            (objective.strength_weighted, "strength_weighted", "strength_weighted false"),
        ):
            if used:
                raise UserError(
                    f"inputs/comparisons.parquet has no strengths: nobody said of any of its {len(pairs)} training "
                    f"pairs how much better one response is, and {value} is made of that; train with {without}."
                )
    return missing


def count_by_split(
    comparisons: Sequence[Comparison], training: Sequence[Comparison], validation: Sequence[Comparison]
) -> dict[str, dict[str, int]]:
    """How many comparisons of each split were used, and how many teach nothing or belong to the test split."""
    used = {"train": len(training), "validation": len(validation), "test": 0}
    return {
        split: {"used": n, "not_used": sum(item.split == split for item in comparisons) - n}
        for split, n in used.items()
    }


def build_targets(comparisons: Sequence[Comparison], device: torch.device | None = None) -> Targets:
    """The targets of a micro-batch whose responses are flattened in this order."""
    offsets = [0]
    for comparison in comparisons:
        offsets.append(offsets[-1] + len(comparison.responses))
    rows = [
        (
            offset + pair.first,
            offset + pair.second,
            pair.preference,
            math.nan if pair.strength is None else pair.strength,
            index,
        )
        for index, (offset, comparison) in enumerate(zip(offsets, comparisons, strict=False))
        for pair in comparison.pairs
    ]
    first, second, preference, strength, comparison_index = (
        zip(*rows, strict=True) if rows else ((), (), (), (), ())
    )

    def integers(values: Sequence[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device=device)

    def numbers(values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64, device=device)

    return Targets(
        first_P=integers(first),
        second_P=integers(second),
        preference_P=numbers(preference),
        strength_P=numbers(strength),
        comparison_P=integers(comparison_index),
        comparison_N=integers([index for index, item in enumerate(comparisons) for _ in item.responses]),
        is_top_tier_N=torch.tensor([top for item in comparisons for top in item.is_top_tier], device=device),
        ranks=[None if item.ranks is None else integers(item.ranks) for item in comparisons],
        weight_B=numbers([item.weight for item in comparisons]),
        rating_N=numbers(
            [score for item in comparisons for score in item.scores or [math.nan] * len(item.responses)]
        ),
    )
