"""The reward model's run kinds: what goes into their folders and which rows come out."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext, gettext_noop

from annotation.datasets.files import dataset_batches, dataset_comparisons, dataset_ratings
from annotation.importing.usage import mark_demonstrations_used
from annotation.models import PreferenceDataset, Prompt
from annotation.preferences.rated_comparisons import RatingChoice
from annotation.records import demonstration_rows, response_rows
from learning.interface import vocabulary
from learning.interface.record_files import iterate_records
from learning.interface.record_schemas import (
    COMPARISONS,
    DEMONSTRATIONS,
    PROMPT_TAGS,
    RATINGS,
    RESPONSES,
    SCORES,
)
from learning.interface.usable_comparisons import RATING_LOSSES
from rewardmodel.models import ResponseScore, RewardModel, RewardModelEvaluation
from rewardmodel.training.config import AdoptConfig, EvaluateConfig, RewardModelConfig, ScoreConfig
from runs.models import Artifact, Run
from runs.run_kinds import Output, RunKind
from workspace.errors import ActionError
from workspace.naming import unique_name

CHUNK_ROWS = 2000
# The test split stays out of the trainer's sight altogether.
TRAINER_SPLITS = (vocabulary.TRAIN, vocabulary.VALIDATION)
# The reward is shifted to mean 0 on these. A thousand place that mean to 3 % of the rewards' spread; ten times as many
# took longer to score than the whole training of a small model.
MAX_SHIFT_DEMONSTRATIONS = 1000


def comparison_inputs(run: Run) -> dict[str, Any]:
    """The judgments of the run's dataset as comparisons, with the ratings that it asked for."""
    dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"], project=run.project)
    ratings = RatingChoice(**asked) if (asked := run.parameters.get("ratings")) else None
    comparisons = dataset_comparisons(
        dataset,
        consensus=run.parameters["consensus"],
        splits=TRAINER_SPLITS,
        ratings=ratings,
        weights=_is_weighed(run),
    )
    return {"comparisons": (comparisons, COMPARISONS)}


def _is_weighed(run: Run) -> bool:
    return run.parameters.get("annotator_weights") is not None


def _prompt_tags(dataset: PreferenceDataset, split: str) -> dict[str, Any]:
    """What the prompts of a split of the dataset are tagged with now; nothing where none has a tag."""
    tags = dict(
        Prompt.objects.filter(project=dataset.project).exclude(tags=[]).values_list("external_id", "tags")
    )
    rows: dict[str, dict[str, Any]] = {}
    for batch in dataset_batches(dataset, splits=(split,), columns=["prompt_id", "prompt", "split"]):
        for row in batch.to_pylist():
            if row["prompt_id"] in tags:
                rows[row["prompt_id"]] = {"prompt": row["prompt"], "tags": tags[row["prompt_id"]]}
    return {"prompt_tags": (list(rows.values()), PROMPT_TAGS)} if rows else {}


def _training_inputs(run: Run) -> Mapping[str, Any]:
    ratings = run.parameters.get("ratings")
    if ratings and run.config["objective"]["ranking_loss"] in RATING_LOSSES:
        dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"], project=run.project)
        mark = RatingChoice(**ratings).mark
        rows = dataset_ratings(dataset, mark, splits=TRAINER_SPLITS, weights=_is_weighed(run))
        inputs: dict[str, Any] = {"ratings": (rows, RATINGS)}
    else:
        inputs = comparison_inputs(run)
        dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"], project=run.project)
    inputs |= _prompt_tags(dataset, vocabulary.VALIDATION)
    mark_demonstrations_used(run.project, f"run {run.pk}")
    demonstrations = list(demonstration_rows(run.project, splits=("train",)))
    if demonstrations:
        # Evenly over the order they came in: one file's first rows may be all of a kind.
        step = -(-len(demonstrations) // MAX_SHIFT_DEMONSTRATIONS)
        inputs["demonstrations"] = (demonstrations[::step], DEMONSTRATIONS)
    return inputs


def _inputs_of_the_training(run: Run) -> Mapping[str, Any]:
    """Those that the training of the run's checkpoint had, row by row: demonstrations may have come in since."""
    training = Run.objects.get(pk=run.parameters["adopted_from"], project=run.project)
    inputs: dict[str, Any] = {}
    for name, schema in (
        ("comparisons", COMPARISONS),
        ("ratings", RATINGS),
        ("demonstrations", DEMONSTRATIONS),
        ("prompt_tags", PROMPT_TAGS),
    ):
        file = training.path / "inputs" / f"{name}.parquet"
        if file.is_file():
            inputs[name] = (iterate_records(file, schema), schema)
    if not inputs.keys() & {"comparisons", "ratings"}:
        raise ActionError(
            gettext("The folder of “%(title)s” has no inputs any more: train again.")
            % {"title": training.title},
            code="no_inputs",
        )
    return inputs


def _save_reward_model(run: Run, result: Mapping[str, Any]) -> None:
    reward_model, _ = RewardModel.objects.get_or_create(
        produced_by=run,
        defaults={
            "project": run.project,
            "name": unique_name(RewardModel.objects.filter(project=run.project), run.parameters["name"]),
            "artifact": run.artifacts.get(kind=Artifact.Kind.REWARD_MODEL),
            "base_artifact_id": run.parameters["base_artifact"],
            "dataset_id": run.parameters["dataset"],
            "report": dict(result),
        },
    )
    # Runs that were queued when a reward model had one criterion name it alone.
    reward_model.criteria.set(run.parameters.get("criteria") or [run.parameters["criterion"]])


def _evaluation_inputs(run: Run) -> Mapping[str, Any]:
    dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"], project=run.project)
    splits = (run.config["split"],)
    if mark := run.parameters.get("ratings"):
        rows = dataset_ratings(dataset, mark, splits=splits)
        return {"ratings": (rows, RATINGS), **_prompt_tags(dataset, run.config["split"])}
    comparisons = dataset_comparisons(dataset, consensus=run.parameters["consensus"], splits=splits)
    return {"comparisons": (comparisons, COMPARISONS), **_prompt_tags(dataset, run.config["split"])}


def _save_evaluation(run: Run, result: Mapping[str, Any]) -> None:
    RewardModelEvaluation.objects.get_or_create(
        produced_by=run,
        defaults={
            "reward_model_id": run.parameters["reward_model"],
            "dataset_id": run.parameters["dataset"],
            "split": run.config["split"],
            # Runs that were queued before labels had words have none.
            "report": dict(result) | {"labels": run.parameters.get("labels", "")},
        },
    )


def _scoring_inputs(run: Run) -> Mapping[str, Any]:
    rows = response_rows(run.project, response_ids=run.parameters["response_ids"])
    return {"responses": (rows, RESPONSES)}


def _save_scores(run: Run, result: Mapping[str, Any]) -> None:
    response_pks = dict(
        run.project.responses.filter(external_id__in=run.parameters["response_ids"]).values_list(
            "external_id", "pk"
        )
    )
    for rows in _chunks(iterate_records(run.path / "scores.parquet", SCORES)):
        ResponseScore.objects.bulk_create(
            [
                ResponseScore(
                    reward_model_id=run.parameters["reward_model"],
                    response_id=response_pks[row["response_id"]],
                    reward=row["reward"],
                )
                for row in rows
            ],
            ignore_conflicts=True,
        )


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == CHUNK_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


TRAIN = RunKind(
    name="rewardmodel.train",
    label=gettext_noop("Reward model training"),
    command="rewardmodel.training.train",
    build_inputs=_training_inputs,
    save_result=_save_reward_model,
    outputs=(Output(kind="reward_model", path="model"),),
    options=RewardModelConfig,
)
SCORE = RunKind(
    name="rewardmodel.score",
    label=gettext_noop("Scoring by a reward model"),
    command="rewardmodel.training.score",
    build_inputs=_scoring_inputs,
    save_result=_save_scores,
    outputs=(Output(kind="scores", path="scores.parquet"),),
    options=ScoreConfig,
)
EVALUATE = RunKind(
    name="rewardmodel.evaluate",
    label=gettext_noop("Evaluation of a reward model"),
    command="rewardmodel.training.evaluate",
    build_inputs=_evaluation_inputs,
    save_result=_save_evaluation,
    options=EvaluateConfig,
)
ADOPT = RunKind(
    name="rewardmodel.adopt",
    label=gettext_noop("A checkpoint as a reward model"),
    command="rewardmodel.training.adopt",
    build_inputs=_inputs_of_the_training,
    save_result=_save_reward_model,
    outputs=(Output(kind="reward_model", path="model"),),
    options=AdoptConfig,
)
RUN_KINDS = (TRAIN, SCORE, EVALUATE, ADOPT)
