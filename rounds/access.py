"""From the number in a URL to a round. Missing and forbidden look the same: 404."""

from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from rounds.models import Round
from workspace.access import Role, access_project
from workspace.models import User


def access_round(actor: User | AnonymousUser, slug: str, number: int, *, roles: frozenset[Role]) -> Round:
    project = access_project(actor, slug, roles=roles)
    round_ = (
        project.rounds.select_related(
            "project",
            "criterion",
            "prompt_set",
            "start_policy",
            "previous_policy",
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
