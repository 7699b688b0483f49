"""What a plan names of its project must be there before a round begins, and not when its turn comes."""

from django.utils.translation import gettext

from annotation.batches.exclusion import find_batches
from learning.interface.options import options_to_dict
from policy_training.guidance import with_critic
from policy_training.models import Policy
from rounds.errors import RoundRefused
from rounds.plans import RoundPlan
from workspace.errors import ActionError
from workspace.models import Project


def require_named_rows(project: Project, plan: RoundPlan) -> None:
    """The policies that answer, the critic that leads them, the people for whom tasks are kept. Raises RoundRefused."""
    policy_names = set(Policy.objects.filter(project=project).values_list("name", flat=True))
    missing = [name for name in plan.sampling.other_policies if name not in policy_names]
    if missing:
        raise RoundRefused(
            gettext("There is no policy “%(missing)s” in this project.") % {"missing": missing[0]},
            code="no_policy",
        )
    try:
        plan.sampling.options.server.require_model_of_each(
            "sampling.options.server", 1 + len(plan.sampling.other_policies)
        )
    except ValueError as error:
        raise RoundRefused(str(error), code="bad_option") from error
    members = set(project.memberships.values_list("user__username", flat=True))
    non_members = [name for name in plan.annotation.reserved_for if name not in members]
    if non_members:
        raise RoundRefused(
            gettext("Tasks cannot be kept for “%(non_members)s”, who is no member of this project.")
            % {"non_members": non_members[0]}
        )
    try:
        with_critic(project, options_to_dict(plan.sampling.options))
    except ActionError as error:
        raise RoundRefused(error.message, code=error.code) from error


def require_named_batches(project: Project, plan: RoundPlan) -> None:
    """At the start alone: whoever excludes a batch later wants its judgments left out. Raises RoundRefused."""
    try:
        find_batches(project, plan.batches)
    except ActionError as error:
        raise RoundRefused(error.message, code=error.code) from error


def require_read_options(plan: RoundPlan) -> None:
    """Raises RoundRefused for options that nothing would read. Plans of earlier rounds may have them."""
    annotation = plan.annotation
    if bool(annotation.reserved_for) != bool(annotation.reserved_tasks_per_person):
        raise RoundRefused(
            gettext(
                "annotation.reserved_for and annotation.reserved_tasks_per_person belong together: say for whom tasks "
                "are kept and how many, or leave both out."
            ),
            code="bad_option",
        )
