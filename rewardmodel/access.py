"""From an id in a URL to a reward model. Missing and forbidden look the same."""

from django.http import Http404

from rewardmodel.models import RewardModel, RewardModelEvaluation
from workspace.models import Project


def access_reward_model(project: Project, pk: int) -> RewardModel:
    found = (
        RewardModel.objects.select_related("artifact", "dataset", "base_artifact", "produced_by", "project")
        .filter(project=project, pk=pk)
        .first()
    )
    if found is None:
        raise Http404("No such reward model.")
    return found


def access_evaluation(project: Project, pk: int) -> RewardModelEvaluation:
    found = (
        RewardModelEvaluation.objects.select_related("reward_model", "dataset", "produced_by")
        .filter(reward_model__project=project, pk=pk)
        .first()
    )
    if found is None:
        raise Http404("No such evaluation.")
    return found
