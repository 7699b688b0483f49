"""A reward model to a repository of the Hugging Face Hub: its folder with its card, as one commit."""

from pathlib import Path

from learning.interface.options import UserError
from rewardmodel.model_card import reward_model_files
from rewardmodel.models import RewardModel
from runs.hub.pushes import WEIGHTS, Push, push_kind, queue_push
from runs.models import Run
from workspace.models import User

PUSH = push_kind("rewardmodel.push", "Push of a reward model", "rewardmodel.push")


def push_reward_model(
    *,
    actor: User,
    reward_model: RewardModel,
    repository: str,
    public: bool = False,
    token: str = "",
    dry_run: bool = False,
) -> Run:
    """Queue the push. Raises ActionError."""
    return queue_push(
        actor=actor,
        project=reward_model.project,
        kind=PUSH,
        what=reward_model.name,
        repository=repository,
        public=public,
        token=token,
        dry_run=dry_run,
        parameters={"reward_model": reward_model.pk},
    )


def prepare_push(run: Run, folder: Path) -> Push:
    reward_model = run.project.reward_models.filter(pk=run.parameters["reward_model"]).first()
    if reward_model is None:
        raise UserError("The reward model is not there any more.")
    return reward_model_push(reward_model)


def reward_model_push(reward_model: RewardModel) -> Push:
    return Push(
        files=reward_model_files(reward_model),
        repository_type="model",
        message=f"{reward_model.name}, a reward model",
        replaces=WEIGHTS,
    )
