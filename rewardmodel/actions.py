"""What managers ask of reward models. Each action queues a run; the run's kind saves the result."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext

from annotation.datasets.descriptions import clean_card
from annotation.datasets.files import dataset_manifest, dataset_ratings, labels_in_words
from annotation.datasets.supply import dataset_training_supply
from annotation.models import PreferenceDataset, Response
from annotation.preferences.rated_comparisons import RatingChoice
from learning.interface.usable_comparisons import LossName, learns_from_ratings, shortfall
from learning.interface.vocabulary import SPLITS
from rewardmodel.models import RewardModel
from rewardmodel.run_kinds import EVALUATE, SCORE, TRAIN
from rewardmodel.training.config import ObjectiveOptions
from runs.actions import load_run_options, queue_run
from runs.models import Artifact, Run
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import Criterion, Project, User
from workspace.shown_values import Shown, change_values

MIN_RATINGS = 2  # of a correlation


class TooFewJudgments(ActionError):
    """A reward model learns from differences: it needs at least two comparisons with one."""

    code = "too_few_judgments"


def train_reward_model(
    *,
    actor: User,
    project: Project,
    criteria: Sequence[Criterion],
    dataset: PreferenceDataset,
    base: Artifact,
    name: str,
    config: Mapping[str, Any],
    consensus: bool = False,
    ratings: RatingChoice | None = None,
    annotator_weights: bool = False,
    processes: int = 1,
) -> Run:
    """Queue the training of a reward model that starts from `base` (a policy's or reward model's folder).

    One model for all of the `criteria`, on which the dataset's judgments are. `config` is RewardModelConfig as a
    mapping; its model source and criterion are filled in here. With `ratings` it learns from ratings of single answers
    too: what one annotator rated higher, of the answers to one prompt; with a loss of ratings from their points alone.
    With `annotator_weights` annotators count as the dataset was frozen to say.

    Raises TooFewJudgments, also for one of the criteria alone, and BadRunConfig when the config does not load.
    """
    require_of_project(project, *criteria, dataset, base)
    ranking_loss = _ranking_loss(config)
    if learns_from_ratings(ranking_loss):
        _require_plain_ratings(ranking_loss, ratings, consensus=consensus)
    require_supply(
        dataset, ranking_loss, consensus=consensus, ratings=ratings, annotator_weights=annotator_weights
    )
    judged = set(dataset_manifest(dataset)["criteria"])
    missing = [criterion.name for criterion in criteria if criterion.name not in judged]
    if missing:
        raise TooFewJudgments(
            gettext(
                "The dataset “%(name)s” has no judgments on %(missing)s: let annotators judge tasks "
                "of that criterion first, or leave it out."
            )
            % {"name": dataset.name, "missing": missing[0]}
        )
    require_unused_name(project, name)
    model = {**config.get("model", {}), "source": {"path": str(base.absolute_path)}}
    return queue_run(
        actor=actor,
        project=project,
        kind=TRAIN,
        title=f"Train {name}",
        config={**config, "model": model, "criterion": ", ".join(criterion.name for criterion in criteria)},
        parameters={
            "dataset": dataset.pk,
            "batches": dataset.filters.get("batches"),
            "criteria": [criterion.pk for criterion in criteria],
            "base_artifact": base.pk,
            "name": name,
            **labels_asked(dataset, consensus=consensus, annotator_weights=annotator_weights),
            **({"ratings": asdict(ratings)} if ratings else {}),
        },
        processes=processes,
    )


def _require_plain_ratings(loss: LossName, ratings: RatingChoice | None, *, consensus: bool) -> None:
    if ratings is None:
        raise ActionError(
            gettext("The %(loss)s loss learns from ratings of single answers: name the mark (ratings).")
            % {"loss": loss},
            code="bad_option",
        )
    if ratings.points_per_grade is not None or consensus:
        raise ActionError(
            gettext(
                "The %(loss)s loss reads the points of each rating as they are: leave points per "
                "grade and consensus out, which belong to comparisons."
            )
            % {"loss": loss},
            code="bad_option",
        )


def labels_asked(dataset: PreferenceDataset, *, consensus: bool, annotator_weights: bool) -> dict[str, Any]:
    """What a run's parameters say of its labels; the number of the report that annotators are weighed by."""
    weights = (
        {"annotator_weights": dataset_manifest(dataset)["annotator_weights"]["report"]}
        if annotator_weights
        else {}
    )
    labels = labels_in_words(dataset, consensus=consensus, weights=annotator_weights)
    return {"consensus": consensus, "labels": labels, **weights}


def require_supply(
    dataset: PreferenceDataset,
    loss: LossName,
    *,
    consensus: bool,
    ratings: RatingChoice | None,
    annotator_weights: bool = False,
) -> None:
    """Raises TooFewJudgments where this loss finds too little in the dataset, NoConsensus where the dataset has no
    weights, ActionError where its consensus has weighed annotators already.
    """
    if annotator_weights and consensus and "consensus" in dataset_manifest(dataset):
        raise ActionError(
            gettext(
                "The consensus of the dataset “%(name)s” weighs annotators already: leave their weights out."
            )
            % {"name": dataset.name},
            code="bad_option",
        )
    supply = dataset_training_supply(
        dataset, ranking_loss=loss, consensus=consensus, ratings=ratings, weights=annotator_weights
    )
    if not supply.is_enough:
        raise TooFewJudgments(
            gettext("The dataset “%(name)s” has %(loss)s: let annotators judge more tasks first.")
            % {"name": dataset.name, "loss": shortfall(supply, loss)}
        )


def require_unused_name(project: Project, name: str) -> None:
    """Raises ActionError."""
    if RewardModel.objects.filter(project=project, name=name).exists():
        raise ActionError(
            gettext("There is a reward model named “%(name)s” already.") % {"name": name}, code="name_taken"
        )


def _ranking_loss(config: Mapping[str, Any]) -> LossName:
    return load_run_options(ObjectiveOptions, config.get("objective", {}), where="objective").ranking_loss


def describe_reward_model(
    *,
    actor: User,
    reward_model: RewardModel,
    licence: str | None = None,
    notes: str | None = None,
    shown: Shown = None,
) -> RewardModel:
    """Change what others are told of it on its card. The model stays. Raises ChangedMeanwhile."""
    given = clean_card(licence, notes)
    return change_values(
        actor=actor, row=reward_model, action="reward_model.describe", given=given, shown=shown
    )


def score_responses(
    *,
    actor: User,
    project: Project,
    reward_model: RewardModel,
    responses: Sequence[Response],
    config: Mapping[str, Any] | None = None,
    processes: int = 1,
) -> Run:
    """Queue the scoring of responses, which adds ResponseScore rows.

    `config` has the batch and runtime of ScoreConfig.
    """
    require_of_project(project, reward_model, *responses)
    if not responses:
        raise ActionError(gettext("There are no responses to score."), code="no_responses")
    return queue_run(
        actor=actor,
        project=project,
        kind=SCORE,
        title=f"Score {len(responses)} responses with {reward_model.name}",
        config={**(config or {}), "model_path": str(reward_model.artifact.absolute_path)},
        parameters={
            "reward_model": reward_model.pk,
            "response_ids": [response.external_id for response in responses],
        },
        processes=processes,
    )


def evaluate_reward_model(
    *,
    actor: User,
    project: Project,
    reward_model: RewardModel,
    dataset: PreferenceDataset,
    config: Mapping[str, Any] | None = None,
    consensus: bool = False,
    ratings: str = "",
    processes: int = 1,
) -> Run:
    """Queue the comparison of a reward model with a split of a dataset's judgments.

    `config` is EvaluateConfig as a mapping without the model; lengths are those it was trained with unless it says
    others. With `ratings`, a mark, scores are held against the points of single answers instead. Raises ActionError,
    also when the split has no judgment, or fewer than two ratings.
    """
    if ratings and consensus:
        raise ActionError(
            gettext("Ratings are each one person's: leave consensus out, which merges comparisons."),
            code="bad_option",
        )
    require_of_project(project, reward_model, dataset)
    given = dict(config or {})
    # What is said of lengths is said of some of them.
    batch = {**(reward_model.produced_by.config.get("batch") or {}), **(given.pop("batch", None) or {})}
    asked = {
        "split": "validation",
        **({"batch": batch} if batch else {}),
        **given,
        "model_path": str(reward_model.artifact.absolute_path),
    }
    split = asked["split"]
    if split in SPLITS and not dataset_manifest(dataset)["tasks_by_split"].get(split, 0):
        raise ActionError(
            gettext("The dataset “%(name)s” has no judgment of the split %(split)s: choose another.")
            % {"name": dataset.name, "split": split},
            code="no_judgments",
        )
    if ratings and split in SPLITS:
        rows = dataset_ratings(dataset, ratings, splits=(split,))
        if (number := _up_to(MIN_RATINGS, (len(row["scores"]) for row in rows))) < MIN_RATINGS:
            raise ActionError(
                gettext(
                    "The dataset “%(name)s” has %(number)s ratings by “%(ratings)s” in the split "
                    "%(split)s, and a correlation needs %(min_ratings)s: choose another split or mark."
                )
                % {
                    "name": dataset.name,
                    "number": number,
                    "ratings": ratings,
                    "split": split,
                    "min_ratings": MIN_RATINGS,
                },
                code="no_judgments",
            )
    on = f"{dataset.name}, {split}" + (f", ratings by {ratings}" if ratings else "")
    return queue_run(
        actor=actor,
        project=project,
        kind=EVALUATE,
        title=f"Evaluate {reward_model.name} on {on}",
        config=asked,
        parameters={
            "reward_model": reward_model.pk,
            "dataset": dataset.pk,
            "consensus": consensus,
            "labels": f"ratings by {ratings}" if ratings else labels_in_words(dataset, consensus=consensus),
            **({"ratings": ratings} if ratings else {}),
        },
        processes=processes,
    )


def _up_to(most: int, numbers: Iterable[int]) -> int:
    """Their sum, not counted further where it reaches this."""
    total = 0
    for number in numbers:
        total += number
        if total >= most:
            break
    return total
