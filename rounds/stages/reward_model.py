"""A reward model is trained on all judgments so far, frozen as a dataset."""

from collections.abc import Mapping
from typing import Any

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.supply import TRAINING_PURPOSES
from annotation.models import PreferenceDataset
from learning.interface.options import options_to_dict
from rewardmodel.actions import train_reward_model
from rewardmodel.models import RewardModel
from rounds.learned_criteria import learned_criteria, other_criteria
from rounds.models import Round, Stage
from rounds.plans import RoundPlan, load_plan
from rounds.stages.transitions import (
    all_done,
    attach_run,
    enter_stage,
    require_none_unsuccessful,
    stage_runs,
)
from rounds.starting_models import reward_model_base
from rounds.training_batches import training_batches
from runs.actions import clone_run
from workspace.errors import ActionError
from workspace.naming import unique_name


def freeze_missing_dataset(round_: Round) -> Mapping[str, Any]:
    """Writing the files takes a while and needs no lock; the dataset's name makes it once."""
    if round_.dataset_id is None:
        dataset = freeze_round_dataset(round_)
        Round.objects.filter(pk=round_.pk, dataset__isnull=True).update(dataset=dataset)
    return {}


def freeze_round_dataset(round_: Round) -> PreferenceDataset:
    """All judgments so far on the criteria that the reward model learns, but for head-to-head ones: they measure
    policies.

    A reward model that is later read beside head-to-head results must never have trained on them.
    """
    plan = load_plan(round_.plan)
    attempts = round_.stage_entries.filter(stage=Stage.REWARD_MODEL).count()
    # The same name for all workers that try at once, another one after a retry that freezes the judgments anew.
    name = f"judgments, round {round_.number}" + (f", try {attempts}" if attempts > 1 else "")
    existing = PreferenceDataset.objects.filter(project=round_.project, name=name, version=1).first()
    if existing is not None:
        return existing
    try:
        return freeze_dataset(
            actor=round_.started_by,
            project=round_.project,
            name=name,
            criteria=learned_criteria(round_.project, round_.criterion, plan),
            batches=training_batches(round_, plan),
            purposes=TRAINING_PURPOSES,
            annotator_kinds=plan.annotation.annotator_kinds,
        )
    except ActionError as error:
        if error.code == "dataset_name_taken":  # another worker was faster
            return PreferenceDataset.objects.get(project=round_.project, name=name, version=1)
        raise


def advance_reward_model(round_: Round, plan: RoundPlan) -> bool:
    runs = stage_runs(round_, Stage.REWARD_MODEL)
    if round_.dataset is None:
        return False  # the stage began after the unlocked look; the next call freezes the dataset
    if not runs:
        run = train_reward_model(
            actor=round_.started_by,
            project=round_.project,
            criteria=learned_criteria(round_.project, round_.criterion, plan),
            dataset=round_.dataset,
            base=reward_model_base(round_.project, round_.criterion, round_.start_policy, plan)[1],
            name=unique_name(
                RewardModel.objects.filter(project=round_.project),
                f"reward model, round {round_.number}",
            ),
            config=options_to_dict(plan.reward_model),
            consensus=plan.consensus,
            processes=plan.processes,
        )
        attach_run(round_, run)
        return True
    if runs[0].parameters["dataset"] != round_.dataset.pk:
        # The judgments were frozen anew after this run refused the earlier ones.
        parameters = {**runs[0].parameters, "dataset": round_.dataset.pk}
        clone_run(actor=round_.started_by, run=runs[0], title=runs[0].title, parameters=parameters)
        return True
    require_none_unsuccessful(runs)
    if not all_done(runs):
        return False
    reward_model = RewardModel.objects.get(produced_by=runs[0])
    accuracy = reward_model.report.get("accuracy")
    reason = "trained" if accuracy is None else f"agrees with {accuracy:.1%} of the held-out comparisons"
    if others := other_criteria(round_, plan):
        reason += f" (criteria: {', '.join([round_.criterion.name, *others])})"
    enter_stage(round_, Stage.POLICY, reason, reward_model=reward_model)
    return True
