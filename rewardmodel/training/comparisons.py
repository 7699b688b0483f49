"""Rows of the comparisons record as judgments that can be trained on.

A row is checked whole when it is read; what a loss needs of a micro-batch is made by `targets`. Nothing here
knows a tokenizer's or a model's details.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from learning.options import UserError
from rewardmodel.training.losses import Objective, Targets

Message = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two responses of one judgment that were compared; in an untied pair the first is the preferred one."""

    first: int
    second: int
    preference: float  # share of people for the first, 0.5 (tie) to 1
    grade: float  # strength 0..3 of the first over the second, 0 for a tie


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """What was said about the K responses to one prompt: a weak order, or merged pairs that are not one."""

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
    def is_top(self) -> tuple[bool, ...]:
        """Which responses are preferred: nobody was put above them, and they were put above somebody."""
        beaten = {pair.second for pair in self.untied_pairs}
        beats = {pair.first for pair in self.untied_pairs}
        if self.ranks is not None:
            best = min(self.ranks)
            return tuple(rank == best and bool(beats) for rank in self.ranks)
        return tuple(index in beats and index not in beaten for index in range(len(self.responses)))

    def is_usable(self, objective: Objective) -> bool:
        """True when the judgment has something to teach under this objective."""
        if self.weight == 0:
            return False
        if objective == "pairwise":
            return bool(self.untied_pairs)
        if objective == "soft_labels":
            return bool(self.pairs)
        return self.ranks is not None and len(set(self.ranks)) > 1


def judgment_from_row(row: Mapping[str, Any], *, where: str) -> Judgment:
    """Checks one row of the comparisons record.

    Raises UserError naming `where`, the group and what is wrong: fewer than two responses, matrices of
    another size, shares that do not add up to one, a grade outside 0..3, ranks against the shares. An empty
    response is one: it is scored at its end-of-sequence token.
    """
    place = f"{where}, group {row['group_id']!r}"
    responses = tuple(row["responses"])
    size = len(responses)
    if size < 2:
        raise UserError(f"{place}: a comparison needs at least two responses, this one has {size}.")
    if not row["prompt"]:
        raise UserError(f"{place}: the prompt has no messages.")
    weight = float(row["weight"])
    if not (math.isfinite(weight) and weight >= 0):
        raise UserError(f"{place}: weight is {weight}, it must be a finite number of at least 0.")
    ranks = None if row["ranks"] is None else tuple(int(rank) for rank in row["ranks"])
    if ranks is not None and len(ranks) != size:
        raise UserError(f"{place}: {len(ranks)} ranks for {size} responses.")
    pairs = tuple(_pairs(row["soft_preference"], row["grade"], size, place))
    for pair in pairs:
        if ranks is not None and pair.preference > 0.5 and ranks[pair.first] > ranks[pair.second]:
            raise UserError(
                f"{place}: response {pair.first + 1} was preferred to response {pair.second + 1}, but its "
                f"rank {ranks[pair.first]} is worse than {ranks[pair.second]}."
            )
    return Judgment(
        group_id=row["group_id"],
        prompt=row["prompt"],
        responses=responses,
        ranks=ranks,
        pairs=pairs,
        weight=weight,
        split=row["split"],
    )


def _pairs(
    shares: Sequence[Sequence[float | None]], grades: Sequence[Sequence[float | None]], size: int, place: str
) -> Iterable[Pair]:
    for name, matrix in (("soft_preference", shares), ("grade", grades)):
        if len(matrix) != size or any(len(line) != size for line in matrix):
            raise UserError(f"{place}: {name} is not a {size} x {size} matrix.")
    for one in range(size):
        for two in range(one + 1, size):
            forward, backward = shares[one][two], shares[two][one]
            if forward is None and backward is None:
                continue
            if (
                forward is None
                or backward is None
                or not (0 <= forward <= 1 and abs(forward + backward - 1) < 1e-6)
            ):
                raise UserError(
                    f"{place}: soft_preference of responses {one + 1} and {two + 1} is {forward} one way and "
                    f"{backward} the other; they must be shares that add up to 1."
                )
            first, second = (one, two) if forward >= backward else (two, one)
            preference = max(forward, backward)
            if abs(preference - 0.5) < 1e-9:
                yield Pair(first=one, second=two, preference=0.5, grade=0.0)
                continue
            grade = grades[first][second]
            if grade is not None and not 0 <= grade <= 3:
                raise UserError(
                    f"{place}: grade of response {first + 1} over {second + 1} is {grade}, "
                    "not between 0 and 3."
                )
            yield Pair(
                first=first,
                second=second,
                preference=preference,
                grade=0.0 if grade is None else float(grade),
            )


def check_splits(judgments: Iterable[Judgment], *, where: str) -> None:
    """Raises UserError when a prompt is on two sides: its held-out accuracy would be an illusion."""
    split_of: dict[str, Judgment] = {}
    for judgment in judgments:
        key = json.dumps([[message["role"], message["content"]] for message in judgment.prompt])
        other = split_of.setdefault(key, judgment)
        if other.split != judgment.split:
            raise UserError(
                f"{where}: groups {other.group_id!r} and {judgment.group_id!r} have the same prompt but are in "
                f"the splits {other.split!r} and {judgment.split!r}; split by prompt."
            )


def usable_judgments(
    judgments: Sequence[Judgment], objective: Objective
) -> tuple[list[Judgment], list[Judgment]]:
    """Those to train on, under this loss, and those to be judged on, which need an untied pair."""
    training = [item for item in judgments if item.split == "train" and item.is_usable(objective)]
    validation = [item for item in judgments if item.split == "validation" and item.untied_pairs]
    if len(training) < 2:
        raise UserError(
            f"inputs/comparisons.parquet has {len(training)} usable judgments in the split train for the "
            f"{objective} loss; a reward model needs at least two: collect more."
        )
    return training, validation


def count_judgments(
    judgments: Sequence[Judgment], training: Sequence[Judgment], validation: Sequence[Judgment]
) -> dict[str, dict[str, int]]:
    """How many judgments of each split were used, and how many had nothing to say or belong to the test
    split.
    """
    used = {"train": len(training), "validation": len(validation), "test": 0}
    return {
        split: {"used": n, "not_used": sum(item.split == split for item in judgments) - n}
        for split, n in used.items()
    }


def targets(judgments: Sequence[Judgment], device: torch.device | None = None) -> Targets:
    """The targets of a micro-batch whose responses are flattened in this order."""
    offsets = [0]
    for judgment in judgments:
        offsets.append(offsets[-1] + len(judgment.responses))
    rows = [
        (offset + pair.first, offset + pair.second, pair.preference, pair.grade, index)
        for index, (offset, judgment) in enumerate(zip(offsets, judgments, strict=False))
        for pair in judgment.pairs
    ]
    first, second, preference, grade, judgment_index = (
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
        grade_P=numbers(grade),
        judgment_P=integers(judgment_index),
        judgment_N=integers([index for index, judgment in enumerate(judgments) for _ in judgment.responses]),
        is_top_N=torch.tensor([top for judgment in judgments for top in judgment.is_top], device=device),
        ranks=[None if judgment.ranks is None else integers(judgment.ranks) for judgment in judgments],
        weight_B=numbers([judgment.weight for judgment in judgments]),
    )
