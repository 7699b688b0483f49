"""Checkpoints of trainings of reward models that can become reward models themselves."""

from typing import Any

from django.utils.translation import gettext

from rewardmodel.actions import require_unused_name
from rewardmodel.models import RewardModel
from rewardmodel.run_kinds import ADOPT, TRAIN
from runs.actions import queue_run
from runs.adopting.checkpoints import find_checkpoint
from runs.models import Run
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import Project, User


def adopt_reward_checkpoint(*, actor: User, project: Project, run: Run, step: int, name: str) -> Run:
    """Queue the making of a reward model from the training's checkpoint of this step. The training stays as it was.

    Raises ActionError for a run of another kind or project, and for a step without a checkpoint: a run keeps its last
    ones and the best, and those of the steps in `runtime.keep_steps`, which alone are left when it is done.
    """
    require_of_project(project, run)
    if run.kind != TRAIN.name:
        raise ActionError(
            gettext("Checkpoints of trainings of reward models can become reward models, of others not."),
            code="wrong_kind",
        )
    name = name.strip()
    if not name or len(name) > 120:
        raise ActionError(gettext("A reward model needs a name of at most 120 characters."), code="bad_name")
    require_unused_name(project, name)
    found = find_checkpoint(run, step)
    parameters: dict[str, Any] = {**run.parameters, "name": name, "adopted_from": run.pk, "step": step}
    return queue_run(
        actor=actor,
        project=project,
        kind=ADOPT,
        title=f"Adopt {name}: step {step} of “{run.title}”",
        config={**run.config, "checkpoint_path": str(found.path)},
        parameters=parameters,
    )


def training_of_checkpoint(model: RewardModel) -> Run | None:
    """The training that the model is a checkpoint of; None where it is what a training ended with."""
    number = model.produced_by.parameters.get("adopted_from")
    return None if number is None else model.project.runs.filter(pk=number).first()
