"""Checkpoints of trainings that can become policies."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.models import Policy
from policy_training.registry import require_unused_name
from policy_training.run_kinds import ADOPT, PPO
from policy_training.training.config import AdoptConfig
from policy_training.training.ppo.config import CriticOptions
from rewardmodel.models import RewardModel
from runs.actions import queue_run
from runs.adopting.checkpoints import find_checkpoint
from runs.errors import BadRunConfig
from runs.models import Run
from runs.run_kinds import POLICY_TRAININGS
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import Project, User


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a training started from. `policy` is None where it was a model from scratch or of the hub, which is no
    policy of the project; `tokenizer_path` is the folder of the tokenizer of a model from scratch.
    """

    policy: Policy | None
    source: ModelSource
    tokenizer_path: str = ""


def require_training(run: Run) -> None:
    """Raises ActionError for a run that makes no policy step by step, and so has no checkpoints of one."""
    if run.kind not in POLICY_TRAININGS:
        raise ActionError(
            gettext(
                "This run trains no policy, so no checkpoint of it is one; choose a training of a policy."
            ),
            code="wrong_kind",
        )


def start_of(project: Project, run: Run) -> Start:
    """Raises ActionError where it is gone."""
    if (number := run.parameters.get("parent")) is not None:
        policy = Policy.objects.filter(project=project, pk=number).first()
        if policy is None:
            raise ActionError(gettext("The policy that the run started from is gone."), code="no_policy")
        return Start(policy=policy, source=ModelSource(path=str(policy.artifact.absolute_path)))
    try:
        source = load_options(ModelSource, run.config["model"]["source"])
    except (UserError, KeyError, TypeError) as error:
        raise BadRunConfig(gettext("The run does not say what it started from.")) from error
    if source.from_scratch is None:
        return Start(policy=None, source=source)
    return Start(policy=None, source=source, tokenizer_path=_trained_tokenizer(run))


def _trained_tokenizer(run: Run) -> str:
    """Of a run that started from scratch: beside its checkpoints, else in the policy that it made."""
    if (run.path / "tokenizer").is_dir():
        return str(run.path / "tokenizer")
    made = Policy.objects.filter(produced_by=run).select_related("artifact").first()
    if made is None:
        raise ActionError(
            gettext(
                "The run has trained its own tokenizer, which it keeps with the policy at its end; let it end first."
            ),
            code="no_tokenizer",
        )
    return str(made.artifact.absolute_path)


def _critic_start(project: Project, run: Run, start: ModelSource) -> ModelSource | None:
    """What PPO's critic began as, which has its shape; None for other runs, and where its files are gone: the policy is
    adopted all the same.
    """
    if run.kind != PPO.name:
        return None
    match (run.config.get("critic") or {}).get("init_from", CriticOptions().init_from):
        case "reward_model":
            model = RewardModel.objects.filter(project=project, pk=run.parameters.get("reward_model")).first()
            if model is None or model.artifact.is_missing:
                return None
            return ModelSource(path=str(model.artifact.absolute_path))
        case "reference" if (number := run.parameters.get("reference")) is not None:
            reference = Policy.objects.filter(project=project, pk=number).first()
            if reference is None or reference.artifact.is_missing:
                return None
            return ModelSource(path=str(reference.artifact.absolute_path))
        case "policy" | "reference":  # without another one the reference is the start
            return start
    return None


def adopt_checkpoint(*, actor: User, project: Project, run: Run, step: int, name: str) -> Run:
    """Queue the making of a policy from the run's checkpoint of this step. The run itself goes on as it was.

    PPO's critic comes along where it has weights of its own.

    Raises ActionError for a run of another kind or project, and for a step without a checkpoint: a run keeps its last
    ones and, unless alarms are off, the best one; a run that is done keeps the best one where an alarm was raised, and
    those that its options or the settings say.
    """
    require_of_project(project, run)
    require_training(run)
    name = name.strip()
    if not name or len(name) > 120:
        raise ActionError(gettext("A policy needs a name of at most 120 characters."), code="bad_name")
    require_unused_name(project, name)
    found = find_checkpoint(run, step)
    start = start_of(project, run)
    config = AdoptConfig(
        checkpoint_path=str(found.path),
        policy=start.source,
        tokenizer_path=start.tokenizer_path,
        critic=_critic_start(project, run, start.source),
    )
    parameters: dict[str, Any] = {
        "name": name,
        "parent": start.policy.pk if start.policy else None,
        "reward_model": run.parameters.get("reward_model"),
        "adopted_from": run.pk,
    }
    if (dataset := run.parameters.get("dataset")) is not None:
        parameters["dataset"] = dataset
    return queue_run(
        actor=actor,
        project=project,
        kind=ADOPT,
        title=f"Adopt {name}: step {step} of “{run.title}”",
        config=options_to_dict(config),
        parameters=parameters,
    )
