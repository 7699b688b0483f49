"""What `train_reward_model`, the form and the API ask for: the judgments, frozen now or earlier, and where to start."""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow.compute as pc
from django.db.models import Q, QuerySet
from django.utils.translation import gettext

from annotation.datasets.actions import frozen_for_use
from annotation.datasets.files import dataset_batches, dataset_manifest
from annotation.datasets.quality_labels import newest_complete
from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.models import Batch, PreferenceDataset
from annotation.preferences.rated_comparisons import RatingChoice
from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from learning.interface.vocabulary import PERSON
from rewardmodel.actions import require_unused_name, train_reward_model
from rewardmodel.training.config import RewardModelConfig
from rewardmodel.training.presets import PRESETS
from rewardmodel.training.unread_options import EVALUATION_RULES, REWARD_MODEL_RULES
from runs.actions import load_run_options
from runs.models import Artifact, Run
from workspace.access import require_of_project
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import Criterion, Project, User


def reward_model_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """RewardModelConfig as a mapping; its start is filled in later. Raises ActionError."""
    config = PRESETS[preset].config(ModelSource(path="(filled in)"))
    return apply_overrides(options_to_dict(config), assignments, REWARD_MODEL_RULES)


def start_training(
    *,
    actor: User,
    project: Project,
    name: str,
    base: Artifact,
    preset: str,
    assignments: Sequence[str] = (),
    dataset: PreferenceDataset | None = None,
    criteria: Sequence[Criterion] = (),
    batches: Collection[Batch] | None = None,
    annotator_kinds: Collection[str] = (PERSON,),
    consensus: bool = False,
    ratings: str = "",
    points_per_grade: float | None = None,
    consensus_labels: bool = False,
    annotator_weights: bool = False,
    processes: int = 1,
) -> Run:
    """Queue a reward model's training on a frozen dataset, or on the judgments there are now, which are frozen first:
    those on the `criteria`, of the `batches` (None: all that are not excluded) and of these kinds of annotators.
    `ratings`: the mark of single answers that it learns from as well (RatingChoice), empty: none. What is frozen now
    has the newest quality report's consensus with `consensus_labels`, which `consensus` reads, and its weights of
    annotators with `annotator_weights`; of a frozen dataset these are its own.

    Raises ActionError, NoConsensus, NoJudgments, TooFewJudgments, BadRunConfig.
    """
    config = reward_model_config(preset, assignments)
    rated = rating_choice(ratings, points_per_grade)
    load_run_options(RewardModelConfig, config)  # before judgments are frozen for nothing
    require_unused_name(project, name)
    require_of_project(project, base)
    with training_dataset(
        actor=actor,
        project=project,
        dataset=dataset,
        criteria=criteria,
        batches=batches,
        annotator_kinds=annotator_kinds,
        consensus=consensus,
        consensus_labels=consensus_labels,
        annotator_weights=annotator_weights,
    ) as (judged, about):
        return train_reward_model(
            actor=actor,
            project=project,
            criteria=about,
            dataset=judged,
            base=base,
            name=name,
            config=config,
            consensus=consensus,
            ratings=rated,
            annotator_weights=annotator_weights,
            processes=processes,
        )


def rating_choice(mark: str, points_per_grade: float | None) -> RatingChoice | None:
    """None without a mark. Raises ActionError."""
    if points_per_grade is not None and not (mark and 0 < points_per_grade < math.inf):
        raise ActionError(
            gettext("Points per grade are a number above 0, and belong to ratings: name the mark too."),
            code="bad_option",
        )
    return RatingChoice(mark=mark, points_per_grade=points_per_grade) if mark else None


@contextmanager
def training_dataset(
    *,
    actor: User,
    project: Project,
    dataset: PreferenceDataset | None,
    criteria: Sequence[Criterion],
    batches: Collection[Batch] | None,
    annotator_kinds: Collection[str],
    consensus: bool = False,
    consensus_labels: bool = False,
    annotator_weights: bool = False,
) -> Iterator[tuple[PreferenceDataset, list[Criterion]]]:
    """The dataset to train on, and what its judgments are about: this one, or the judgments there are now, frozen, with
    the newest quality report's consensus or weights of annotators where these are asked for. What is frozen goes again
    when the training, asked for in the block, is refused.

    Raises ActionError, NoJudgments, NoConsensus.
    """
    if consensus_labels and (not consensus or dataset is not None or annotator_weights):
        raise ActionError(
            gettext(
                "The consensus of the newest measurement is the label of merged comparisons (consensus), of "
                "judgments that are frozen now, and weighs annotators by itself: ask for it with consensus, and "
                "without a dataset and weights."
            ),
            code="bad_option",
        )
    require_of_project(project, dataset, *criteria, *(batches or []))
    if dataset is None:
        report = newest_complete(project) if annotator_weights else None
        with frozen_for_use(
            actor=actor,
            project=project,
            criteria=criteria,
            batches=batches,
            purposes=TRAINING_PURPOSES,
            annotator_kinds=annotator_kinds,
            consensus=consensus_labels,
            # Without any report there is none of the number 0 either, and that is said.
            annotator_weights=(report.pk if report else 0) if annotator_weights else None,
        ) as frozen:
            yield frozen, list(criteria)
        return
    _require_training_purposes(dataset)
    names = dataset_manifest(dataset)["criteria"]
    yield dataset, list(project.criteria.filter(name__in=names).order_by("pk"))


def _require_training_purposes(dataset: PreferenceDataset) -> None:
    """Judgments of head-to-head tasks measure policies, those of gold tasks people: nothing is trained on them."""
    others = 0
    for batch in dataset_batches(dataset, columns=["purpose", "split"]):
        others += sum(
            purpose not in TRAINING_PURPOSES for purpose in pc.cast(batch["purpose"], "string").to_pylist()
        )
    if others:
        judgments = "1 judgment" if others == 1 else f"{others} judgments"
        raise ActionError(
            gettext(
                "The dataset “%(name)s” has %(judgments)s of tasks that measure policies or people "
                "(head-to-head, gold, ...), which nothing is trained on: freeze one of normal tasks "
                "alone."
            )
            % {"name": dataset.name, "judgments": judgments},
            code="not_for_training",
        )


def possible_starts(project: Project) -> QuerySet[Artifact]:
    """What a reward model may start from: the folders of the project's policies and reward models, newest first."""
    found = Artifact.objects.filter(project=project).select_related("policy", "reward_model")
    return found.filter(Q(policy__isnull=False) | Q(reward_model__isnull=False)).order_by("-pk")


def evaluation_config(assignments: Sequence[str] = ()) -> dict[str, Any]:
    """EvaluateConfig as a mapping without its model. Raises ActionError."""
    return apply_overrides({"split": "validation"}, assignments, EVALUATION_RULES)
