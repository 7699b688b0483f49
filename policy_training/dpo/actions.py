"""DPO asked for by managers: a policy from judgments themselves, which are frozen now or were earlier."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from annotation.models import Batch, PreferenceDataset
from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from learning.interface.vocabulary import PERSON
from policy_training.models import Policy
from policy_training.registry import require_unused_name
from policy_training.run_kinds import DPO
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.dpo.presets import DPO_PRESETS
from policy_training.training.unread_options import DPO_RULES
from rewardmodel.actions import labels_asked, require_supply
from rewardmodel.start_training import rating_choice, training_dataset
from runs.actions import load_run_options, queue_run
from runs.models import Run
from workspace.access import require_of_project
from workspace.config_overrides import apply_overrides
from workspace.models import Criterion, Project, User


def dpo_config(preset: str, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """DPOConfig as a mapping; its start and reference are filled in later. Raises ActionError."""
    config = DPO_PRESETS[preset].config(ModelSource(path="(filled in)"))
    return apply_overrides(options_to_dict(config), assignments, DPO_RULES)


def train_dpo(
    *,
    actor: User,
    project: Project,
    name: str,
    start: Policy,
    reference: Policy | None = None,
    config: Mapping[str, Any],
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
    """Queue DPO from `start`, held near `reference` (None: `start`), on judgments chosen as for a reward model.

    `config` is DPOConfig as a mapping; its models and what it is about are filled in here. Raises ActionError,
    NoConsensus, NoJudgments, TooFewJudgments, BadRunConfig.
    """
    rated = rating_choice(ratings, points_per_grade)
    options = load_run_options(DPOConfig, config)  # before judgments are frozen for nothing
    require_of_project(project, start, reference)
    require_unused_name(project, name)
    held_near = reference or start
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
        require_supply(
            judged,
            options.objective.loss,
            consensus=consensus,
            ratings=rated,
            annotator_weights=annotator_weights,
        )
        return queue_run(
            actor=actor,
            project=project,
            kind=DPO,
            title=f"DPO: {start.name} to {name}",
            config={
                **config,
                "model": {**config["model"], "source": {"path": str(start.artifact.absolute_path)}},
                "reference": {"path": str(held_near.artifact.absolute_path)},
                "criterion": ", ".join(criterion.name for criterion in about),
            },
            parameters={
                "name": name,
                "parent": start.pk,
                "reference": held_near.pk,
                "dataset": judged.pk,
                "batches": judged.filters.get("batches"),
                "criteria": [criterion.pk for criterion in about],
                **labels_asked(judged, consensus=consensus, annotator_weights=annotator_weights),
                **({"ratings": asdict(rated)} if rated else {}),
            },
            processes=processes,
        )


@contextmanager
def with_frozen_judgments(
    *,
    actor: User,
    project: Project,
    config: Mapping[str, Any],
    dataset: PreferenceDataset | None = None,
    criteria: Sequence[Criterion] = (),
    batches: Collection[Batch] | None = None,
    annotator_kinds: Collection[str] = (PERSON,),
    consensus: bool = False,
    consensus_labels: bool = False,
    annotator_weights: bool = False,
    **arguments: Any,
) -> Iterator[dict[str, Any]]:
    """Arguments of train_dpo for later, from those of now: the judgments are those that are there now, in a dataset,
    which goes again when what is asked for in the block is refused. Raises as train_dpo does.
    """
    load_run_options(DPOConfig, config)
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
    ) as (judged, _):
        yield arguments | {
            "config": config,
            "dataset": judged,
            "consensus": consensus,
            "annotator_weights": annotator_weights,
        }
