"""Which comparisons a reward model (and DPO) can learn from, and how many it takes: one rule for trainers and site.

The site ends the annotation of a round, freezes a dataset and queues a training by this rule, so that it never does so
for judgments that the trainer would refuse a minute later.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from learning.interface.record_rows import ComparisonRow, RatingRow
from learning.interface.vocabulary import TRAIN

RankingLossName = Literal["pairwise", "soft_labels", "plackett_luce", "best_of_k"]
RatingLossName = Literal["regression", "ordinal"]
LossName = Literal["pairwise", "soft_labels", "plackett_luce", "best_of_k", "regression", "ordinal"]
RATING_LOSSES: tuple[RatingLossName, ...] = ("regression", "ordinal")
MIN_TRAINING_COMPARISONS = 2  # a reward model learns from differences; one has nothing to be held against
TIE_TOLERANCE = 1e-9  # shares are sums of weights, which are not exact


def learns_from_ratings(loss: LossName) -> bool:
    """Whether it reads the RATINGS record; all others read COMPARISONS."""
    return loss in RATING_LOSSES


def can_train(
    ranking_loss: LossName, *, weight: float, ranks: Sequence[int] | None, shares: Iterable[float]
) -> bool:
    """True when this loss can learn something from a comparison.

    `shares` has, of each pair that was compared, the share of people for one of the two (0 to 1; 0.5 is a tie).
    """
    if weight == 0:
        return False
    match ranking_loss:
        case "pairwise":
            return any(abs(share - 0.5) >= TIE_TOLERANCE for share in shares)
        case "soft_labels":
            return any(True for _ in shares)
        case "plackett_luce" | "best_of_k":
            return ranks is not None and len(set(ranks)) > 1
        case "regression" | "ordinal":
            return False  # a comparison has no points
        case unknown:
            assert_never(unknown)


def row_can_train(row: ComparisonRow, ranking_loss: LossName) -> bool:
    """The same of a row of the comparisons record."""
    table = row["soft_preference"]
    shares = (share for i, row_i in enumerate(table) for share in row_i[i + 1 :] if share is not None)
    return can_train(ranking_loss, weight=row["weight"], ranks=row["ranks"], shares=shares)


@dataclass(frozen=True, kw_only=True)
class TrainingSupply:
    """What there is to train on. Where it is enough, counting ended at the needed number."""

    comparisons: int  # in the split train; of ratings, how many there are
    usable: (
        int  # of these, those that the loss can learn from; of ratings, how many different scores they have
    )

    @property
    def is_enough(self) -> bool:
        return self.usable >= MIN_TRAINING_COMPARISONS


def training_supply(rows: Iterable[ComparisonRow], ranking_loss: LossName) -> TrainingSupply:
    """Count rows until there are enough to train on, or none are left."""
    comparisons = usable = 0
    for row in rows:
        if row["split"] != TRAIN:
            continue
        comparisons += 1
        usable += row_can_train(row, ranking_loss)
        if usable >= MIN_TRAINING_COMPARISONS:
            break
    return TrainingSupply(comparisons=comparisons, usable=usable)


def rating_supply(rows: Iterable[RatingRow]) -> TrainingSupply:
    """Ratings in the split train, until two of them differ: equal ones teach nothing."""
    ratings, scores = 0, set[float]()
    for row in rows:
        if row["split"] != TRAIN or row["weight"] == 0:
            continue
        ratings += len(row["scores"])
        scores.update(row["scores"])
        if len(scores) >= MIN_TRAINING_COMPARISONS:
            break
    return TrainingSupply(comparisons=ratings, usable=len(scores))


def shortfall(supply: TrainingSupply, ranking_loss: LossName) -> str:
    """What is missing, in one clause: how many are usable of how many, and how many it takes."""
    n, of = supply.usable, supply.comparisons
    if learns_from_ratings(ranking_loss):
        return (
            f"{of} rating{'' if of == 1 else 's'} with {n} different score{'' if n == 1 else 's'} in the split train; "
            f"the {ranking_loss} loss needs at least {MIN_TRAINING_COMPARISONS} different ones"
        )
    count = f"{n} usable comparison{'' if n == 1 else 's'}"
    if of > n:
        count += f" of {of}"
    reason = "" if of == n else f"; ties alone teach the {ranking_loss} loss nothing"
    return f"{count} in the split train{reason}; training needs at least {MIN_TRAINING_COMPARISONS}"
