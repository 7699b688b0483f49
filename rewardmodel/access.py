"""From an id in a URL to a reward model. Missing and forbidden look the same."""

from django.http import Http404

from rewardmodel.models import RewardModel
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
