"""Checkpoints of runs of PPO and of policy gradients that can become policies."""

from typing import Any

from django.utils.translation import gettext

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.models import Policy
from policy_training.registry import require_unused_name
from policy_training.run_kinds import ADOPT, POLICY_GRADIENT, PPO
from policy_training.training.config import AdoptConfig
from runs.actions import queue_run
from runs.adopting.checkpoints import find_checkpoint
from runs.models import Run
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import Project, User


def adopt_checkpoint(*, actor: User, project: Project, run: Run, step: int, name: str) -> Run:
    """Queue the making of a policy from the run's checkpoint of this step. The run itself goes on as it was.

    Raises ActionError for a run of another kind or project, and for a step without a checkpoint: a run keeps its last
    ones and, unless alarms are off, the best one; a run that is done keeps the best one where an alarm was raised, and
    those that its options or the settings say.
    """
    require_of_project(project, run)
    if run.kind not in (PPO.name, POLICY_GRADIENT.name):
        raise ActionError(
            gettext("Checkpoints of runs of PPO and of policy gradients can become policies, of others not."),
            code="wrong_kind",
        )
    name = name.strip()
    if not name or len(name) > 120:
        raise ActionError(gettext("A policy needs a name of at most 120 characters."), code="bad_name")
    require_unused_name(project, name)
    found = find_checkpoint(run, step)
    start = Policy.objects.filter(project=project, pk=run.parameters.get("parent")).first()
    if start is None:
        raise ActionError(gettext("The policy that the run started from is gone."), code="no_policy")
    config = AdoptConfig(
        checkpoint_path=str(found.path), policy=ModelSource(path=str(start.artifact.absolute_path))
    )
    parameters: dict[str, Any] = {
        "name": name,
        "parent": start.pk,
        "reward_model": run.parameters.get("reward_model"),
        "adopted_from": run.pk,
    }
    return queue_run(
        actor=actor,
        project=project,
        kind=ADOPT,
        title=f"Adopt {name}: step {step} of “{run.title}”",
        config=options_to_dict(config),
        parameters=parameters,
    )
