"""Is there enough to train a reward model on? Asked of the judgments there are now, or of a frozen dataset.

Both go the way of the training itself: judgments become comparisons, merged where a consensus is asked for, and
`learning.interface.usable_comparisons` says which of them a loss can learn from.
"""

from collections.abc import Collection

from annotation.datasets.files import comparisons_of, dataset_comparisons, dataset_ratings
from annotation.models import Batch, PreferenceDataset, Task
from annotation.preferences.rated_comparisons import RatingChoice
from annotation.record_columns import judgment_rows
from learning.interface.usable_comparisons import (
    LossName,
    TrainingSupply,
    learns_from_ratings,
    rating_supply,
    training_supply,
)
from learning.interface.vocabulary import TRAIN
from workspace.models import Criterion, Project

# Head-to-head judgments measure a policy; a reward model judged on them never trains on them.
TRAINING_PURPOSES = (Task.Purpose.NORMAL,)


def current_training_supply(
    project: Project,
    *,
    criterion: Criterion,
    annotator_kinds: Collection[str],
    ranking_loss: LossName,
    consensus: bool = False,
    batches: Collection[Batch] | None = None,
) -> TrainingSupply:
    """Of the judgments that a dataset frozen now for a reward model's training would hold."""
    comparisons = comparisons_of(
        lambda splits: judgment_rows(
            project,
            criterion=criterion,
            batches=batches,
            purposes=TRAINING_PURPOSES,
            annotator_kinds=annotator_kinds,
            splits=splits,
        ),
        consensus=consensus,
        splits=(TRAIN,),
    )
    return training_supply(comparisons, ranking_loss)


def dataset_training_supply(
    dataset: PreferenceDataset,
    *,
    ranking_loss: LossName,
    consensus: bool = False,
    ratings: RatingChoice | None = None,
    weights: bool = False,
) -> TrainingSupply:
    """Of a frozen dataset, for a loss of ratings: of their points. Raises DatasetDamaged, NoConsensus."""
    if learns_from_ratings(ranking_loss):
        if ratings is None:
            return rating_supply(())
        return rating_supply(dataset_ratings(dataset, ratings.mark, splits=(TRAIN,), weights=weights))
    comparisons = dataset_comparisons(
        dataset, consensus=consensus, splits=(TRAIN,), ratings=ratings, weights=weights
    )
    return training_supply(comparisons, ranking_loss)
