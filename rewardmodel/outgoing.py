"""Reward models on their way out of the site."""

from rewardmodel.access import access_reward_model
from rewardmodel.actions import describe_reward_model
from rewardmodel.model_card import reward_model_files
from runs.hub.outgoing import OutgoingModels
from runs.hub.pushes import push_kind

PUSH = push_kind("rewardmodel.push", "Push of a reward model", "rewardmodel.push")
REWARD_MODELS = OutgoingModels(
    name="reward_model",
    label="reward model",
    page="reward_models:reward_model",
    kind=PUSH,
    rows=lambda project: project.reward_models,
    access=access_reward_model,
    files=reward_model_files,
    describe=describe_reward_model,
)
