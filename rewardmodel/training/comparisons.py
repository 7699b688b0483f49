"""Rows of the comparisons record as comparisons that can be trained on.

What is a valid row is decided by the record's own checks; what a loss needs of a micro-batch is made by
`build_targets`. Nothing here knows a tokenizer's or a model's details.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from learning.interface.options import UserError
from learning.interface.record_schemas import COMPARISONS
from learning.interface.usable_comparisons import (
    MIN_TRAINING_COMPARISONS,
    RankingLossName,
    TrainingSupply,
    can_train,
    shortfall,
)
from learning.run_context import RunContext
from rewardmodel.training.losses import Targets

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two responses that were compared; in an untied pair the first is the preferred one."""

    first: int
    second: int
    preference: float  # share of people for the first, 0.5 (tie) to 1
    strength: float  # 0..3 of the first over the second, 0 for a tie


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """K responses to one prompt in a weak order, or merged pairs that do not form one."""

    group_id: str
    prompt: Sequence[Message]
    responses: tuple[str, ...]
    ranks: tuple[int, ...] | None
    pairs: tuple[Pair, ...]
    weight: float
    split: str

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

    def is_usable(self, ranking_loss: RankingLossName) -> bool:
        """True when this loss can learn something from the comparison."""
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
        responses=tuple(row["responses"]),
        ranks=None if row["ranks"] is None else tuple(int(rank) for rank in row["ranks"]),
        pairs=tuple(_pairs(row["soft_preference"], row["grade"])),
        weight=float(row["weight"]),
        split=row["split"],
    )


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
                    strength=0.0 if strength is None else float(strength),
                )


def require_no_prompt_leakage(comparisons: Iterable[Comparison], *, where: str) -> None:
    """Raises UserError when a prompt is in two splits: its held-out accuracy would be an illusion."""
    first_of_prompt: dict[str, Comparison] = {}
    for comparison in comparisons:
        key = json.dumps([[message["role"], message["content"]] for message in comparison.prompt])
        other = first_of_prompt.setdefault(key, comparison)
        if other.split != comparison.split:
            raise UserError(
                f"{where}: groups {other.group_id!r} and {comparison.group_id!r} have the same prompt but are "
                f"in the splits {other.split!r} and {comparison.split!r}; split by prompt."
            )


def split_usable(
    comparisons: Sequence[Comparison], ranking_loss: RankingLossName
) -> tuple[list[Comparison], list[Comparison]]:
    """Those to train on, under this loss, and those to evaluate on, which need an untied pair."""
    training = [item for item in comparisons if item.split == "train" and item.is_usable(ranking_loss)]
    validation = [item for item in comparisons if item.split == "validation" and item.untied_pairs]
    if len(training) < MIN_TRAINING_COMPARISONS:
        in_train = sum(item.split == "train" for item in comparisons)
        missing = shortfall(TrainingSupply(comparisons=in_train, usable=len(training)), ranking_loss)
        raise UserError(f"inputs/comparisons.parquet has {missing}: collect more.")
    return training, validation


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
        (offset + pair.first, offset + pair.second, pair.preference, pair.strength, index)
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
    )
