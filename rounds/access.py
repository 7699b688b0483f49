"""From the number in a URL to a round. Missing and of another project look the same: 404."""

from django.http import Http404

from rounds.models import Round
from workspace.models import Project


def access_round(project: Project, number: int) -> Round:
    """The round of a project whose page somebody was let into."""
    round_ = (
        project.rounds.select_related(
            "project",
            "criterion",
            "prompt_set",
            "start_policy",
            "comparison_policy",
            "batch",
            "dataset",
            "reward_model",
            "new_policy",
            "started_by",
        )
        .filter(number=number)
        .first()
    )
    if round_ is None:
        raise Http404("No such round.")
    return round_
